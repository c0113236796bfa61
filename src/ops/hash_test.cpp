// SPDX-License-Identifier: Apache-2.0
// The hashes, the canonical form and the verifier on graphs that should and should not be told
// apart.
#include "ops/hash.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "ops/canonical.h"
#include "ops/registry.h"
#include "ops/verify.h"

namespace tessera::ops {
namespace {

ir::ValueType square() { return {DType::f32, {4, 4}}; }

Tensor weight(double first) {
  Tensor t(DType::f32, {4, 4});
  t.set_float(0, first);
  return t;
}

TEST(Hash, names_and_order_do_not_count) {
  Builder a;
  const Val x = a.input("x", square());
  const Val e = a.op("exp", {x}), t = a.op("tanh", {x});
  a.output("y", e - t);
  Builder b;
  const Val p = b.input("p", square());
  const Val q = b.op("tanh", {p}, {}, "some_name"), r = b.op("exp", {p});
  b.op("neg", {p});  // dead
  b.output("z", r - q);
  EXPECT_EQ(identity_hash(a.graph()), identity_hash(b.graph()));
  EXPECT_EQ(computation_hash(a.graph()), computation_hash(b.graph()));
}

TEST(Hash, is_the_same_on_every_machine) {
  Builder b;
  b.output("y", matmul(b.input("x", square()), b.constant(weight(1))));
  EXPECT_EQ(identity_hash(b.graph()).to_string(), "7e3bd8a27244bd75af884b2b60f3a868");
  EXPECT_EQ(computation_hash(b.graph()).to_string(), "e9c4d9086c4cc61745a477ef0c23284d");
}

TEST(Hash, identity_tells_weights_types_and_sharing_apart) {
  const auto with = [](double w, bool shared, DType type) {
    Builder b;
    const Val x = b.input("x", {type, {4, 4}});
    const Val c = cast(b.constant(weight(w)), type);
    const Val first = matmul(x, c);
    b.output("y", first * (shared ? first : matmul(x, c)));
    return identity_hash(b.graph());
  };
  EXPECT_EQ(with(1, true, DType::f32), with(1, true, DType::f32));
  EXPECT_NE(with(1, true, DType::f32), with(2, true, DType::f32));
  EXPECT_NE(with(1, true, DType::f32), with(1, false, DType::f32));
  EXPECT_NE(with(1, true, DType::f32), with(1, true, DType::f64));
}

TEST(Hash, computation_abstracts_weights_but_not_which_are_shared) {
  const auto with = [](double w1, double w2, bool same) {
    Builder b;
    const Val x = b.input("x", square());
    const Val u = b.constant(weight(w1)), v = b.constant(weight(w2));
    b.output("y", matmul(matmul(x, u), same ? u : v));
    return computation_hash(b.graph());
  };
  EXPECT_EQ(with(1, 2, false), with(3, 4, false));
  EXPECT_NE(with(1, 2, false), with(1, 2, true));
}

TEST(Hash, computation_flattens_chains_in_any_order) {
  const auto with = [](int variant) {
    Builder b;
    const Val x = b.input("x", square()), y = b.input("y", square()),
              z = b.input("z", {DType::f32, {4}});
    const Val e = b.op("exp", {x}), t = b.op("tanh", {y});
    b.output("out", variant == 0 ? (e + t) + z : variant == 1 ? z + (t + e) : (t + z) + e);
    return std::pair(computation_hash(b.graph()), identity_hash(b.graph()));
  };
  EXPECT_EQ(with(0).first, with(1).first);
  EXPECT_EQ(with(0).first, with(2).first);
  EXPECT_NE(with(0).second, with(1).second);
}

TEST(Canonical, sorts_operands_and_normalizes_attributes) {
  const auto with = [](bool swapped, ir::AttrMap attrs) {
    Builder b;
    const Val x = b.input("x", {DType::f32, {2, 3}}), y = b.input("y", {DType::f32, {2, 3}});
    b.output("out", b.op("softmax", {swapped ? y + x : x + y}, std::move(attrs)));
    const ir::Graph result = canonicalize(b.graph());
    verify(result);
    EXPECT_EQ(identity_hash(result), identity_hash(canonicalize(result)));
    return identity_hash(result);
  };
  const Hash128 expected = with(false, {{"axis", int64_t{1}}});
  EXPECT_EQ(expected, with(true, {{"axis", int64_t{1}}}));
  EXPECT_EQ(expected, with(true, {{"axis", int64_t{-1}}}));
  EXPECT_NE(expected, with(true, {{"axis", int64_t{0}}}));
}

TEST(Canonical, sorts_axes_where_order_means_nothing) {
  const auto with = [](std::string_view op, std::vector<int64_t> axes) {
    Builder b;
    b.output("out", b.op(op, {b.input("x", {DType::f32, {2, 3, 4}})}, {{"axes", axes}}));
    return identity_hash(canonicalize(b.graph()));
  };
  EXPECT_EQ(with("reduce_sum", {2, 0}), with("reduce_sum", {0, -1}));
  EXPECT_NE(with("reduce_sum", {2, 0}), with("reduce_sum", {1, 0}));
}

TEST(Verify, finds_a_wrong_type_and_names_the_node) {
  ir::GraphBuilder b;
  const ir::Value x = b.input("x", square());
  ir::Node node;
  node.op = "exp";
  node.name = "culprit";
  node.inputs = {x};
  node.outputs = {{DType::f32, {4, 5}}};
  b.output("y", {b.add(std::move(node)), 0});
  try {
    verify(b.graph());
    FAIL();
  } catch (const InternalError& e) {
    EXPECT_NE(std::string(e.what()).find("culprit"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("f32[4,5]"), std::string::npos) << e.what();
  }
}

TEST(Verify, refuses_equal_names_unknown_operators_and_attributes) {
  const auto refused = [](auto edit) {
    ir::GraphBuilder b;
    const ir::Value x = b.input("x", square());
    ir::Node node;
    node.op = "exp";
    node.inputs = {x};
    node.outputs = {square()};
    edit(b, node);
    b.output("y", {b.add(std::move(node)), 0});
    EXPECT_THROW(verify(b.graph()), InternalError);
  };
  refused([](auto& b, auto&) { b.input("x", square()); });
  refused([](auto&, auto& node) { node.op = "no_such_operator"; });
  refused([](auto&, auto& node) { node.attrs.emplace("axis", int64_t{1}); });
  refused([](auto& b, auto& node) { b.output("y", node.inputs[0]); });
}

TEST(Verify, accepts_a_sound_graph) {
  Builder b;
  const Val x = b.input("x", square());
  b.output("y", b.op("softmax", {matmul(x, x) + 1.0}));
  verify(b.graph());
}

}  // namespace
}  // namespace tessera::ops
