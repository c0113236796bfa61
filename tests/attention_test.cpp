// SPDX-License-Identifier: Apache-2.0
// Attention as one kernel against the float64 reference: sizes that are multiples of nothing, masks
// of every shape, what is no number, and programs that must stay several kernels.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
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

// What the product reads twice keeps its factor.
TEST(Attention, scales_what_is_queries_and_keys_or_a_bias_too) {
  const char* inputs =
      "input x: f32[2, 32, 32]\ninput k: f32[2, 32, 32]\ninput v: f32[2, 32, 32]\n";
  for (const char* score : {"h @ h", "h @ k + h", "k @ h * 0.3 + h"})
    check(fmt::format("{}h = x * 0.4\noutput y = softmax({}, axis=-1) @ v\n", inputs, score), true);
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

// The program with its input `m` as a constant.
ir::Graph with_mask(const ir::Graph& graph, const Tensor& mask) {
  ir::GraphBuilder b;
  std::vector<ir::Value> arguments;
  for (ir::NodeId id : graph.inputs()) {
    const ir::Node& input = graph.node(id);
    arguments.push_back(input.name == "m" ? b.constant(mask)
                                          : b.input(input.name, input.outputs[0]));
  }
  const std::vector<ir::Value> results = ir::inline_graph(b, graph, arguments);
  for (size_t k = 0; k < results.size(); ++k) b.output(graph.outputs()[k].name, results[k]);
  return std::move(b).finish();
}

// What a constant mask hides is left out, to the bit as if it were not: compared with the same mask
// as an input. Inputs are q, k, v; `share` is the part of the operations that is left, at most.
void check_hidden(const std::string& program, const Tensor& mask, double share,
                  const std::vector<std::vector<Tensor>>& cases) {
  SCOPED_TRACE(program);
  const ir::Graph graph = lang::parse_program(program, "attention");
  const auto target = backend::cpu::make_target();
  const auto flops = [](const runtime::Plan& plan) {
    double sum = 0;
    for (const runtime::Launch& l : plan.launches())
      if (l.kernel->implementation() == "attention") sum += l.flops;
    return sum;
  };
  for (const int threads : {1, 2}) {
    const auto all = plan::compile(graph, *target, {.threads = threads});
    const auto seen = plan::compile(with_mask(graph, mask), *target, {.threads = threads});
    ASSERT_TRUE(has_attention(*all) && has_attention(*seen));
    EXPECT_LE(flops(*seen), share * flops(*all));
    for (const std::vector<Tensor>& inputs : cases) {
      std::vector<Tensor> with = inputs;
      with.push_back(mask);
      const Tensor expected = all->run(with)[0], found = seen->run(inputs)[0];
      for (int64_t i = 0; i < found.size(); ++i) {
        const float a = found.as<float>()[i], b = expected.as<float>()[i];
        ASSERT_TRUE((std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0)
            << "element " << i << ": " << a << ", expected " << b;
      }
    }
  }
}

// Query i sees the keys before `first + i`; the others get `low`.
Tensor causal(int64_t m, int64_t n, int64_t first, double low) {
  Tensor mask(DType::f32, {m, n});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t k = 0; k < n; ++k) mask.set_float(i * n + k, k < first + i ? 0 : low);
  return mask;
}

constexpr double lowest = -3.4028234663852886e38;
const char* const masked = "output y = softmax(q @ k.T * 0.25 + m, axis=-1) @ v\n";

std::string masked_heads(int64_t m, int64_t n, const std::string& batch = "2, ", int d = 32) {
  return heads(batch, static_cast<int>(m), static_cast<int>(n), d, 32) +
         fmt::format("input m: f32[{}, {}]\n", m, n) + masked;
}

std::vector<Tensor> three_inputs(const std::string& program, uint64_t seed) {
  std::vector<Tensor> inputs = random_inputs(lang::parse_program(program, "attention"), seed);
  inputs.resize(3);
  return inputs;
}

TEST(HiddenKeys, of_causal_masks_are_left_out) {
  struct Size {
    int64_t m, n, first;
    double share;
  };
  const Size sizes[] = {{200, 200, 1, 0.51}, {128, 128, 1, 0.51},  {50, 50, 1, 0.52},
                        {16, 300, 5, 0.05},  {100, 164, 64, 0.71}, {97, 131, 1, 0.4},
                        {40, 400, -20, 0.1}};
  for (const Size& s : sizes)
    for (const double low : {-infinity, lowest, -1e4}) {
      const std::string program = masked_heads(s.m, s.n);
      check_hidden(program, causal(s.m, s.n, s.first, low), s.share, {three_inputs(program, 3)});
    }
}

TEST(HiddenKeys, are_computed_where_numbers_are_out_of_the_ordinary) {
  constexpr int64_t m = 150, n = 180;
  const std::string program = masked_heads(m, n);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  struct Change {
    size_t input;
    int64_t row;
    double value;
  };
  const Change changes[] = {{2, 179, infinity}, {2, 100, -infinity}, {2, 60, nan},
                            {2, 179, nan},      {1, 179, infinity},  {1, 179, nan},
                            {1, 90, 1e30},      {1, 120, -1e38},     {0, 10, infinity},
                            {0, 10, nan},       {0, 20, 1e38},       {0, 149, -1e30}};
  std::vector<std::vector<Tensor>> cases;
  for (const Change& c : changes) {
    cases.push_back(three_inputs(program, 5));
    cases.back()[c.input].set_float(c.row * 32 + 3, c.value);
  }
  for (const double low : {-infinity, lowest, -1e4})
    check_hidden(program, causal(m, n, 1, low), 0.5, cases);
  // Scores that are as low as the mask, so that the mask decides nothing.
  std::vector<Tensor> low = three_inputs(program, 5);
  for (int64_t i = 0; i < low[0].size(); ++i) low[0].set_float(i, 300);
  for (int64_t i = 0; i < low[1].size(); ++i) low[1].set_float(i, -300);
  check_hidden(program, causal(m, n, 1, -1e4), 0.5, {low});
}

TEST(HiddenKeys, of_queries_that_see_nothing) {
  const std::string program = masked_heads(120, 90);
  for (const double low : {-infinity, lowest}) {
    Tensor mask = causal(120, 90, 1, low);
    for (const int64_t row : {0, 47, 50, 119})
      for (int64_t k = 0; k < 90; ++k) mask.set_float(row * 90 + k, low);
    check_hidden(program, mask, 0.7, {three_inputs(program, 9)});
    for (int64_t i = 0; i < 60 * 90; ++i) mask.set_float(i, low);  // a whole block
    check_hidden(program, mask, 0.7, {three_inputs(program, 9)});
  }
}

TEST(HiddenKeys, of_masks_that_vary_over_heads_are_those_hidden_in_all) {
  const std::string program =
      heads("2, 3, ", 96, 96, 16, 32) + "input m: f32[3, 96, 96]\n" + masked;
  Tensor mask(DType::f32, {3, 96, 96});
  for (int64_t h = 0; h < 3; ++h)
    for (int64_t i = 0; i < 96 * 96; ++i)
      mask.set_float(h * 96 * 96 + i, i % 96 <= i / 96 + 10 * h ? 0.1 * double(h) : lowest);
  check_hidden(program, mask, 0.75, {three_inputs(program, 2)});
}

TEST(HiddenKeys, may_be_chosen_by_a_condition) {
  const std::string program =
      heads("2, ", 130, 130, 48, 16) +
      "input m: bool[130, 130]\n"
      "output y = softmax(where(m, tanh(q @ k.T * 0.3) * 30, -1e30), axis=-1) @ v\n";
  Tensor mask(DType::boolean, {130, 130});
  for (int64_t i = 0; i < mask.size(); ++i) mask.set_integer(i, i % 130 <= i / 130);
  check_hidden(program, mask, 0.51, {three_inputs(program, 4)});
  std::vector<Tensor> inputs = three_inputs(program, 4);
  inputs[1].set_float(129 * 48, std::numeric_limits<double>::quiet_NaN());  // no matter: not chosen
  check_hidden(program, mask, 0.51, {inputs});
}

TEST(HiddenKeys, are_only_what_is_low_beyond_doubt) {
  const std::string program = masked_heads(96, 96);
  check_hidden(program, causal(96, 96, 1, -50), 1, {three_inputs(program, 1)});
  const ir::Graph graph = lang::parse_program(program, "attention");
  const auto target = backend::cpu::make_target();
  const auto plan = plan::compile(with_mask(graph, causal(96, 96, 1, -50)), *target, {});
  const auto all = plan::compile(graph, *target, {});
  EXPECT_EQ(plan->launches().back().flops, all->launches().back().flops);
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
