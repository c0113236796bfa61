// SPDX-License-Identifier: Apache-2.0
// Identities and near-identities of tensor programs with symbolic sizes.
#include "prove/prove.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>

#include "ops/builder.h"
#include "prove/mutation.h"
#include "prove/weaken.h"
#include "rules/passes.h"
#include "rules/rule.h"

namespace tessera::prove {
namespace {

using ops::Builder;
using ops::concat;
using ops::matmul;
using ops::reduce;
using ops::reshape;
using ops::transpose;
using ops::Val;
using Side = std::function<Val(Builder&, std::vector<Val>)>;
using Kind = Verdict::Kind;

sym::Expr s(const char* name) { return sym::Expr::symbol(name); }

Verdict compare(const std::vector<ir::Dims>& shapes, const Side& left, const Side& right,
                ProveOptions options = {}) {
  const auto build = [&](const Side& side) {
    Builder b;
    std::vector<Val> inputs;
    for (size_t k = 0; k < shapes.size(); ++k)
      inputs.push_back(b.input("x" + std::to_string(k), {DType::f32, shapes[k]}));
    b.output("y", side(b, inputs));
    return std::move(b).finish();
  };
  return prove_equal(build(left), build(right), options);
}

const sym::Expr n = s("n"), m = s("m"), k = s("k"), l = s("l"), h = s("h");

TEST(Prove, products_distribute_and_associate) {
  Verdict v = compare(
      {{n, k}, {k, m}, {k, m}},
      [](auto&, auto x) { return matmul(x[0], x[1]) + matmul(x[0], x[2]); },
      [](auto&, auto x) { return matmul(x[0], x[1] + x[2]); });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  v = compare(
      {{n, k}, {k, l}, {l, m}}, [](auto&, auto x) { return matmul(matmul(x[0], x[1]), x[2]); },
      [](auto&, auto x) { return matmul(x[0], matmul(x[1], x[2])); });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
}

TEST(Prove, transposed_product) {
  const Verdict v = compare(
      {{n, k}, {k, m}},
      [](auto&, auto x) {
        return transpose(matmul(x[0], x[1]), {1, 0});
      },
      [](auto&, auto x) {
        return matmul(transpose(x[1], {1, 0}), transpose(x[0], {1, 0}));
      });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
}

TEST(Prove, refutes_with_a_counterexample) {
  Verdict v = compare(
      {{n, n}, {n, n}}, [](auto&, auto x) { return matmul(x[0], x[1]); },
      [](auto&, auto x) { return matmul(x[1], x[0]); });
  EXPECT_EQ(v.kind, Kind::refuted);
  EXPECT_NE(v.reason.find("on the left"), std::string::npos) << v.reason;
  v = compare(
      {{n, k}, {k, m}}, [](auto&, auto x) { return matmul(x[0], x[1]) * 2.0; },
      [](auto&, auto x) { return matmul(x[0], x[1]) * 3.0; });
  EXPECT_EQ(v.kind, Kind::refuted);
}

TEST(Prove, products_over_concatenations_of_unequal_widths) {
  Verdict v = compare(
      {{n, k}, {k, m}, {k, l}},
      [](auto&, auto x) {
        return concat({matmul(x[0], x[1]), matmul(x[0], x[2])}, 1);
      },
      [](auto&, auto x) {
        return matmul(x[0], concat({x[1], x[2]}, 1));
      });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  v = compare(
      {{n, k}, {k, m}, {n, l}, {l, m}},
      [](auto&, auto x) { return matmul(x[0], x[1]) + matmul(x[2], x[3]); },
      [](auto&, auto x) {
        return matmul(concat({x[0], x[2]}, 1), concat({x[1], x[3]}, 0));
      });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  v = compare(
      {{n, k}, {k, m}, {n, l}, {l, m}},
      [](auto&, auto x) { return matmul(x[0], x[1]) + matmul(x[2], x[3]); },
      [](auto&, auto x) {
        return matmul(concat({x[2], x[0]}, 1), concat({x[1], x[3]}, 0));
      });
  EXPECT_NE(v.kind, Kind::proved);
}

TEST(Prove, functions_over_concatenations) {
  const Verdict v = compare(
      {{n, k}, {m, k}},
      [](auto& b, auto x) {
        return b.op("relu", {concat({x[0], x[1]}, 0)});
      },
      [](auto& b, auto x) {
        return concat({b.op("relu", {x[0]}), b.op("relu", {x[1]})}, 0);
      });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
}

TEST(Prove, reshapes) {
  Verdict v = compare(
      {{n, m, k}},
      [](auto&, auto x) {
        return reshape(reshape(x[0], {n * m, k}), {n, m * k});
      },
      [](auto&, auto x) {
        return reshape(x[0], {n, m * k});
      });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  v = compare(
      {{n, m}},
      [](auto&, auto x) {
        return reshape(x[0], {m, n});
      },
      [](auto&, auto x) {
        return transpose(x[0], {1, 0});
      });
  EXPECT_EQ(v.kind, Kind::refuted) << v.reason;
}

Val naive_softmax(Val x) {
  const Val e = ops::exp(x);
  return e / reduce("reduce_sum", e, {-1});
}

TEST(Prove, softmax) {
  Verdict v = compare(
      {{n, m}}, [](auto& b, auto x) { return b.op("softmax", {x[0]}); },
      [](auto&, auto x) { return naive_softmax(x[0]); });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  v = compare(
      {{n, m}, {n, 1}}, [](auto&, auto x) { return naive_softmax(x[0] - x[1]); },
      [](auto&, auto x) { return naive_softmax(x[0]); });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  v = compare(
      {{n, m}, {1, m}}, [](auto&, auto x) { return naive_softmax(x[0] - x[1]); },
      [](auto&, auto x) { return naive_softmax(x[0]); });
  EXPECT_EQ(v.kind, Kind::refuted) << v.reason;
}

// FlashAttention's identity for two tiles: each with its own maximum, rescaled to the joint one.
Val tiled_attention(Builder& b, const std::vector<Val>& x, bool rescale) {
  std::vector<Val> largest, sums, products;
  for (int tile = 0; tile < 2; ++tile) {
    const Val scores = matmul(x[0], transpose(x[1 + 2 * tile], {1, 0}));
    largest.push_back(reduce("reduce_max", scores, {1}));
    const Val e = ops::exp(scores - largest.back());
    sums.push_back(reduce("reduce_sum", e, {1}));
    products.push_back(matmul(e, x[2 + 2 * tile]));
  }
  const Val joint = b.op("max", {largest[0], largest[1]});
  const auto factor = [&](int tile) {
    return rescale ? ops::exp(largest[tile] - joint) : ops::exp(joint - joint);
  };
  return (products[0] * factor(0) + products[1] * factor(1)) /
         (sums[0] * factor(0) + sums[1] * factor(1));
}

TEST(Prove, attention_in_two_tiles_of_any_size) {
  const std::vector<ir::Dims> shapes{{n, k}, {m, k}, {m, h}, {l, k}, {l, h}};
  const Side whole = [](Builder& b, const std::vector<Val>& x) {
    const Val scores = matmul(x[0], transpose(concat({x[1], x[3]}, 0), {1, 0}));
    return matmul(b.op("softmax", {scores}), concat({x[2], x[4]}, 0));
  };
  Verdict v = compare(shapes, whole, [](auto& b, auto x) { return tiled_attention(b, x, true); });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  v = compare(shapes, whole, [](auto& b, auto x) { return tiled_attention(b, x, false); });
  EXPECT_EQ(v.kind, Kind::refuted) << v.reason;
}

// A graph's outputs for given inputs, inside of another one.
std::vector<Val> inlined(Builder& b, const ir::Graph& graph, const std::vector<Val>& inputs) {
  std::map<ir::NodeId, std::vector<Val>> values;
  for (size_t k = 0; k < inputs.size(); ++k) values[graph.inputs()[k]] = {inputs[k]};
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& node = graph.node(id);
    if (node.op == "input") continue;
    std::vector<Val> operands;
    for (ir::Value v : node.inputs) operands.push_back(values.at(v.node)[v.index]);
    if (const Tensor* t = graph.constant({id, 0})) values[id] = {b.constant(*t)};
    else values[id] = b.op_n(node.op, operands, node.attrs);
  }
  std::vector<Val> outputs;
  for (const ir::GraphOutput& o : graph.outputs())
    outputs.push_back(values.at(o.value.node)[o.value.index]);
  return outputs;
}

// Maximum, sum and weighted values of all keys.
std::vector<Val> attention_state(Val q, Val t, Val v) {
  const Val scores = matmul(q, t), largest = reduce("reduce_max", scores, {-1});
  const Val e = ops::exp(scores - largest);
  return {largest, reduce("reduce_sum", e, {-1}), matmul(e, v)};
}

// FlashAttention's identity for any number of tiles, by induction over the scan that the pass
// `attention-in-tiles` makes: from the state of the keys seen so far its body makes the state of
// these and one tile more; at last the weighted values over the sum are attention.
TEST(Prove, attention_in_a_symbolic_number_of_tiles) {
  const sym::Expr keys = 8 * m;
  Builder whole;
  const Val q = whole.input("q", {DType::f32, {n, k}}),
            t = whole.input("t", {DType::f32, {k, keys}}),
            v = whole.input("v", {DType::f32, {keys, h}});
  const Val attention = matmul(whole.op("softmax", {matmul(q, t)}), v);
  whole.output("y", attention);
  rules::WorkGraph graph(std::move(whole).finish());
  ASSERT_TRUE(rules::attention_in_tiles(graph, graph.results()[0].value.node));
  const ir::Graph tiled = graph.to_graph();
  std::shared_ptr<const ir::Graph> body;
  for (const ir::Node& node : tiled.nodes())
    if (node.op == "scan") body = node.regions.at(0);
  ASSERT_TRUE(body);
  const auto build = [&](const std::function<std::vector<Val>(Builder&, std::vector<Val>)>& side) {
    Builder b;
    const std::vector<Val> x{b.input("q", {DType::f32, {n, k}}), b.input("t", {DType::f32, {k, l}}),
                             b.input("v", {DType::f32, {l, h}}),
                             b.input("more_t", {DType::f32, {k, 8}}),
                             b.input("more_v", {DType::f32, {8, h}})};
    for (const Val& y : side(b, x)) b.output("y", y);
    return std::move(b).finish();
  };
  const ir::Graph together = build([](Builder&, std::vector<Val> x) {
    return attention_state(x[0], concat({x[1], x[3]}, 1), concat({x[2], x[4]}, 0));
  });
  const auto stepped = [&](bool swapped) {
    return build([&](Builder& b, std::vector<Val> x) {
      std::vector<Val> state = attention_state(x[0], x[1], x[2]);
      if (swapped) state[1] = state[1] + state[1];  // no invariant
      return inlined(b, *body, {state[0], state[1], state[2], x[3], x[4], x[0]});
    });
  };
  Verdict verdict = prove_equal(together, stepped(false), {});
  EXPECT_EQ(verdict.kind, Kind::proved) << verdict.reason;
  verdict = prove_equal(together, stepped(true), {});
  EXPECT_EQ(verdict.kind, Kind::refuted) << verdict.reason;
  // The first tile, from the state of no keys at all.
  const ir::Graph alone =
      build([](Builder&, std::vector<Val> x) { return attention_state(x[0], x[3], x[4]); });
  const ir::Graph first = build([&](Builder& b, std::vector<Val> x) {
    const auto filled = [&](double value, ir::Dims shape) {
      return ops::expand(b.scalar(value, DType::f32), std::move(shape));
    };
    const double low = -std::numeric_limits<double>::infinity();
    return inlined(b, *body,
                   {filled(low, {n, 1}), filled(0, {n, 1}), filled(0, {n, h}), x[3], x[4], x[0]});
  });
  verdict = prove_equal(alone, first, {});
  EXPECT_EQ(verdict.kind, Kind::proved) << verdict.reason;
  verdict = compare(
      {{n, k}, {k, l}, {l, h}},
      [](auto& b, auto x) { return matmul(b.op("softmax", {matmul(x[0], x[1])}), x[2]); },
      [](auto&, auto x) {
        const auto state = attention_state(x[0], x[1], x[2]);
        return state[2] / state[1];
      });
  EXPECT_EQ(verdict.kind, Kind::proved) << verdict.reason;
}

TEST(Prove, convolutions_merged_along_output_channels_need_one_group) {
  const std::vector<ir::Dims> shapes{{n, k, h, s("w")}, {m, k, 3, 3}, {l, k, 3, 3}};
  const auto conv = [](Builder& b, Val x, Val w, int64_t group) {
    return b.op("conv", {x, w}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"group", group}});
  };
  Verdict v = compare(
      shapes,
      [&](auto& b, auto x) {
        return concat({conv(b, x[0], x[1], 1), conv(b, x[0], x[2], 1)}, 1);
      },
      [&](auto& b, auto x) {
        return conv(b, x[0], concat({x[1], x[2]}, 0), 1);
      });
  EXPECT_EQ(v.kind, Kind::proved) << v.reason;
  const std::vector<ir::Dims> grouped{{n, 2 * k, h, s("w")}, {2 * m, k, 3, 3}, {2 * l, k, 3, 3}};
  v = compare(
      grouped,
      [&](auto& b, auto x) {
        return concat({conv(b, x[0], x[1], 2), conv(b, x[0], x[2], 2)}, 1);
      },
      [&](auto& b, auto x) {
        return conv(b, x[0], concat({x[1], x[2]}, 0), 2);
      });
  EXPECT_EQ(v.kind, Kind::refuted) << v.reason;
}

TEST(Prove, legality_is_part_of_equality) {
  // The right side divides by y, which may be 0.
  const Verdict v = compare(
      {{n}, {n}}, [](auto&, auto x) { return x[0] + x[1] * 0.0; },
      [](auto&, auto x) { return x[0] * x[1] / x[1]; });
  EXPECT_NE(v.kind, Kind::proved);
}

Verdict rule(const std::string& text) { return prove(rules::parse_rule(text, "test", 1)); }

TEST(Prove, rules_and_their_conditions) {
  EXPECT_EQ(rule("a : (add (mul ?a ?b) (mul ?a ?c)) => (mul ?a (add ?b ?c)) mode real").kind,
            Kind::proved);
  EXPECT_EQ(rule("a : (transpose[perm=?q] (transpose[perm=?p] ?x)) => (transpose[perm=(compose "
                 "(permutation ?p ?x) (permutation ?q ?x))] ?x) mode exact")
                .kind,
            Kind::proved);
  EXPECT_EQ(rule("a : (add ?x 0) => ?x mode exact").kind, Kind::refuted);
  EXPECT_EQ(rule("a : (sub ?x ?y) => (sub ?y ?x) mode real").kind, Kind::refuted);
  const Verdict v = rule(
      "a : (clip (clip ?x ?a ?b) ?c ?d) => (clip ?x (max ?a ?c) (min ?b ?d)) if (<= (value ?a) "
      "(value ?d)) (<= (value ?c) (value ?b)) (<= (value ?a) (value ?b)) (<= (value ?c) (value "
      "?d)) mode real on ?x[n,m] ?a[] ?b[]>0 ?c[] ?d[]>0");
  EXPECT_TRUE(v.holds()) << v.reason;
}

TEST(Prove, finds_the_weakest_condition) {
  const auto graph = [](bool product) {
    Builder b;
    const Val x = b.input("x", {DType::f32, {n, m}}), y = b.input("y", {DType::f32, {k, l}});
    b.output("y", product ? matmul(x, y)
                          : matmul(x, y) + reduce("reduce_sum", x, {0, 1}) -
                                reduce("reduce_sum", transpose(x, {1, 0}), {0, 1}));
    return std::move(b).finish();
  };
  EXPECT_TRUE(weakest_conditions(graph(true), graph(false)).at(0).empty());
  // x − max over its columns is 0 where there is one column.
  const auto columns = [](bool zero) {
    Builder b;
    const Val x = b.input("x", {DType::f32, {n, m}});
    b.output("y", zero ? x * 0.0 : x - reduce("reduce_max", x, {1}));
    return std::move(b).finish();
  };
  const auto found = weakest_conditions(columns(false), columns(true));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0][0].text, "m = 1");
}

TEST(Prove, wrong_meanings_are_not_proved) {
  const MutationReport report = mutate(
      rules::parse_rule("a : (matmul (add ?a ?b) ?c) => (add (matmul ?a ?c) (matmul ?b ?c)) if (= "
                        "(shape ?a) (shape ?b)) mode real on ?a[n,k] ?b[n,k] ?c[k,m]",
                        "test", 1),
      1);
  EXPECT_GT(report.mutants, 10);
  EXPECT_EQ(report.detected + report.equivalent, report.mutants);
  EXPECT_TRUE(report.missed.empty());
}

TEST(Prove, verdicts_repeat) {
  const char* text =
      "a : (matmul (add ?a ?b) ?c) => (add (matmul ?a ?c) (matmul ?b ?c)) if (= "
      "(shape ?a) (shape ?b)) mode real on ?a[n,k] ?b[n,k] ?c[k,m]";
  const Verdict a = rule(text), b = rule(text);
  EXPECT_EQ(a.kind, Kind::proved) << a.reason;
  EXPECT_EQ(a.how, b.how);
  EXPECT_EQ(a.instances, b.instances);
}

}  // namespace
}  // namespace tessera::prove
