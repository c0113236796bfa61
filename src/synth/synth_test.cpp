// SPDX-License-Identifier: Apache-2.0
// Identities collide and other pairs do not; the field computes what the reference computes;
// enumeration is complete, distinct and deterministic.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/check.h"
#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"
#include "synth/enumerate.h"

namespace tessera::synth {
namespace {

using Ints = std::vector<int64_t>;

Template make(std::string_view name, int arity, ir::AttrMap attrs = {}) {
  Template t{.def = &ops::registry().get(name), .arity = arity, .attrs = std::move(attrs)};
  if (arity == 2 && (name == "add" || name == "mul" || name == "sub"))
    t.fit = Template::Fit::equal_shapes;
  return t;
}

Vocabulary small() {
  Vocabulary v{.name = "small"};
  v.inputs = {{"x", {2, 3}, 2}, {"w", {3, 3}, 2}};
  Template parts = make("split", 1);
  parts.split_axis = 0;
  parts.first = 2;
  v.templates = {make("matmul", 2),
                 make("add", 2),
                 make("relu", 1),
                 make("concat", 2, {{"axis", int64_t{0}}}),
                 make("transpose", 1, {{"perm", Ints{1, 0}}}),
                 parts};
  return v;
}

/// All single-result graphs of up to `operators` operators by text: bank levels and the last one.
std::map<std::string, uint64_t> all_graphs(const Vocabulary& vocabulary, int operators,
                                           uint64_t seed = 1) {
  Bank bank(vocabulary, Growth::all, seed);
  for (int k = 1; k < operators; ++k) bank.grow();
  std::map<std::string, uint64_t> result;
  for (ValueId v = 0; v < bank.values().size(); ++v)
    if (bank.uses_first_inputs(bank.values()[v].inputs))
      result[bank.text(v)] = bank.values()[v].fingerprint;
  const Shard last = enumerate_shard(bank, operators, 0, 1);
  for (const Record& r : last.records) {
    const Recipe recipe = Recipe::unpack(r.recipe);
    const Application a{recipe.tmpl, recipe.a, recipe.b,
                        bank.compiled(recipe.tmpl, recipe.a, recipe.b)};
    const bool added = result.emplace(bank.text(a, recipe.output), r.fingerprint).second;
    EXPECT_TRUE(added) << "twice: " << bank.text(a, recipe.output);
  }
  return result;
}

/// A second, naive enumeration: values as text, with the set of applications that each needs.
struct Term {
  std::string text;
  ir::ValueType type;
  std::set<std::string> cone;
};

std::vector<Term> naive_terms(const Vocabulary& vocabulary, size_t operators) {
  std::vector<Term> terms;
  for (const InputClass& c : vocabulary.inputs)
    for (int k = 0; k < c.count; ++k)
      terms.push_back({"?" + c.name + std::to_string(k + 1),
                       {DType::f32, ir::Dims(c.shape.begin(), c.shape.end())},
                       {}});
  std::set<std::string> known;
  for (size_t round = 0; round < operators; ++round) {
    const std::vector<Term> operands = terms;
    for (const Template& t : vocabulary.templates)
      for (const Term& a : operands)
        for (const Term& b : operands) {
          if (t.arity == 1 && &b != &operands[0]) break;
          if (t.is_commutative() && b.text > a.text) continue;
          std::set<std::string> cone = a.cone;
          if (t.arity == 2) cone.insert(b.cone.begin(), b.cone.end());
          if (cone.size() + 1 > operators) continue;
          std::vector<ir::ValueType> types{a.type};
          if (t.arity == 2) types.push_back(b.type);
          ops::InputTypes refs;
          for (const auto& type : types) refs.push_back(&type);
          const auto attrs = t.attributes(types);
          if (!attrs) continue;
          std::vector<ir::ValueType> results;
          try {
            results = ops::infer(*t.def, refs, *attrs);
          } catch (const UserError&) {
            continue;
          }
          const std::string name =
              t.to_string() + "(" + a.text + (t.arity == 2 ? "," + b.text : "") + ")";
          if (!known.insert(name).second) continue;
          cone.insert(name);
          for (size_t k = 0; k < results.size(); ++k) {
            int64_t size = 1;
            for (int64_t d : results[k].concrete_shape()) size *= d;
            if (size <= vocabulary.max_elements)
              terms.push_back({name + "." + std::to_string(k), results[k], cone});
          }
        }
  }
  return terms;
}

}  // namespace

TEST(Synth, identities_have_one_fingerprint) {
  const auto all = all_graphs(small(), 3);
  const std::pair<const char*, const char*> equal[] = {
      {"(matmul ?x1 (add ?w2 ?w1))", "(add (matmul ?x1 ?w2) (matmul ?x1 ?w1))"},
      {"(matmul (matmul ?x1 ?w1) ?w2)", "(matmul ?x1 (matmul ?w1 ?w2))"},
      {"(transpose[perm={1, 0}] (matmul ?w1 ?w2))",
       "(matmul (transpose[perm={1, 0}] ?w2) (transpose[perm={1, 0}] ?w1))"},
      {"(matmul (concat[axis=0] ?x1 ?x2) ?w1)",
       "(concat[axis=0] (matmul ?x1 ?w1) (matmul ?x2 ?w1))"},
      {"(split[axis=0, sizes={2, 2}] (concat[axis=0] ?x1 ?x2)).0", "?x1"},
      {"(split[axis=0, sizes={2, 3}] (concat[axis=0] ?x1 ?w1)).1", "?w1"},
      {"(transpose[perm={1, 0}] (transpose[perm={1, 0}] ?x1))", "?x1"},
      {"(relu (relu ?x1))", "(relu ?x1)"},
      {"(relu (transpose[perm={1, 0}] ?x1))", "(transpose[perm={1, 0}] (relu ?x1))"},
  };
  for (const auto& [left, right] : equal) {
    ASSERT_TRUE(all.contains(left)) << left;
    ASSERT_TRUE(all.contains(right)) << right;
    EXPECT_EQ(all.at(left), all.at(right)) << left << " = " << right;
  }
}

TEST(Synth, what_is_not_equal_differs) {
  const auto all = all_graphs(small(), 3);
  const std::pair<const char*, const char*> different[] = {
      {"(matmul ?w1 ?w2)", "(matmul ?w2 ?w1)"},
      {"(relu (add ?x2 ?x1))", "(add (relu ?x2) (relu ?x1))"},
      {"(concat[axis=0] ?x1 ?x2)", "(concat[axis=0] ?x2 ?x1)"},
      {"(transpose[perm={1, 0}] ?w1)", "?w1"},
      {"(transpose[perm={1, 0}] (matmul ?w1 ?w2))",
       "(matmul (transpose[perm={1, 0}] ?w1) (transpose[perm={1, 0}] ?w2))"},
      {"(relu ?x1)", "?x1"},
      {"(matmul ?x1 (relu ?w1))", "(relu (matmul ?x1 ?w1))"},
      {"(split[axis=0, sizes={2, 2}] (concat[axis=0] ?x1 ?x2)).1", "?x1"},
  };
  for (const auto& [left, right] : different) {
    ASSERT_TRUE(all.contains(left)) << left;
    ASSERT_TRUE(all.contains(right)) << right;
    EXPECT_NE(all.at(left), all.at(right)) << left << " = " << right;
  }
}

// With Growth::all the only graphs that are left out hold two equal values; without relu ∘ relu,
// transposes and splits of concats there are none up to two operators.
TEST(Synth, enumeration_agrees_with_a_naive_one) {
  Vocabulary v = small();
  v.templates = {v.templates[0], v.templates[1], v.templates[3], v.templates[5]};
  v.max_elements = 1000;
  size_t counted = 0;
  Bank bank(v, Growth::all, 1);
  bank.grow();
  bank.grow();
  const auto naive = naive_terms(v, 2);
  EXPECT_EQ(bank.values().size(), naive.size());
  for (const Term& t : naive) counted += t.cone.size() == 1;
  EXPECT_EQ(bank.level_end(1) - bank.level_begin(1), counted);
}

TEST(Synth, shards_partition_the_last_level) {
  const Vocabulary v = small();
  Bank bank(v, Growth::all, 1);
  bank.grow();
  bank.grow();
  const Shard whole = enumerate_shard(bank, 3, 0, 1);
  std::vector<Record> together;
  for (int k = 0; k < 5; ++k) {
    const Shard part = enumerate_shard(bank, 3, k, 5);
    together.insert(together.end(), part.records.begin(), part.records.end());
  }
  std::sort(together.begin(), together.end());
  EXPECT_EQ(together, whole.records);
  EXPECT_GT(whole.records.size(), 5000u);
}

// Every record's first sample of floats on small integers: where the field says that a result is
// whole, it is the number that the reference computes.
TEST(Synth, field_agrees_with_the_reference) {
  int compared = 0, compiled = 0;
  for (const ops::OpDef& def : ops::registry().all()) {
    if (!def.meaning && !def.decompose) continue;
    for (const ops::Sample& sample : def.samples) {
      Rng rng(7);
      ops::InputTypes types;
      std::vector<Tensor> tensors;
      std::vector<std::vector<uint64_t>> residues;
      std::vector<Residues> operands;
      bool floats = sample.inputs.size() <= Kernel::max_inputs;
      for (const ir::ValueType& t : sample.inputs) {
        floats = floats && !t.opaque && is_float(t.dtype);
        types.push_back(&t);
      }
      if (!floats || sample.inputs.empty()) continue;
      for (const ir::ValueType& t : sample.inputs) {
        Tensor values(DType::f64, t.concrete_shape());
        auto& own = residues.emplace_back(static_cast<size_t>(lanes * values.size()));
        for (int64_t i = 0; i < values.size(); ++i) {
          const int64_t element = rng.integer(-9, 9);
          values.set_float(i, static_cast<double>(element));
          for (int lane = 0; lane < lanes; ++lane)
            own[static_cast<size_t>(lane * values.size() + i)] = field_from_integer(element);
        }
        operands.push_back({own.data(), values.size(), 9});
        tensors.push_back(std::move(values));
      }
      try {
        const Instance instance(def, sample.attrs, sample.inputs);
        const auto expected = ops::evaluate_node(def, sample.attrs, types, tensors, {}, {});
        ++compiled;
        for (size_t k = 0; k < expected.size(); ++k) {
          Scratch scratch;
          std::vector<uint64_t> out(static_cast<size_t>(lanes * expected[k].size()) + 1);
          const double bound = instance.run(operands, k, 5, out.data(), scratch);
          if (!(bound < whole_limit) || !is_float(expected[k].type())) continue;
          ++compared;
          for (int64_t i = 0; i < expected[k].size(); ++i) {
            const auto got = static_cast<double>(field_to_integer(out[static_cast<size_t>(i)]));
            ASSERT_EQ(got, expected[k].float_at(i)) << def.name << " element " << i;
            ASSERT_LE(std::abs(got), bound) << def.name;
          }
        }
      } catch (const UserError&) {
        // No form over a field, or the sample's values are not in the operator's domain.
      }
    }
  }
  EXPECT_GT(compiled, 150);
  EXPECT_GT(compared, 80);
  fmt::print("{} samples have a form over the field, {} results compared\n", compiled, compared);
}

TEST(Synth, recipes_round_trip) {
  const Recipe r{200, 123456789, none, 3}, q{0, 0, 134217726, 0};
  for (const Recipe& recipe : {r, q}) {
    const Recipe again = Recipe::unpack(recipe.pack());
    EXPECT_EQ(again.tmpl, recipe.tmpl);
    EXPECT_EQ(again.a, recipe.a);
    EXPECT_EQ(again.b, recipe.b);
    EXPECT_EQ(again.output, recipe.output);
  }
}

TEST(Synth, functions_keep_their_identities_and_no_others) {
  for (uint64_t seed = 1; seed < 50; ++seed) {
    const auto f = [&](ir::Prim p, Number a, Number b = {}) { return apply_number(p, a, b, seed); };
    const Number x = number_of(int64_t{12345}), y = number_of(int64_t{-777});
    const Number odd{mix_bits(seed) % field_prime, false};
    using enum ir::Prim;
    EXPECT_EQ(f(exp, f(add, x, y)).residue, f(mul, f(exp, x), f(exp, y)).residue);
    EXPECT_EQ(f(mul, f(exp, odd), f(exp, f(neg, odd))).residue, 1u);
    EXPECT_EQ(f(tanh, f(neg, x)).residue, f(neg, f(tanh, x)).residue);
    EXPECT_EQ(f(erf, f(neg, odd)).residue, f(neg, f(erf, odd)).residue);
    EXPECT_EQ(f(max, x, y).residue, x.residue);
    EXPECT_EQ(f(max, y, x).residue, x.residue);
    EXPECT_EQ(f(max, odd, y).residue, f(max, y, odd).residue);
    EXPECT_EQ(f(add, f(max, odd, y), f(min, odd, y)).residue, f(add, odd, y).residue);
    EXPECT_NE(f(exp, f(mul, x, y)).residue, f(mul, f(exp, x), f(exp, y)).residue);
    EXPECT_NE(f(erf, f(add, x, x)).residue, f(mul, number_of(int64_t{2}), f(erf, x)).residue);
    EXPECT_NE(f(floor, x).residue, x.residue);
    EXPECT_EQ(f(mul, number_of(0.375), number_of(int64_t{8})).residue, 3u);
  }
}

}  // namespace tessera::synth
