// SPDX-License-Identifier: Apache-2.0
// Numbers and comparisons of the condition language.
#include <algorithm>
#include <cmath>

#include "rules/term_call.h"

namespace tessera::rules {
namespace {

// Arithmetic on sizes where both are sizes, else on reals.
template <typename OnSizes, typename OnReals>
Result arithmetic(const Call& c, OnSizes on_sizes, OnReals on_reals) {
  if (c.count() < 2) return std::nullopt;
  if (c.size(0)) {
    bool all = true;
    for (size_t k = 1; k < c.count(); ++k) all &= c.size(k) != nullptr;
    if (all) {
      Size r = *c.size(0);
      for (size_t k = 1; k < c.count(); ++k) r = on_sizes(r, *c.size(k));
      return r;
    }
  }
  auto r = c.real(0);
  for (size_t k = 1; r && k < c.count(); ++k) {
    const auto next = c.real(k);
    r = next ? std::optional(on_reals(*r, *next)) : std::nullopt;
  }
  return r ? Result(*r) : std::nullopt;
}

Result compare(const Call& c, bool or_equal) {
  const auto a = c.real(0), b = c.real(1);
  if (a && b) return or_equal ? *a <= *b : *a < *b;
  if (!c.size(0) || !c.size(1)) return std::nullopt;
  const auto difference = (*c.size(1) - *c.size(0)).constant();
  if (!difference) return std::nullopt;
  return or_equal ? *difference >= 0 : *difference > 0;
}

Result equal(const Call& c) {
  for (size_t k = 1; k < c.count(); ++k) {
    const auto a = c.real(0), b = c.real(k);
    if (a && b) {
      if (*a != *b) return false;
    } else if (!(c.args[0] == c.args[k])) {
      return false;
    }
  }
  return true;
}

Result real_function(const Call& c, double (*f)(double)) {
  const auto x = c.real(0);
  return x ? Result(f(*x)) : std::nullopt;
}

// Equal but for roundings to single precision.
Result near(const Call& c) {
  const auto a = c.real(0), b = c.real(1);
  if (!a || !b) return std::nullopt;
  return std::abs(*a - *b) <= 0x1p-21 * std::abs(*b);
}

Result whole(const Call& c) {
  const auto x = c.real(0);
  if (!x || *x != std::floor(*x) || std::abs(*x) > 0x1p53) return std::nullopt;
  return Size(static_cast<int64_t>(*x));
}

const Function table[] = {
    {"near", "two reals are equal but for roundings to single precision", near},
    {"int", "a whole real as an integer", whole},
    {"+", "sum",
     [](const Call& c) {
       return arithmetic(
           c, [](Size a, Size b) { return a + b; }, [](double a, double b) { return a + b; });
     }},
    {"-", "difference, or the negative of one argument",
     [](const Call& c) -> Result {
       if (c.count() == 1 && c.size(0)) return -*c.size(0);
       if (c.count() == 1) return real_function(c, [](double x) { return -x; });
       return arithmetic(
           c, [](Size a, Size b) { return a - b; }, [](double a, double b) { return a - b; });
     }},
    {"*", "product",
     [](const Call& c) {
       return arithmetic(
           c, [](Size a, Size b) { return a * b; }, [](double a, double b) { return a * b; });
     }},
    {"/", "real quotient",
     [](const Call& c) -> Result {
       const auto a = c.real(0), b = c.real(1);
       return a && b && *b != 0 ? Result(*a / *b) : std::nullopt;
     }},
    {"div", "quotient rounded toward minus infinity",
     [](const Call& c) -> Result {
       if (!c.size(0) || !c.size(1) || *c.size(1) == Size(0)) return std::nullopt;
       return sym::floor_div(*c.size(0), *c.size(1));
     }},
    {"mod", "remainder of div",
     [](const Call& c) -> Result {
       if (!c.size(0) || !c.size(1) || *c.size(1) == Size(0)) return std::nullopt;
       return sym::modulo(*c.size(0), *c.size(1));
     }},
    {"min", "smaller real",
     [](const Call& c) -> Result {
       const auto a = c.real(0), b = c.real(1);
       return a && b ? Result(std::min(*a, *b)) : std::nullopt;
     }},
    {"max", "larger real",
     [](const Call& c) -> Result {
       const auto a = c.real(0), b = c.real(1);
       return a && b ? Result(std::max(*a, *b)) : std::nullopt;
     }},
    {"sqrt", "square root", [](const Call& c) { return real_function(c, std::sqrt); }},
    {"=", "all arguments are equal", equal},
    {"!=", "the two arguments differ",
     [](const Call& c) -> Result {
       for (size_t k = 0; k < c.count(); ++k)  // unequal symbols may stand for equal sizes
         if (c.size(k) && !c.integer(k)) return std::nullopt;
       return !std::get<bool>(*equal(c));
     }},
    {"<", "less", [](const Call& c) { return compare(c, false); }},
    {"<=", "less or equal", [](const Call& c) { return compare(c, true); }},
    {"pays", "its argument; marks a condition that says where a rule pays, not where it is true",
     [](const Call& c) -> Result { return c.count() == 1 ? Result(c.args[0]) : std::nullopt; }},
    {"not", "negation",
     [](const Call& c) -> Result {
       const auto* b = c.count() ? std::get_if<bool>(&c.args[0]) : nullptr;
       return b ? Result(!*b) : std::nullopt;
     }},
};

}  // namespace

std::span<const Function> arithmetic_functions() { return table; }

}  // namespace tessera::rules
