// SPDX-License-Identifier: Apache-2.0
// Epilogues of library kernels on the numbers that are no numbers.
#include "backend/cpu/onednn.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace tessera::backend::cpu {
namespace {

using Kind = PostOp::Kind;
constexpr float infinity = std::numeric_limits<float>::infinity();

View dense(const Shape& shape) { return {DType::f32, shape, codegen::dense_strides(shape)}; }

View channels_last(const Shape& shape) {
  return {DType::f32, shape, codegen::dense_strides(shape, {0, 2, 3, 1})};
}

// A kernel of the request, run on x (source 0) and the operand (source 3); the weights are known.
struct Run {
  std::shared_ptr<const PrimitiveKernel> kernel;
  std::vector<float> dst;
};

Run run(LibraryRequest request, const Tensor& weights, const std::vector<float>& x,
        const std::vector<float>& operand) {
  request.constants = {nullptr, &weights, nullptr, nullptr};
  request.threads = 2;
  auto kernel = std::dynamic_pointer_cast<const PrimitiveKernel>(
      request.op == "matmul" ? make_matmul(request) : make_convolution(request));
  Run result{kernel, std::vector<float>(static_cast<size_t>(*element_count(request.dst.shape)))};
  const auto bytes = [](const auto& v) { return reinterpret_cast<const std::byte*>(v.data()); };
  const std::byte* src[] = {bytes(x), nullptr, nullptr, bytes(operand)};
  auto* dst = reinterpret_cast<std::byte*>(result.dst.data());
  std::vector<std::byte> scratch(kernel->scratch_bytes() + 64);
  void* aligned = scratch.data();
  size_t space = scratch.size();
  std::align(64, kernel->scratch_bytes(), aligned, space);
  kernel->run({src, &dst, static_cast<std::byte*>(aligned), 2});
  return result;
}

// One row, or one pixel, for each number; channel 0 of x holds it, and the result has it (bounded)
// in every channel, because the other channels of x are 0 and the weights of channel 0 are 1.
struct Case {
  LibraryRequest request;
  Tensor weights;
  int64_t pixels = 64, channels = 32;

  explicit Case(bool convolution) {
    const Shape w = convolution ? Shape{channels, channels, 1, 1} : Shape{channels, channels};
    weights = Tensor(DType::f32, w);
    for (int64_t i = 0; i < weights.size(); ++i) weights.set_float(i, 1);
    request.op = convolution ? "conv" : "matmul";
    const View pixel = convolution ? channels_last({1, channels, 8, 8}) : dense({pixels, channels});
    request.src = {pixel, dense(w), View{DType::f32, {}, {}}, pixel};
    request.dst = pixel;
  }
  std::vector<float> source(const std::vector<float>& numbers) const {
    std::vector<float> x(static_cast<size_t>(pixels * channels), 0);
    for (size_t p = 0; p < static_cast<size_t>(pixels); ++p)
      x[p * static_cast<size_t>(channels)] = numbers[p % numbers.size()];
    return x;
  }
};

const std::vector<std::vector<PostOp>> epilogues = {
    {{.kind = Kind::relu}},
    {{.kind = Kind::clip, .alpha = -0.5, .beta = 6}},
    {{.kind = Kind::linear, .alpha = 2, .beta = -1}},
    {{.kind = Kind::sigmoid}},
    {{.kind = Kind::swish}},
    {{.kind = Kind::hard_swish}},
    {{.kind = Kind::tanh}},
    {{.kind = Kind::leaky_relu, .alpha = 0.1}},
    {{.kind = Kind::elu, .alpha = 1.5}},
    {{.kind = Kind::add, .operand = 3}},
    {{.kind = Kind::mul, .operand = 3}},
    {{.kind = Kind::add, .operand = 3}, {.kind = Kind::relu}},
    {{.kind = Kind::relu}, {.kind = Kind::add, .operand = 3}},
    {{.kind = Kind::mul, .operand = 3}, {.kind = Kind::clip, .alpha = -1, .beta = 1}},
    {{.kind = Kind::linear, .alpha = 3}, {.kind = Kind::tanh}},
};

void expect_like_the_definition(Case c, const std::vector<PostOp>& post,
                                const std::vector<float>& numbers, bool ordinary) {
  const std::vector<float> x = c.source(numbers);
  std::vector<float> operand(x.size());
  for (size_t i = 0; i < operand.size(); ++i) operand[i] = 0.25F * static_cast<float>(i % 7) + 0.5F;
  c.request.post = post;
  const Run found = run(c.request, c.weights, x, operand);
  const std::byte* src[] = {nullptr, nullptr, nullptr,
                            reinterpret_cast<const std::byte*>(operand.data())};
  std::vector<float> expected(x.size());
  for (size_t i = 0; i < x.size(); ++i) expected[i] = x[i - i % static_cast<size_t>(c.channels)];
  apply_epilogue(c.request, c.request.dst, src, expected.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const float a = found.dst[i], b = expected[i];
    if (std::isnan(b)) ASSERT_TRUE(std::isnan(a)) << "element " << i << ": " << a;
    else if (std::isinf(b)) ASSERT_EQ(a, b) << "element " << i;
    else ASSERT_NEAR(a, b, 1e-5 * (1 + std::fabs(b))) << "element " << i;
  }
  if (ordinary) {
    EXPECT_EQ(found.kernel->repeated(), 0) << "repeated without need";
  }
}

void check(const std::vector<float>& numbers, bool ordinary) {
  for (const bool convolution : {false, true})
    for (const std::vector<PostOp>& post : epilogues) {
      SCOPED_TRACE(fmt::format("{} {}", convolution ? "conv" : "matmul",
                               static_cast<int>(post.front().kind)));
      expect_like_the_definition(Case(convolution), post, numbers, ordinary);
    }
}

TEST(Epilogue, keeps_nan) { check({1, std::nanf(""), -2, 0.5F, 7}, false); }

TEST(Epilogue, keeps_infinities) { check({1, infinity, -infinity, 0, -3}, false); }

TEST(Epilogue, runs_once_on_numbers) {
  check({0, -0.0F, 1, -1, 0.3F, -0.7F, 5.9F, 6.1F, 20, -20, 90, -90, 1e4F, -1e4F, 1e-30F}, true);
}

}  // namespace
}  // namespace tessera::backend::cpu
