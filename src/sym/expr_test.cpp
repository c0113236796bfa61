// SPDX-License-Identifier: Apache-2.0
// Canonical forms of symbolic integers, checked against plain integer arithmetic.
#include "sym/expr.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/rng.h"

namespace tessera::sym {
namespace {

const Expr n = Expr::symbol("N");
const Expr m = Expr::symbol("M");

TEST(Sym, adds_and_multiplies_polynomials) {
  EXPECT_EQ((n + m) * (n - m), n * n - m * m);
  EXPECT_EQ(n + n, 2 * n);
  EXPECT_EQ(n - n, Expr(0));
  EXPECT_EQ((2 * n * m + 3).to_string(), "2*M*N + 3");
}

TEST(Sym, divides_what_divides) {
  EXPECT_EQ(floor_div(6 * n + 4, 2), 3 * n + 2);
  EXPECT_EQ(floor_div(n * m, m), n);
  EXPECT_EQ(modulo(6 * n + 5, 3), Expr(2));
  EXPECT_EQ(modulo(n * m, n), Expr(0));
  EXPECT_EQ(floor_div(n, n), Expr(1));
}

TEST(Sym, recomposition_cancels) { EXPECT_EQ(4 * floor_div(n, 4) + modulo(n, 4), n); }

TEST(Sym, orders_bounds_that_differ_by_a_constant) {
  EXPECT_EQ(max(n, n + 2), n + 2);
  EXPECT_EQ(min(n - 1, n), n - 1);
  EXPECT_EQ(max(n, m), max(m, n));
}

TEST(Sym, refuses_division_by_zero_and_overflow) {
  EXPECT_THROW(floor_div(n, 0), UserError);
  EXPECT_THROW(Expr(INT64_MAX) + 1, UserError);
  EXPECT_THROW(Expr(INT64_MAX) * 2, UserError);
}

// A random expression and its value under N = a, M = b stay equal through every operation.
TEST(Sym, refuses_what_grows_without_bound) {
  const auto square_until_refused = [](Expr e) {
    for (int k = 0; k < 100; ++k) e = e * (e + m);
  };
  const auto nest_until_refused = [](Expr e) {
    for (int k = 0; k < 100; ++k) e = min(e * n, floor_div(e, n + 1) + m);
  };
  EXPECT_THROW(square_until_refused(n), UserError);
  EXPECT_THROW(nest_until_refused(n), UserError);
}

TEST(Sym, divides_the_largest_numbers) {
  EXPECT_EQ(floor_div(int64_t{5}, INT64_MIN), -1);
  EXPECT_EQ(modulo(int64_t{5}, INT64_MIN), INT64_MIN + 5);
  EXPECT_EQ(floor_div(INT64_MIN, int64_t{3}), INT64_MIN / 3 - 1);
  EXPECT_EQ(modulo(INT64_MIN, int64_t{3}), 1);
  EXPECT_EQ(modulo(INT64_MIN, int64_t{-1}), 0);
}

TEST(Sym, refuses_overflow_of_division) {
  const Expr least = Expr(INT64_MIN) * n;
  EXPECT_THROW(floor_div(least, -1), UserError);
  EXPECT_THROW(floor_div(least + m, -1 * n), UserError);
}

TEST(Sym, agrees_with_integers) {
  const uint64_t seed = 7;
  Rng rng(seed);
  for (int round = 0; round < 2000; ++round) {
    const std::map<std::string, Expr> binding{{"N", rng.integer(1, 9)}, {"M", rng.integer(1, 9)}};
    Expr symbolic = rng.integer(0, 1) ? n : m;
    int64_t value = symbolic.substitute(binding).constant().value();
    for (int step = 0; step < 6; ++step) {
      const int64_t c = rng.integer(1, 7);
      const Expr other = rng.integer(0, 2) == 0 ? n + c : rng.integer(0, 1) ? m : Expr(c);
      const int64_t v = other.substitute(binding).constant().value();
      switch (rng.integer(0, 6)) {
        case 0: symbolic = symbolic + other, value += v; break;
        case 1: symbolic = symbolic - other, value -= v; break;
        case 2:
          if (std::abs(value) < 100000) symbolic = symbolic * other, value *= v;
          break;
        case 3: symbolic = floor_div(symbolic, other), value = floor_div(value, v); break;
        case 4: symbolic = modulo(symbolic, other), value = modulo(value, v); break;
        case 5: symbolic = min(symbolic, other), value = std::min(value, v); break;
        case 6: symbolic = max(symbolic, other), value = std::max(value, v); break;
      }
      ASSERT_EQ(symbolic.substitute(binding).constant(), value)
          << "seed " << seed << " round " << round << ": " << symbolic.to_string();
    }
  }
}

}  // namespace
}  // namespace tessera::sym
