// SPDX-License-Identifier: Apache-2.0
// Every record on every one of its samples: inference, the evaluators against each other, empty
// tensors, NaN, and a check of each claimed trait.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/check.h"
#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

/// Floats in [-2, 2), integers in [0, top].
Tensor random_tensor(const ir::ValueType& type, Rng& rng, int64_t top) {
  Tensor tensor(type.dtype, type.concrete_shape());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const double unit = rng.uniform();
    if (is_float(type.dtype)) tensor.set_float(i, 4 * unit - 2);
    else
      tensor.set_integer(i,
                         std::min(top, static_cast<int64_t>(unit * static_cast<double>(top + 1))));
  }
  return tensor;
}

std::vector<Tensor> random_inputs(const Sample& sample, uint64_t seed, int64_t top) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (const ir::ValueType& type : sample.inputs)
    inputs.push_back(type.opaque ? Tensor{} : random_tensor(type, rng, top));
  return inputs;
}

InputTypes pointers(const std::vector<ir::ValueType>& types) {
  InputTypes result;
  for (const ir::ValueType& t : types) result.push_back(t.opaque ? nullptr : &t);
  return result;
}

std::vector<Tensor> run(const OpDef& def, const Sample& sample, const std::vector<Tensor>& inputs,
                        Tier tier, bool wide) {
  std::vector<Tensor> given = inputs;
  for (Tensor& t : given) t = t.converted(evaluated_type(t.type(), wide));
  return evaluate_node(def, sample.attrs, pointers(sample.inputs), given, {},
                       {.tier = tier, .wide = wide});
}

/// The types that inference gives. Throws UserError when the record refuses the sample.
std::vector<ir::ValueType> inferred(const OpDef& def, const Sample& sample,
                                    const std::vector<Tensor>& inputs) {
  check_signature(def, sample.inputs.size(), sample.attrs);
  std::vector<const Tensor*> values;
  for (const Tensor& t : inputs) values.push_back(&t);
  return infer(def, pointers(sample.inputs), sample.attrs, {}, values);
}

double tolerance(DType type) {
  switch (type) {
    case DType::f64: return 1e-12;
    case DType::f32: return 2e-5;
    case DType::f16: return 1e-2;
    case DType::bf16: return 8e-2;
    default: return 0;
  }
}

/// The first difference of two tensors, relative to the larger of |a| and 1; nothing if they agree.
std::optional<std::string> difference(const Tensor& a, const Tensor& b, double relative) {
  if (a.shape() != b.shape())
    return fmt::format("shapes {} and {}", shape_to_string(a.shape()), shape_to_string(b.shape()));
  if (is_float(a.type()) != is_float(b.type())) return "a float and an integer type";
  for (int64_t i = 0; i < a.size(); ++i) {
    if (!is_float(a.type())) {
      if (a.integer_at(i) != b.integer_at(i))
        return fmt::format("element {}: {} and {}", i, a.integer_at(i), b.integer_at(i));
      continue;
    }
    const double x = a.float_at(i), y = b.float_at(i);
    if ((std::isnan(x) && std::isnan(y)) || x == y) continue;
    if (!(std::fabs(x - y) <= relative * std::max(1.0, std::fabs(x))))
      return fmt::format("element {}: {} and {}", i, x, y);
  }
  return std::nullopt;
}

/// Evaluates a sample in all ways and compares types and values.
void check_sample(const OpDef& def, const Sample& sample, const std::vector<Tensor>& inputs) {
  const std::vector<ir::ValueType> types = inferred(def, sample, inputs);
  const auto wide = run(def, sample, inputs, Tier::tree, true);
  const auto native = run(def, sample, inputs, Tier::tree, false);
  const auto loops = run(def, sample, inputs, Tier::loops, true);
  ASSERT_EQ(types.size(), wide.size());
  ASSERT_EQ(types.size(), native.size());
  ASSERT_EQ(types.size(), loops.size());
  for (size_t k = 0; k < types.size(); ++k) {
    SCOPED_TRACE(fmt::format("output {}: {}", k, types[k].to_string()));
    EXPECT_EQ(native[k].type(), types[k].dtype);
    EXPECT_EQ(wide[k].type(), evaluated_type(types[k].dtype, true));
    EXPECT_EQ(shape_to_string(native[k].shape()), shape_to_string(types[k].concrete_shape()));
    if (def.impure) continue;
    EXPECT_EQ(difference(wide[k], native[k], tolerance(types[k].dtype)).value_or(""), "");
    EXPECT_EQ(difference(wide[k], loops[k], 1e-12).value_or(""), "");
  }
}

/// Integer inputs may be indices: the largest value is lowered until the record accepts them.
void check_random_sample(const OpDef& def, const Sample& sample, uint64_t seed) {
  for (const int64_t top : {3, 1, 0}) {
    const auto inputs = random_inputs(sample, seed, top);
    try {
      check_sample(def, sample, inputs);
      return;
    } catch (const UserError&) {
      if (top == 0) throw;
    }
  }
}

std::string describe(const OpDef& def, const Sample& sample) {
  std::string text = def.name + "(";
  for (const ir::ValueType& t : sample.inputs) text += t.to_string() + " ";
  return text + ")";
}

class Record : public testing::TestWithParam<const OpDef*> {};

TEST_P(Record, agrees_with_itself_on_its_samples) {
  const OpDef& def = *GetParam();
  EXPECT_FALSE(def.doc.empty());
  EXPECT_EQ((def.meaning ? 1 : 0) + (def.decompose ? 1 : 0) + (def.opaque ? 1 : 0), 1);
  EXPECT_TRUE(def.structural || !def.samples.empty()) << "a record needs samples";
  for (const Sample& sample : def.samples) {
    SCOPED_TRACE(describe(def, sample));
    for (const uint64_t seed : {1, 2}) EXPECT_NO_THROW(check_random_sample(def, sample, seed));
  }
}

// One extent at a time becomes 0 wherever it occurs; a record may refuse that, but not fail.
TEST_P(Record, accepts_or_refuses_empty_tensors) {
  const OpDef& def = *GetParam();
  for (const Sample& original : def.samples) {
    std::vector<sym::Expr> extents;
    for (const ir::ValueType& t : original.inputs)
      for (const sym::Expr& d : t.shape)
        if (std::find(extents.begin(), extents.end(), d) == extents.end()) extents.push_back(d);
    for (const sym::Expr& extent : extents) {
      Sample sample = original;
      for (ir::ValueType& t : sample.inputs)
        std::replace(t.shape.begin(), t.shape.end(), extent, sym::Expr(0));
      SCOPED_TRACE(describe(def, sample));
      try {
        check_random_sample(def, sample, 3);
      } catch (const UserError&) {
      }
    }
  }
}

TEST_P(Record, propagates_nan_alike_in_every_evaluator) {
  const OpDef& def = *GetParam();
  for (const Sample& sample : def.samples) {
    SCOPED_TRACE(describe(def, sample));
    auto inputs = random_inputs(sample, 4, 0);
    for (Tensor& t : inputs) {
      if (!is_float(t.type()) || t.size() == 0) continue;
      t.set_float(0, std::numeric_limits<double>::quiet_NaN());
      t.set_float(t.size() - 1, std::numeric_limits<double>::infinity());
    }
    try {
      check_sample(def, sample, inputs);
    } catch (const UserError&) {
    }
  }
}

/// f of one or two tensors of type `type` and one shape.
Tensor apply(const OpDef& def, const ir::AttrMap& attrs, const std::vector<Tensor>& inputs,
             DType type) {
  Sample sample;
  sample.attrs = attrs;
  for (const Tensor& t : inputs)
    sample.inputs.push_back({type, {t.shape().begin(), t.shape().end()}});
  return run(def, sample, inputs, Tier::tree, true)[0];
}

Tensor mapped(const Tensor& tensor, double factor) {
  Tensor result(tensor.type(), tensor.shape());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (is_float(tensor.type())) result.set_float(i, factor * tensor.float_at(i));
    else result.set_integer(i, static_cast<int64_t>(factor) * tensor.integer_at(i));
  }
  return result;
}

void expect_monotone(const Tensor& x, const Tensor& y) {
  std::vector<std::pair<double, double>> points;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double at = is_float(x.type()) ? x.float_at(i) : static_cast<double>(x.integer_at(i));
    const double to = is_float(y.type()) ? y.float_at(i) : static_cast<double>(y.integer_at(i));
    if (!std::isnan(to)) points.emplace_back(at, to);
  }
  std::sort(points.begin(), points.end());
  for (size_t i = 1; i < points.size(); ++i)
    EXPECT_LE(points[i - 1].second, points[i].second + 1e-12) << "at " << points[i].first;
}

void check_trait(const OpDef& def, Trait trait, const ir::AttrMap& attrs, DType type, Rng& rng) {
  const ir::ValueType shape{type, {24}};
  const Tensor x = random_tensor(shape, rng, 3), y = random_tensor(shape, rng, 3),
               z = random_tensor(shape, rng, 3);
  const bool binary = def.inputs.size() > 1 || def.inputs[0].variadic;
  const auto f = [&](std::vector<Tensor> inputs) { return apply(def, attrs, inputs, type); };
  if ((trait == Trait::even || trait == Trait::odd) && is_unsigned_integer(type)) return;
  const auto same = [&](const Tensor& a, const Tensor& b) {
    EXPECT_EQ(difference(a, b, 1e-9).value_or(""), "");
  };
  switch (trait) {
    case Trait::commutative: return same(f({x, y}), f({y, x}));
    case Trait::associative: return same(f({f({x, y}), z}), f({x, f({y, z})}));
    case Trait::idempotent: return binary ? same(f({x, x}), x) : same(f({f({x})}), f({x}));
    case Trait::involution: return same(f({f({x})}), x);
    case Trait::monotone: return expect_monotone(x, f({x}));
    case Trait::even: return same(f({mapped(x, -1)}), f({x}));
    case Trait::odd: return same(f({mapped(x, -1)}), mapped(f({x}), -1));
  }
}

TEST_P(Record, has_the_traits_that_it_claims) {
  const OpDef& def = *GetParam();
  Rng rng(5);
  for (const Sample& sample : def.samples) {
    if (sample.inputs.empty()) continue;
    for (const Trait trait : def.traits) {
      SCOPED_TRACE(fmt::format("{} trait {}", describe(def, sample), static_cast<int>(trait)));
      EXPECT_NO_THROW(check_trait(def, trait, sample.attrs, sample.inputs[0].dtype, rng));
    }
  }
}

std::vector<const OpDef*> all_records_by_address() {
  std::vector<const OpDef*> all;
  for (const OpDef& def : registry().all()) all.push_back(&def);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Records, Record, testing::ValuesIn(all_records_by_address()),
                         [](const auto& info) { return info.param->name; });

}  // namespace
}  // namespace tessera::ops
