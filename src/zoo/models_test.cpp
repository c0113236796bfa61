// SPDX-License-Identifier: Apache-2.0
// Every built-in model builds with the shapes it should have, and small ones tell inputs apart.
#include "zoo/models.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "ops/evaluate.h"

namespace tessera::zoo {
namespace {

std::map<std::string, int> histogram(const ir::Graph& graph) {
  std::map<std::string, int> counts;
  for (const ir::Node& node : graph.nodes()) ++counts[node.op];
  return counts;
}

std::string output_type(const ir::Graph& graph) {
  return graph.type(graph.outputs().at(0).value).to_string();
}

std::vector<Tensor> inputs_of(const ir::Graph& graph, uint64_t seed) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (const ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    Tensor t(type.dtype, type.concrete_shape());
    const double offset = rng.normal();
    for (int64_t i = 0; i < t.size(); ++i) {
      if (is_float(type.dtype)) t.set_float(i, offset + rng.normal());
      else t.set_integer(i, rng.integer(0, 999));
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}

// Finite outputs of a sensible size, and a clear difference between two inputs.
void expect_alive(const ir::Graph& graph) {
  const auto a = ops::evaluate(graph, inputs_of(graph, 1)),
             b = ops::evaluate(graph, inputs_of(graph, 2));
  double power = 0, difference = 0;
  for (int64_t i = 0; i < a[0].size(); ++i) {
    const double x = a[0].float_at(i), y = b[0].float_at(i);
    ASSERT_TRUE(std::isfinite(x) && std::isfinite(y)) << graph.name();
    power += x * x;
    difference += (x - y) * (x - y);
  }
  const double deviation = std::sqrt(power / static_cast<double>(a[0].size()));
  EXPECT_GT(deviation, 0.02) << graph.name();
  EXPECT_LT(deviation, 50) << graph.name();
  EXPECT_GT(std::sqrt(difference / power), 0.05) << graph.name();
}

TEST(Zoo, convolutional_models_have_the_shapes_of_their_originals) {
  EXPECT_EQ(output_type(build("squeezenet1_1", {})), "f32[1,1000]");
  EXPECT_EQ(output_type(build("resnet50", {.batch = 2})), "f32[2,1000]");
  EXPECT_EQ(output_type(build("unet", {})), "f32[1,4,32,32]");
  EXPECT_EQ(output_type(build("nasrnn", {.batch = 3, .seq = 2})), "f32[3,512]");
}

TEST(Zoo, transformers_have_the_shapes_of_their_originals) {
  EXPECT_EQ(output_type(build("bert_base", {.seq = 16, .layers = 1})), "f32[1,16,768]");
  EXPECT_EQ(output_type(build("gpt2", {.batch = 2, .seq = 8, .layers = 1})), "f32[2,8,768]");
  EXPECT_EQ(output_type(build("llama", {.seq = 8, .layers = 1})), "f32[1,8,1024]");
  EXPECT_EQ(output_type(build("vit_b_16", {.layers = 1})), "f32[1,1000]");
}

TEST(Zoo, resnet50_has_as_many_nodes_as_the_export) {
  auto counts = histogram(build("resnet50", {}));
  EXPECT_EQ(counts["conv"], 53);
  EXPECT_EQ(counts["batch_normalization"], 53);
  EXPECT_EQ(counts["relu"], 49);
  EXPECT_EQ(counts["add"], 16);
  EXPECT_EQ(counts["gemm"], 1);
}

TEST(Zoo, inception_v3_has_as_many_nodes_as_the_export) {
  auto counts = histogram(build("inception_v3", {}));
  EXPECT_EQ(counts["conv"], 94);
  EXPECT_EQ(counts["concat"], 11);
  EXPECT_EQ(counts["average_pool"], 9);
  EXPECT_EQ(counts["max_pool"], 4);
}

TEST(Zoo, nasnet_a_has_as_many_nodes_as_the_export) {
  const ir::Graph graph = build("nasnet_a", {});
  auto counts = histogram(graph);
  EXPECT_EQ(output_type(graph), "f32[1,1000]");
  EXPECT_EQ(counts["conv"], 488);
  EXPECT_EQ(counts["relu"], 180);
  EXPECT_EQ(counts["average_pool"], 52);
  EXPECT_EQ(counts["max_pool"], 4);
  EXPECT_EQ(counts["batch_normalization"], 4);
  EXPECT_EQ(counts["pad"], 28);
}

TEST(Zoo, bert_base_has_as_many_nodes_as_the_export) {
  auto counts = histogram(build("bert_base", {}));
  EXPECT_EQ(counts["matmul"], 96);
  EXPECT_EQ(counts["add"], 122);
  EXPECT_EQ(counts["mul"], 36);
  EXPECT_EQ(counts["layer_normalization"], 25);
  EXPECT_EQ(counts["reshape"], 48);
  EXPECT_EQ(counts["transpose"], 48);
  EXPECT_EQ(counts["erf"], 12);
  EXPECT_EQ(counts["softmax"], 12);
}

TEST(Zoo, same_seed_gives_the_same_weights) {
  const ir::Graph a = build("nasrnn", {.seq = 1}), b = build("nasrnn", {.seq = 1}),
                  c = build("nasrnn", {.seq = 1, .seed = 2});
  bool differs = false;
  for (ir::NodeId id = 0; id < a.node_count(); ++id) {
    const Tensor* weight = a.constant({id, 0});
    if (weight == nullptr) continue;
    EXPECT_TRUE(identical(*weight, *b.constant({id, 0})));
    differs = differs || !identical(*weight, *c.constant({id, 0}));
  }
  EXPECT_TRUE(differs);
}

TEST(Zoo, small_models_tell_inputs_apart) {
  expect_alive(build("resnet50", {.image = 32}));
  expect_alive(build("resnext50", {.image = 32}));
  expect_alive(build("squeezenet1_1", {.image = 48}));
  expect_alive(build("vgg19", {.image = 32}));
  expect_alive(build("unet", {.seq = 4, .image = 8}));
  expect_alive(build("nasrnn", {.seq = 2}));
  expect_alive(build("bert_base", {.seq = 8, .layers = 2}));
  expect_alive(build("gpt2", {.seq = 8, .layers = 2}));
  expect_alive(build("llama", {.seq = 8, .layers = 2}));
  expect_alive(build("vit_b_16", {.layers = 2, .image = 32}));
  expect_alive(build("nasnet_a", {.layers = 1, .image = 63}));
  expect_alive(build("inception_v3", {.image = 91}));
}

TEST(Zoo, refuses_what_a_model_does_not_have) {
  EXPECT_THROW(build("no_such_model", {}), UserError);
  EXPECT_THROW(build("resnet50", {.seq = 4}), UserError);
  EXPECT_THROW(build("bert_base", {.seq = 513}), UserError);
  EXPECT_THROW(build("inception_v3", {.image = 20}), UserError);
}

}  // namespace
}  // namespace tessera::zoo
