// SPDX-License-Identifier: Apache-2.0
// Every record's meaning, for every sample, printed, parsed and evaluated.
#include "ops/meaning_text.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

InputTypes pointers(const std::vector<ir::ValueType>& types) {
  InputTypes result;
  for (const ir::ValueType& t : types) result.push_back(t.opaque ? nullptr : &t);
  return result;
}

/// Floats in [-2, 2), integers in [0, top].
std::vector<Tensor> random_inputs(const std::vector<ir::ValueType>& types, int64_t top) {
  Rng rng(1);
  std::vector<Tensor> inputs;
  for (const ir::ValueType& type : types) {
    Tensor t = type.opaque ? Tensor{} : Tensor(type.dtype, type.concrete_shape());
    for (int64_t i = 0; !type.opaque && i < t.size(); ++i) {
      if (is_float(type.dtype)) t.set_float(i, 4 * rng.uniform() - 2);
      else t.set_integer(i, rng.integer(0, top));
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}

/// Both meanings on inputs that the first accepts: integers may be indices.
void expect_same_values(const ir::Meaning& a, const ir::Meaning& b) {
  for (const int64_t top : {3, 1, 0}) {
    const std::vector<Tensor> inputs = random_inputs(a.inputs, top);
    std::vector<Tensor> expected;
    try {
      expected = tree_evaluate(a, inputs, false);
    } catch (const UserError&) {
      ASSERT_NE(top, 0);
      continue;
    }
    const auto found = tree_evaluate(b, inputs, false);
    ASSERT_EQ(expected.size(), found.size());
    for (size_t k = 0; k < found.size(); ++k) EXPECT_TRUE(identical(expected[k], found[k]));
    return;
  }
}

void expect_round_trip(const ir::Meaning& meaning, const std::string& name) {
  const std::string text = print_meaning(meaning, name);
  SCOPED_TRACE(text);
  const ir::Meaning parsed = parse_meaning(text);
  EXPECT_EQ(text, print_meaning(parsed, name));
  expect_same_values(meaning, parsed);
}

TEST(MeaningText, every_record_round_trips_on_every_sample) {
  int meanings = 0;
  for (const OpDef& def : registry().all())
    for (const Sample& sample : def.samples) {
      SCOPED_TRACE(def.name);
      const InputTypes types = pointers(sample.inputs);
      if (def.meaning) {
        expect_round_trip(instantiate(def, types, sample.attrs), def.name);
        ++meanings;
      } else if (def.decompose) {  // the meanings of its parts
        const ir::Graph body = decompose(def, types, sample.attrs);
        for (const ir::Node& node : body.nodes())
          if (registry().get(node.op).meaning) {
            const std::string text = print_meaning(instantiate(body, node), node.op);
            EXPECT_EQ(text, print_meaning(parse_meaning(text), node.op));
          }
      }
    }
  EXPECT_GT(meanings, 50);
}

TEST(MeaningText, reads_as_the_definition) {
  const auto size = [](const char* name) { return sym::Expr::symbol(name); };
  const ir::ValueType x{DType::f32, {size("N"), size("K")}}, y{DType::f32, {size("K"), size("M")}};
  EXPECT_EQ(print_meaning(instantiate(registry().get("matmul"), {&x, &y}, {}), "matmul"),
            "matmul(x0: f32[N, K], x1: f32[K, M]) -> f32[N, M]\n"
            "out(i0, i1) = sum(r1 < K, x0(i0, r1) * x1(r1, i1))\n");
}

TEST(MeaningText, names_shared_subexpressions) {
  ir::Meaning m;
  m.pool = std::make_unique<ir::ExprPool>();
  m.inputs = {{DType::f32, {4}}};
  ir::Expr e =
      m.pool->read(0, DType::f32, std::array{m.pool->variable({ir::Var::Kind::output, 0})});
  for (int k = 0; k < 60; ++k) e = e * e;  // 2^60 factors when written out
  m.outputs = {{{4}, e}};
  const std::string text = print_meaning(m, "f");
  EXPECT_LT(text.size(), 2000u);
  EXPECT_EQ(text, print_meaning(parse_meaning(text), "f"));
}

TEST(MeaningText, symbolic_sizes_and_requirements_round_trip) {
  const std::string text =
      "f(x0: f16[2*N + 1, div(`a b`, 3)], x1: none) -> f16[N]\n"
      "out(i0) = select(lt(i0, size(2*N - 1)), x0(i0 * 2, 0), 0.5:f16 - (x0(i0, 1) - 1e-05:f16))\n"
      "where 2*N >= 3 \"too \\\"small\\\"\"\n";
  EXPECT_EQ(print_meaning(parse_meaning(text), "f"), text);
}

TEST(MeaningText, refuses_what_is_ill_typed) {
  const auto refused = [](const std::string& body) {
    EXPECT_THROW(parse_meaning("f(x0: f32[4]) -> f32[4]\nout(i0) = " + body), UserError) << body;
  };
  for (const char* body : {"i0", "x0(i0) + 1", "x0(x0(i0))", "x0()", "x1(i0)", "r1 + 1", "exp()",
                           "nothing(1.0)", "x0(i1)", "x0(i0", "sum(r1 < 4, r2)", "0.5:i64"})
    refused(body);
  refused(std::string(100000, '('));
}

}  // namespace
}  // namespace tessera::ops
