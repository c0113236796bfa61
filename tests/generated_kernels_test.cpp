// SPDX-License-Identifier: Apache-2.0
// Products and convolutions by generated kernels alone, against the reference: sizes that are
// multiples of nothing, epilogues, unusual numbers.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/cpu/target.h"
#include "lang/parse.h"
#include "ops/evaluate.h"
#include "plan/compile.h"
#include "random_inputs.h"

namespace tessera {
namespace {

// Whether some launch is a generated product.
bool has_tiles(const runtime::Plan& plan) {
  for (const runtime::Launch& l : plan.launches())
    if (l.kernel->implementation().starts_with("tiles") ||
        l.kernel->implementation().starts_with("winograd"))
      return true;
  return false;
}

void expect_like_reference(const std::string& program, bool generated = true,
                           Numbers numbers = Numbers::usual) {
  SCOPED_TRACE(program);
  const ir::Graph graph = lang::parse_program(program, "test");
  const std::vector<Tensor> inputs = random_inputs(graph, numbers);
  const std::vector<Tensor> expected = ops::evaluate(graph, inputs);
  std::vector<Tensor> first;
  for (int threads : {1, 2}) {
    const auto target = backend::cpu::make_target();
    const auto plan = plan::compile(graph, *target, {.threads = threads, .generated_only = true});
    EXPECT_EQ(has_tiles(*plan), generated);
    const std::vector<Tensor> found = plan->run(inputs);
    if (threads == 1) first = found;
    for (size_t k = 0; k < found.size(); ++k) {
      EXPECT_TRUE(identical(found[k], first[k])) << "threads change bits";
      EXPECT_TRUE(identical(found[k], plan->run(inputs)[k])) << "runs differ";
      for (int64_t i = 0; i < found[k].size(); ++i) {
        const double f = found[k].float_at(i), e = expected[k].float_at(i);
        if (std::isnan(e)) ASSERT_TRUE(std::isnan(f)) << "element " << i;
        else if (std::isinf(e)) ASSERT_EQ(f, e) << "element " << i;
        else ASSERT_NEAR(f, e, 2e-5 * (1 + std::fabs(e))) << "element " << i;
      }
    }
  }
}

std::string product(int64_t m, int64_t k, int64_t n, const std::string& after) {
  return fmt::format(
      "input x: f32[{}, {}]\nparam w: f32[{}, {}] = normal(seed=1, scale=0.1)\n"
      "param b: f32[{}] = normal(seed=2)\ninput z: f32[{}, {}]\noutput y = {}\n",
      m, k, k, n, n, m, n, after);
}

TEST(GeneratedKernels, multiply_with_every_epilogue) {
  for (const char* after :
       {"x @ w", "x @ w + b", "relu(x @ w + b)", "x @ w + b + z", "sigmoid(x @ w) * z",
        "clip(x @ w + b, low=-0.5, high=6)", "tanh(x @ w + b)", "gelu(x @ w + b)",
        "gelu(x @ w + b, approximate=\"tanh\") * z", "leaky_relu(x @ w, 0.1)", "relu(x @ w + z)",
        "hard_swish(x @ w + b)", "elu(x @ w + b)", "(x @ w + b) * 0.125"})
    expect_like_reference(product(19, 37, 45, after));
}

TEST(GeneratedKernels, multiply_sizes_that_are_multiples_of_nothing) {
  const int64_t sizes[][3] = {{1, 1, 1},   {1, 300, 17},  {2, 9, 130},  {3, 65, 64},
                              {13, 1, 31}, {131, 77, 53}, {197, 64, 97}};
  for (const auto& s : sizes) expect_like_reference(product(s[0], s[1], s[2], "x @ w + b"));
}

TEST(GeneratedKernels, multiply_unusual_numbers) {
  for (const char* after : {"x @ w + b", "relu(x @ w + b) + z", "clip(x @ w, low=-1, high=1)"})
    expect_like_reference(product(9, 5, 33, after), true, Numbers::unusual);
}

TEST(GeneratedKernels, leave_empty_products_to_loops) {
  expect_like_reference(product(0, 5, 7, "x @ w + b"), false);
  expect_like_reference(product(5, 0, 7, "x @ w + b"), false);
}

TEST(GeneratedKernels, multiply_batches) {
  expect_like_reference(
      "input x: f32[3, 7, 20]\nparam w: f32[20, 33] = normal(seed=1)\noutput y = x @ w\n");
  expect_like_reference(
      "input x: f32[2, 3, 7, 20]\nparam w: f32[3, 20, 33] = normal(seed=1)\noutput y = x @ w\n");
  expect_like_reference("input x: f32[4, 7, 20]\ninput w: f32[4, 20, 33]\noutput y = x @ w\n");
  expect_like_reference(
      "input x: f32[6, 20]\nparam w: f32[20] = normal(seed=1)\noutput y = x @ w\n");
  expect_like_reference(
      "input x: f32[20]\nparam w: f32[20, 9] = normal(seed=1)\noutput y = relu(x @ w)\n");
}

std::string convolution(const std::string& x, const std::string& w, const std::string& how) {
  return fmt::format(
      "input x: f32[{}]\nparam w: f32[{}] = normal(seed=3, scale=0.1)\n"
      "output y = relu(conv(x, w{}))\n",
      x, w, how);
}

TEST(GeneratedKernels, convolve) {
  expect_like_reference(convolution("2, 5, 9, 11", "33, 5, 3, 3", ", pads=[1, 1, 1, 1]"));
  expect_like_reference(
      convolution("1, 3, 33, 31", "24, 3, 7, 7", ", strides=[2, 2], pads=[3, 3, 3, 3]"));
  expect_like_reference(convolution("1, 16, 7, 7", "40, 16, 3, 3", ", pads=[1, 1, 1, 1]"));
  expect_like_reference(
      convolution("1, 16, 14, 14", "16, 16, 3, 3", ", strides=[2, 2], pads=[0, 0, 1, 1]"));
  expect_like_reference(
      convolution("1, 8, 15, 17", "19, 8, 3, 3", ", dilations=[2, 3], pads=[2, 3, 2, 3]"));
  expect_like_reference(convolution("1, 20, 9, 9", "36, 20, 1, 1", ""));
  expect_like_reference(convolution("2, 20, 9, 9", "36, 20, 1, 1", ", strides=[2, 2]"));
  expect_like_reference(convolution("1, 40, 9, 9", "60, 20, 3, 3", ", group=2, pads=[1, 1, 1, 1]"));
  expect_like_reference(convolution("1, 6, 29", "17, 6, 5", ", pads=[2, 2]"));
  expect_like_reference(
      convolution("1, 4, 5, 6, 7", "18, 4, 3, 3, 3", ", pads=[1, 1, 1, 1, 1, 1]"));
}

TEST(GeneratedKernels, convolve_in_small_groups) {
  expect_like_reference(
      convolution("2, 40, 9, 11", "40, 1, 3, 3", ", group=40, pads=[1, 1, 1, 1]"));
  expect_like_reference(
      convolution("1, 67, 15, 14", "67, 1, 5, 5", ", group=67, strides=[2, 2], pads=[2, 2, 2, 2]"));
  expect_like_reference(convolution("1, 72, 7, 7", "72, 4, 3, 3", ", group=18, pads=[1, 1, 1, 1]"));
  expect_like_reference(convolution("1, 24, 9, 9", "24, 8, 3, 3", ", group=3"));
  for (const int size : {2, 4, 8}) {
    const std::string x = fmt::format("2, {}, 13, 19", 5 * size);
    const auto w = [&](const char* taps) {
      return fmt::format("{}, {}, {}", 5 * size, size, taps);
    };
    expect_like_reference(convolution(x, w("3, 3"), ", group=5, pads=[1, 1, 1, 1]"));
    expect_like_reference(
        convolution(x, w("5, 5"), ", group=5, strides=[2, 2], pads=[2, 2, 2, 2]"));
    expect_like_reference(
        convolution(x, w("3, 4"), ", group=5, dilations=[2, 3], pads=[2, 0, 1, 5]"));
    expect_like_reference(convolution(x, w("1, 14"), ", group=5"));
  }
  expect_like_reference(convolution("1, 32, 9, 9", "32, 16, 3, 3", ", group=2, pads=[1, 1, 1, 1]"));
  expect_like_reference(convolution("1, 12, 9, 9", "24, 6, 3, 3", ", group=2"));
  expect_like_reference(
      convolution("2, 64, 9, 17", "64, 16, 3, 3", ", group=4, pads=[1, 1, 1, 1]"));
  expect_like_reference(convolution("1, 16, 9, 9", "16, 8, 3, 3", ", group=2, pads=[1, 1, 1, 1]"),
                        true, Numbers::unusual);
}

// Large enough for Winograd's algorithm; edges that are no multiples of its squares.
TEST(GeneratedKernels, convolve_by_winograd) {
  const std::string head =
      "input x: f32[2, 67, 30, 33]\nparam w: f32[83, 67, 3, 3] = normal(seed=3, scale=0.03)\n"
      "param b: f32[83] = normal(seed=4)\ninput z: f32[2, 83, 30, 33]\n";
  const std::string body = head + "output y = relu(conv(x, w, b, pads=[1, 1, 1, 1]) + z)\n";
  const auto target = backend::cpu::make_target();
  for (const bool own_products : {false, true}) {
    const auto plan =
        plan::compile(lang::parse_program(body, "test"), *target, {.own_products = own_products});
    bool winograd = false;
    for (const runtime::Launch& l : plan->launches())
      winograd |= l.kernel->implementation().starts_with("winograd");
    EXPECT_EQ(winograd, !own_products);
  }
  expect_like_reference(body);
  expect_like_reference(body, true, Numbers::unusual);
  expect_like_reference(convolution("1, 64, 58, 58", "64, 64, 3, 3", ""));
  expect_like_reference(convolution("1, 96, 21, 19", "64, 96, 3, 3", ", pads=[0, 1, 2, 1]"));
}

TEST(GeneratedKernels, convolve_with_epilogues) {
  const std::string head =
      "input x: f32[1, 8, 10, 10]\nparam w: f32[24, 8, 3, 3] = normal(seed=3, scale=0.1)\n"
      "param b: f32[24] = normal(seed=4)\ninput z: f32[1, 24, 10, 10]\n";
  expect_like_reference(head + "output y = relu(conv(x, w, b, pads=[1, 1, 1, 1]) + z)\n");
  expect_like_reference(head + "output y = hard_swish(conv(x, w, b, pads=[1, 1, 1, 1])) * z\n");
  expect_like_reference(head + "output y = relu(conv(x, w, b, pads=[1, 1, 1, 1]))\n", true,
                        Numbers::unusual);
}

}  // namespace
}  // namespace tessera
