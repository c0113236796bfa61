// SPDX-License-Identifier: Apache-2.0
// Attention as one kernel against the float64 reference: sizes that are multiples of nothing, masks
// of every shape, what is no number, and programs that must stay several kernels.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backend/cpu/target.h"
#include "base/rng.h"
#include "lang/parse.h"
#include "ops/evaluate.h"
#include "plan/compile.h"

namespace tessera {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<Tensor> random_inputs(const ir::Graph& graph, uint64_t seed) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    Tensor& t = inputs.emplace_back(type.dtype, type.concrete_shape());
    for (int64_t i = 0; i < t.size(); ++i) {
      if (is_float(type.dtype)) t.set_float(i, rng.normal());
      else t.set_integer(i, rng.integer(0, 1));
    }
  }
  return inputs;
}

void expect_close(const Tensor& found, const Tensor& expected) {
  ASSERT_EQ(found.shape(), expected.shape());
  for (int64_t i = 0; i < found.size(); ++i) {
    const double a = found.float_at(i), b = expected.float_at(i);
    if (std::isnan(b)) ASSERT_TRUE(std::isnan(a)) << "element " << i << ": " << a;
    else if (std::isinf(b)) ASSERT_EQ(a, b) << "element " << i;
    else ASSERT_NEAR(a, b, 2e-5 * (1 + std::fabs(b))) << "element " << i;
  }
}

bool has_attention(const runtime::Plan& plan) {
  for (const runtime::Launch& l : plan.launches())
    if (l.kernel->implementation() == "attention") return true;
  return false;
}

// Compares on one and two threads, which must give the same bits.
void check(const std::string& program, bool is_fused, uint64_t seed = 1,
           std::vector<Tensor> inputs = {}) {
  SCOPED_TRACE(program);
  const ir::Graph graph = lang::parse_program(program, "attention");
  if (inputs.empty()) inputs = random_inputs(graph, seed);
  const auto target = backend::cpu::make_target();
  const auto plan = plan::compile(graph, *target, {.threads = 1});
  EXPECT_EQ(has_attention(*plan), is_fused);
  const std::vector<Tensor> found = plan->run(inputs), expected = ops::evaluate(graph, inputs);
  for (size_t k = 0; k < found.size(); ++k) expect_close(found[k], expected[k]);
  const auto shared = plan::compile(graph, *target, {.threads = 2});
  const std::vector<Tensor> again = shared->run(inputs);
  for (size_t k = 0; k < found.size(); ++k) EXPECT_TRUE(identical(found[k], again[k]));
}

std::string heads(const std::string& batch, int m, int n, int d, int e) {
  const auto input = [&](const char* name, int rows, int columns) {
    return fmt::format("input {}: f32[{}{}, {}]\n", name, batch, rows, columns);
  };
  return input("q", m, d) + input("k", n, d) + input("v", n, e);
}

TEST(Attention, computes_any_number_of_queries_and_keys) {
  struct Size {
    const char* batch;
    int m, n, d, e;
  };
  const Size sizes[] = {{"", 16, 16, 16, 16},        {"3, ", 48, 64, 64, 64},
                        {"2, ", 197, 197, 64, 64},   {"2, 2, ", 50, 77, 32, 48},
                        {"", 96, 1500, 80, 80},      {"1, ", 33, 131, 128, 16},
                        {"2, 3, ", 17, 23, 64, 128}, {"5, ", 100, 65, 16, 96}};
  for (const Size& s : sizes)
    check(heads(s.batch, s.m, s.n, s.d, s.e) + "output y = softmax(q @ k.T * 0.3, axis=-1) @ v\n",
          true);
  check(heads("2, ", 40, 40, 32, 32) + "output y = softmax(q @ k.T, axis=-1) @ v\n", true);
}

TEST(Attention, applies_any_function_to_scores) {
  const std::string sizes = heads("2, 3, ", 37, 45, 32, 32);
  const char* functions[] = {
      "input m: f32[37, 45]\noutput y = softmax(q @ k.T * 0.5 + m, axis=-1) @ v\n",
      "input m: f32[2, 1, 37, 45]\noutput y = softmax(q @ k.T * 0.5 + m, axis=-1) @ v\n",
      "input m: f32[2, 1, 1, 45]\noutput y = softmax(q @ k.T + m, axis=-1) @ v\n",
      "input m: f32[3, 37, 1]\ninput n: f32[45]\noutput y = softmax(q @ k.T * m + n, axis=-1) @ "
      "v\n",
      "input m: bool[37, 45]\noutput y = softmax(where(m, q @ k.T * 0.5, -20), axis=-1) @ v\n",
      "input m: f32[2, 3, 37, 45]\noutput y = softmax(q @ k.T * 0.5 + m, axis=-1) @ v\n",
      "input m: f32[45]\noutput y = softmax(q @ k.T * 0.5 + m, axis=-1) @ v\n",
      "output y = softmax(tanh(q @ k.T / 7) * 7, axis=-1) @ v\n",
  };
  for (const char* f : functions) check(sizes + f, true);
}

// Heads that lie side by side in each token, as models have them.
TEST(Attention, reads_heads_where_they_lie) {
  check(
      "input x: f32[2, 50, 96]\nfn heads(y) = transpose(reshape(y, [2, 50, 3, 32]), [0, 2, 1, 3])\n"
      "input a: f32[2, 50, 96]\ninput b: f32[2, 50, 96]\n"
      "output y = reshape(transpose(softmax(heads(x) @ heads(a).T * 0.2, axis=-1) @ heads(b), "
      "[0, 2, 1, 3]), [2, 50, 96])\n",
      true);
}

// The factors of queries and keys become part of the scale: no copies of them are left.
TEST(Attention, scales_queries_and_keys_where_they_lie) {
  const std::string program =
      "input x: f32[2, 50, 96]\nfn heads(y) = transpose(reshape(y, [2, 50, 3, 32]), [0, 2, 1, 3])\n"
      "input a: f32[2, 50, 96]\ninput b: f32[2, 50, 96]\n"
      "output y = softmax((heads(x) * 0.4) @ transpose(0.5 * heads(a), [0, 1, 3, 2]), axis=-1) @ "
      "heads(b)\n";
  check(program, true);
  const auto plan = plan::compile(lang::parse_program(program, "attention"),
                                  *backend::cpu::make_target(), {.threads = 1});
  EXPECT_EQ(plan->launches().size(), 1U);
}

TEST(Attention, keeps_what_is_no_number) {
  const std::string program =
      heads("2, ", 35, 70, 16, 16) +
      "input m: f32[35, 70]\noutput y = softmax(q @ k.T * 0.5 + m, axis=-1) @ v\n";
  const ir::Graph graph = lang::parse_program(program, "attention");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  struct Change {
    size_t input;
    int64_t first, count;
    double value;
  };
  const Change changes[] = {{0, 3 * 16 + 2, 1, nan},        {1, 5 * 16, 1, infinity},
                            {2, 7 * 16 + 3, 1, infinity},   {2, 9 * 16 + 4, 1, nan},
                            {3, 34 * 70, 70, -infinity},    {3, 33 * 70 + 1, 69, -infinity},
                            {3, 10 * 70 + 69, 1, infinity}, {3, 11 * 70 + 3, 1, nan}};
  for (const Change& c : changes) {
    std::vector<Tensor> inputs = random_inputs(graph, 3);
    for (int64_t k = 0; k < c.count; ++k) inputs[c.input].set_float(c.first + k, c.value);
    check(program, true, 3, std::move(inputs));
  }
}

TEST(Attention, leaves_what_does_not_fit_to_several_kernels) {
  const char* attention = "output y = softmax(q @ k.T * 0.5, axis=-1) @ v\n";
  check(heads("2, ", 40, 40, 20, 16) + attention, false);  // sizes of heads
  check(heads("2, ", 40, 40, 16, 20) + attention, false);
  check(heads("2, ", 4, 40, 16, 16) + attention, false);  // too few queries
  check(heads("2, ", 0, 40, 16, 16) + attention, false);
  check(heads("2, ", 40, 40, 16, 16) +
            "p = softmax(q @ k.T * 0.5, axis=-1)\noutput p\noutput y = p @ v\n",
        false);
  check(heads("2, ", 40, 40, 16, 16) + "output y = softmax(q @ k.T, axis=-2) @ v\n", false);
}

}  // namespace
}  // namespace tessera
