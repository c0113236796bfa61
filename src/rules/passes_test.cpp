// SPDX-License-Identifier: Apache-2.0
// Computed rewrites keep the function; each row makes one instance and says what is left.
#include "rules/passes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/builder.h"
#include "ops/evaluate.h"
#include "rules/sample.h"

namespace tessera::rules {
namespace {

using ops::Builder;
using ops::Val;

// Runs one pass at every node and compares; returns the operators that are left, in order.
std::string run(const char* pass, ir::Graph g) {
  WorkGraph graph(g, {.fold_constants = false});
  const Pass* p = find_pass(pass);
  for (ir::NodeId id = 0; id < graph.node_limit(); ++id)
    if (graph.alive(id) && graph.def(id).name == p->root) p->run(graph, id);
  const ir::Graph after = graph.to_graph();
  Rng rng(1);
  const auto inputs = random_inputs(g, rng, false);
  const auto a = ops::evaluate(g, inputs), b = ops::evaluate(after, inputs);
  for (size_t k = 0; k < a.size(); ++k) {
    EXPECT_EQ(a[k].shape(), b[k].shape());
    for (int64_t i = 0; i < a[k].size(); ++i)
      EXPECT_NEAR(a[k].float_at(i), b[k].float_at(i), 1e-9 * (1 + std::abs(a[k].float_at(i))));
  }
  std::string ops;
  for (const ir::Node& n : after.nodes())
    if (n.op != "input" && n.op != "constant") ops += (ops.empty() ? "" : " ") + n.op;
  return ops;
}

TEST(Passes, attention_runs_over_tiles_of_keys) {
  const auto attention = [](int64_t keys, bool scaled) {
    Builder b;
    const Val q = b.input("q", {DType::f32, {2, 3, 4}}),
              t = b.input("t", {DType::f32, {2, 4, keys}}),
              v = b.input("v", {DType::f32, {2, keys, 5}});
    Val scores = ops::matmul(q, t);
    if (scaled) scores = scores * 0.5;
    b.output("y", ops::matmul(b.op("softmax", {scores}, {{"axis", int64_t{-1}}}), v));
    return std::move(b).finish();
  };
  EXPECT_EQ(run("attention-in-tiles", attention(6, false)),
            "reshape transpose reshape transpose expand expand expand scan div");
  EXPECT_EQ(run("attention-in-tiles", attention(192, true)),
            "reshape transpose reshape transpose expand expand expand scan div");
  EXPECT_EQ(run("attention-in-tiles", attention(7, false)), "matmul softmax matmul");
}

// The number of tiles is a size: one rewritten graph serves all of them.
TEST(Passes, attention_tiles_may_be_a_symbolic_number) {
  const sym::Expr n = sym::Expr::symbol("N");
  const auto attention = [](const sym::Expr& keys) {
    Builder b;
    const Val q = b.input("q", {DType::f32, {3, 4}}), t = b.input("t", {DType::f32, {4, keys}}),
              v = b.input("v", {DType::f32, {keys, 5}});
    b.output("y", ops::matmul(b.op("softmax", {ops::matmul(q, t)}, {{"axis", int64_t{-1}}}), v));
    return std::move(b).finish();
  };
  WorkGraph graph(attention(n * sym::Expr(8)), {.fold_constants = false});
  const ir::NodeId root = graph.results()[0].value.node;
  ASSERT_TRUE(attention_in_tiles(graph, root));
  const ir::Graph after = graph.to_graph();
  const auto scan = std::find_if(after.nodes().begin(), after.nodes().end(),
                                 [](const ir::Node& k) { return k.op == "scan"; });
  ASSERT_NE(scan, after.nodes().end());
  EXPECT_EQ(std::get<ir::Dims>(scan->attrs.at("length")), ir::Dims{n});
}

ir::Graph graph_of(const std::function<Val(Builder&, Val)>& f, ir::Dims shape = {2, 6}) {
  Builder b;
  const Val x = b.input("x", {DType::f32, std::move(shape)});
  b.output("y", f(b, x));
  return std::move(b).finish();
}

TEST(Passes, concatenations_flatten) {
  EXPECT_EQ(run("concat-concat", graph_of([](Builder&, Val x) {
                  return ops::concat({ops::concat({x, ops::exp(x)}, 1), x}, -1);
                })),
            "exp concat");
  EXPECT_EQ(run("concat-concat", graph_of([](Builder&, Val x) {
                  return ops::concat({ops::concat({x, x}, 0), ops::concat({x, x}, 0)}, 1);
                })),
            "concat concat");
}

TEST(Passes, parts_of_a_split_join_again) {
  const auto join = [](bool in_order) {
    return graph_of([=](Builder& b, Val x) {
      auto p = b.op_n("split", {x}, {{"axis", int64_t{1}}, {"sizes", ir::Dims{1, 5}}});
      return ops::concat({p[in_order ? 0 : 1], p[in_order ? 1 : 0]}, 1);
    });
  };
  EXPECT_EQ(run("concat-split", join(true)), "");
  EXPECT_EQ(run("concat-split", join(false)), "split concat");
}

TEST(Passes, a_split_along_seams_takes_the_operands) {
  const auto split = [](ir::Dims sizes) {
    return graph_of([=](Builder& b, Val x) {
      const Val whole = ops::concat({ops::exp(x), ops::tanh(x), x}, 1);
      return b.op_n("split", {whole}, {{"axis", int64_t{1}}, {"sizes", sizes}})[1];
    });
  };
  EXPECT_EQ(run("split-concat", split({12, 6})), "");
  EXPECT_EQ(run("split-concat", split({6, 12})), "tanh concat");
  EXPECT_EQ(run("split-concat", split({5, 13})), "exp tanh concat split");
}

TEST(Passes, slices_combine) {
  EXPECT_EQ(run("slice-slice", graph_of([](Builder&, Val x) {
                  return ops::slice(ops::slice(x, {1}, {1}, {5}), {0, 1}, {1, -3}, {2, 100});
                })),
            "slice");
  EXPECT_EQ(run("slice-concat", graph_of([](Builder&, Val x) {
                  return ops::slice(ops::concat({ops::exp(x), x}, 1), {1}, {7}, {9});
                })),
            "slice");
  EXPECT_EQ(run("slice-concat", graph_of([](Builder&, Val x) {
                  return ops::slice(ops::concat({ops::exp(x), x}, 1), {1}, {5}, {9});
                })),
            "exp concat slice");
}

TEST(Passes, padding_that_is_cut_off_is_not_made) {
  const auto cut = [](ir::Dims pads, ir::Dims starts, ir::Dims ends) {
    return graph_of([=](Builder& b, Val x) {
      return ops::slice(b.op("pad", {x}, {{"pads", pads}}), {0, 1}, starts, ends);
    });
  };
  EXPECT_EQ(run("slice-pad", cut({1, 1, 1, 1}, {1, 1}, {100, 100})), "pad");
  EXPECT_EQ(run("slice-pad", cut({0, 3, 0, 2}, {0, 5}, {2, 7})), "pad");
  EXPECT_EQ(run("slice-pad", cut({0, 3, 0, 2}, {0, 0}, {2, 2})), "pad");
}

TEST(Passes, einsums_become_products) {
  const auto einsum = [](const char* equation, std::vector<ir::Dims> shapes) {
    Builder b;
    std::vector<Val> operands;
    for (const ir::Dims& s : shapes)
      operands.push_back(b.input(fmt::format("x{}", operands.size()), {DType::f32, s}));
    b.output("y", b.op("einsum", operands, {{"equation", std::string(equation)}}));
    return run("einsum-product", std::move(b).finish());
  };
  EXPECT_EQ(einsum("ij,jk->ik", {{2, 3}, {3, 4}}), "matmul");
  EXPECT_EQ(einsum("ij,kj->ki", {{2, 3}, {4, 3}}), "transpose matmul");
  EXPECT_EQ(einsum("bhqd,bhkd->bhqk", {{2, 2, 3, 4}, {2, 2, 5, 4}}), "transpose matmul");
  EXPECT_EQ(einsum("abc,cd,->d", {{2, 3, 4}, {4, 5}, {}}), "einsum");
  EXPECT_EQ(einsum("i,j->ij", {{3}, {4}}), "reshape reshape mul");
  EXPECT_EQ(einsum("abc->ca", {{2, 3, 4}}), "reduce_sum transpose");
  EXPECT_EQ(einsum("abx,bcy->ac", {{2, 3, 4}, {3, 5, 2}}), "reduce_sum reduce_sum matmul");
  EXPECT_EQ(einsum("ijk,jkl", {{2, 3, 4}, {3, 4, 5}}), "reshape reshape matmul");
}

TEST(Passes, matrix_chains_keep_products_that_are_used_elsewhere) {
  Builder b;
  const Val a = b.input("a", {DType::f32, {30, 4}}), c = b.input("b", {DType::f32, {4, 50}}),
            d = b.input("c", {DType::f32, {50, 2}});
  const Val ac = ops::matmul(a, c);
  b.output("ac", ac);
  b.output("y", ops::matmul(ac, d));
  EXPECT_EQ(run("matrix-chain", std::move(b).finish()), "matmul matmul");
}

}  // namespace
}  // namespace tessera::rules
