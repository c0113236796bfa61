// SPDX-License-Identifier: Apache-2.0
// The programs in examples/: each is read, printed, read again and evaluated; those with a known
// better form are compared with it.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/rng.h"
#include "lang/parse.h"
#include "lang/print.h"
#include "ops/counts.h"
#include "ops/evaluate.h"
#include "ops/hash.h"
#include "ops/verify.h"

namespace tessera::lang {
namespace {

std::vector<Tensor> random_inputs(const ir::Graph& graph, uint64_t seed) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    Tensor t(type.dtype, type.concrete_shape());
    for (int64_t i = 0; i < t.size(); ++i) t.set_float(i, rng.normal());
    inputs.push_back(std::move(t));
  }
  return inputs;
}

std::vector<Tensor> run(const ir::Graph& graph, uint64_t seed) {
  return ops::evaluate(graph, random_inputs(graph, seed));
}

double distance(const Tensor& a, const Tensor& b) {
  double squares = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    squares += (a.float_at(i) - b.float_at(i)) * (a.float_at(i) - b.float_at(i));
  return std::sqrt(squares / static_cast<double>(a.size()));
}

const std::map<std::string, int64_t> sizes_of(const std::string& name) {
  if (name == "gpt_block.tsr") return {{"B", 2}, {"S", 5}};
  if (name == "unet_block.tsr") return {{"N", 2}};
  return {};
}

ir::Graph load(const std::string& name) { return parse_file("examples/" + name, sizes_of(name)); }

TEST(Examples, all_print_and_depend_on_their_inputs) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("examples")) {
    if (entry.path().extension() != ".tsr") continue;
    const std::string name = entry.path().filename();
    SCOPED_TRACE(name);
    const ir::Graph graph = load(name);
    ops::verify(graph);
    EXPECT_EQ(ops::identity_hash(graph),
              ops::identity_hash(parse_program(print(graph), "printed")));
    const ir::Graph symbolic = parse_file(entry.path());
    ops::verify(symbolic);
    EXPECT_EQ(ops::identity_hash(symbolic),
              ops::identity_hash(parse_program(print(symbolic), "printed")));
    const auto first = run(graph, 1), second = run(graph, 2);
    for (size_t k = 0; k < first.size(); ++k) {
      for (int64_t i = 0; i < first[k].size(); ++i)
        ASSERT_TRUE(std::isfinite(first[k].float_at(i)));
      EXPECT_GT(distance(first[k], second[k]), 1e-3) << graph.outputs()[k].name;
      EXPECT_LT(distance(first[k], second[k]), 1e4) << graph.outputs()[k].name;
    }
    ++count;
  }
  EXPECT_GE(count, 10);
}

/// The example computes the same as `better`, which takes less work.
void expect_better(const std::string& name, const std::string& better) {
  const ir::Graph graph = load(name);
  const ir::Graph other = parse_program(better, "better.tsr");
  const auto a = run(graph, 3), b = run(other, 3);
  ASSERT_EQ(a.size(), b.size());
  for (size_t k = 0; k < a.size(); ++k)
    EXPECT_LT(distance(a[k], b[k]), 1e-9 * (1 + distance(a[k], Tensor(a[k].type(), a[k].shape()))));
  const ops::Counts work = ops::count(graph), less = ops::count(other);
  EXPECT_LE(less.flops, work.flops);
  EXPECT_LT(less.flops + less.bytes_read + less.bytes_written,
            work.flops + work.bytes_read + work.bytes_written);
}

TEST(Examples, distribute) {
  expect_better("distribute.tsr", R"(
input A: f32[128, 256]
input B: f32[256, 512]
input C: f32[256, 512]
output Y = A @ (B + C))");
}

TEST(Examples, matrix_chain) {
  expect_better("matrix_chain.tsr", R"(
input A: f32[1000, 10]
input B: f32[10, 1000]
input C: f32[1000, 10]
input D: f32[10, 1]
output Y = A @ (B @ (C @ D)))");
  EXPECT_EQ(ops::count(load("matrix_chain.tsr")).flops, 2 * (1e7 + 1e7 + 1e4));
}

TEST(Examples, transposes) {
  expect_better("transposes.tsr", R"(
input A: f32[64, 96]
input B: f32[96, 32]
output same = A
output product = A @ B)");
}

TEST(Examples, repeated_product) {
  expect_better("repeated_product.tsr", R"(
input A: f32[64, 128]
input B: f32[128, 64]
P = A @ B
output Y = P * P + relu(P))");
}

TEST(Examples, einsum_order) {
  expect_better("einsum_order.tsr", R"(
input A: f32[512, 16]
input B: f32[16, 512]
input v: f32[512]
y = A @ (B @ v)
output y
output z = y)");
}

TEST(Examples, arithmetic) {
  expect_better("arithmetic.tsr", R"(
input x: f32[256]
output folded = x + 7
output times_one = x
output plus_zero = x)");
}

}  // namespace
}  // namespace tessera::lang
