// SPDX-License-Identifier: Apache-2.0
// What surrounds the tiles of AMX (rounding, borders of images, packing) on any processor with
// AVX512_BF16, by emulated instructions: against the same requests in f32.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "amx/emulation.h"
#include "backend/cpu/pair_kernel.h"
#include "backend/cpu/target.h"
#include "base/rng.h"
#include "runtime/aligned_buffer.h"

namespace tessera::backend::cpu {
namespace {

using codegen::LibraryRequest;
using codegen::View;

Tensor random_tensor(const Shape& shape, Rng& rng) {
  Tensor t(DType::f32, shape);
  for (int64_t i = 0; i < t.size(); ++i)
    t.mutable_as<float>()[i] = static_cast<float>(rng.normal());
  return t;
}

Tensor run(const runtime::Kernel& kernel, const LibraryRequest& r, const Tensor& x, int threads) {
  Tensor y(DType::f32, r.dst.shape);
  std::fill_n(y.mutable_as<float>(), y.size(), -77.0F);
  // Whatever lay in the scratch memory before: not a number.
  const auto scratch =
      runtime::allocate_aligned(static_cast<int64_t>(kernel.scratch_bytes() / 4 + 16));
  std::fill_n(scratch.get(), kernel.scratch_bytes() / 4 + 16, NAN);
  const std::byte* src[] = {x.data(), r.constants[1]->data()};
  std::byte* dst[] = {y.mutable_data()};
  kernel.run({src, dst, reinterpret_cast<std::byte*>(scratch.get()), threads});
  return y;
}

// ‖found − expected‖ over ‖expected‖ of what is finite; the rest must be alike.
double error_of(const Tensor& found, const Tensor& expected) {
  double squares = 0, norm = 0;
  for (int64_t i = 0; i < found.size(); ++i) {
    const double f = found.float_at(i), e = expected.float_at(i);
    if (std::isnan(e)) EXPECT_TRUE(std::isnan(f)) << "element " << i;
    else if (std::isinf(e)) EXPECT_EQ(f, e) << "element " << i;
    else squares += (f - e) * (f - e), norm += e * e;
  }
  return std::sqrt(squares) / std::max(std::sqrt(norm), 1e-30);
}

void expect_close(LibraryRequest r, bool unusual = false) {
  Rng rng(3);
  Tensor x = random_tensor(r.src[0].shape, rng);
  const Tensor w = random_tensor(r.src[1].shape, rng);
  for (int64_t i = 5; unusual && i < x.size(); i += 71)
    x.mutable_as<float>()[i] = i % 2 == 0 ? NAN : std::numeric_limits<float>::infinity();
  r.constants = {nullptr, &w};
  r.threads = 2;
  const auto exact = make_target({.use_library = false});
  const auto direct = exact->make_library([&] {
    LibraryRequest own = r;
    own.own_products = true;
    return own;
  }());
  exact->make_loops({});
  ASSERT_TRUE(direct);
  std::vector<std::pair<std::shared_ptr<codegen::LoopKernel>, codegen::EmittedKernel>> made;
  KernelShop shop{codegen::host_vector_unit(), std::make_shared<codegen::Jit>(), {}, {}};
  shop.compile = [&](const std::string&, codegen::EmittedKernel kernel) -> Code {
    made.emplace_back(std::make_shared<codegen::LoopKernel>(), std::move(kernel));
    return made.back().first;
  };
  const auto kernel = make_amx(r, shop, &amx::emulation::machine);
  ASSERT_TRUE(kernel);
  for (auto& [code, emitted] : made) *code = shop.jit->compile({}, std::span(&emitted, 1))[0];
  const Tensor expected = run(*direct, r, x, 1), found = run(*kernel, r, x, 1);
  EXPECT_LE(error_of(found, expected), 6e-3);
  EXPECT_TRUE(identical(found, run(*kernel, r, x, 2))) << "threads change bits";
}

#define REQUIRE_BF16()                       \
  if (!codegen::host_vector_unit().has_bf16) \
  GTEST_SKIP() << "this processor has no AVX512_BF16, which rounds"

View dense(const Shape& s) { return {DType::f32, s, codegen::dense_strides(s)}; }

LibraryRequest product(Shape x, int64_t n) {
  LibraryRequest r;
  r.op = "matmul";
  r.src = {dense(x), dense({x.back(), n})};
  x.back() = n;
  r.dst = dense(x);
  return r;
}

TEST(AmxKernel, multiplies) {
  REQUIRE_BF16();
  expect_close(product({19, 37}, 45));
  expect_close(product({2, 3, 7, 211}, 33));
  expect_close(product({131, 64}, 16), true);
  LibraryRequest transposed = product({37, 50}, 45);
  transposed.src[0].strides = {1, 37};
  expect_close(transposed, true);
}

// Channels last, or in planes.
LibraryRequest convolution(const Shape& x, const Shape& w, const std::vector<int64_t>& strides,
                           const std::vector<int64_t>& dilations, const std::vector<int64_t>& pads,
                           bool planes = false, int64_t group = 1) {
  LibraryRequest r;
  r.op = "conv";
  r.attrs.emplace("strides", strides);
  r.attrs.emplace("dilations", dilations);
  r.attrs.emplace("pads", pads);
  r.attrs.emplace("group", group);
  Shape y{x[0], w[0]};
  std::vector<int> order{0};
  const size_t axes = x.size() - 2;
  for (size_t k = 0; k < axes; ++k) {
    y.push_back(
        (x[2 + k] + pads[k] + pads[axes + k] - dilations[k] * (w[2 + k] - 1) - 1) / strides[k] + 1);
    order.push_back(static_cast<int>(2 + k));
  }
  order.push_back(1);
  r.src = {planes ? dense(x) : View{DType::f32, x, codegen::dense_strides(x, order)}, dense(w)};
  r.dst = {DType::f32, y, codegen::dense_strides(y, order)};
  return r;
}

TEST(AmxKernel, convolves_images_with_borders) {
  REQUIRE_BF16();
  for (const bool unusual : {false, true}) {
    expect_close(convolution({2, 9, 9, 11}, {33, 9, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}), unusual);
    expect_close(convolution({1, 16, 7, 7}, {40, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}), unusual);
    expect_close(convolution({1, 16, 14, 14}, {16, 16, 3, 3}, {2, 2}, {1, 1}, {0, 0, 1, 1}),
                 unusual);
    expect_close(convolution({1, 8, 15, 17}, {19, 8, 3, 3}, {1, 1}, {2, 3}, {2, 3, 2, 3}), unusual);
    expect_close(convolution({2, 3, 37, 41}, {32, 3, 7, 7}, {2, 2}, {1, 1}, {3, 3, 3, 3}, true),
                 unusual);
    expect_close(convolution({2, 20, 9, 9}, {36, 20, 1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}), unusual);
    expect_close(convolution({1, 1, 28, 28}, {16, 1, 5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}), unusual);
    expect_close(convolution({2, 12, 30}, {24, 12, 4}, {1}, {1}, {0, 3}), unusual);
    expect_close(
        convolution({1, 6, 5, 7, 8}, {20, 6, 3, 2, 3}, {1, 2, 1}, {1, 1, 1}, {1, 0, 2, 1, 1, 0}),
        unusual);
    expect_close(convolution({1, 40, 9, 9}, {60, 20, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 2),
                 unusual);
  }
}

TEST(AmxKernel, leaves_what_would_be_mostly_empty) {
  REQUIRE_BF16();
  const Tensor w(DType::f32, {64, 64});
  LibraryRequest r = product({1, 64}, 64);
  r.constants = {nullptr, &w};
  const KernelShop shop{codegen::host_vector_unit(), std::make_shared<codegen::Jit>(), {}, {}};
  EXPECT_FALSE(make_amx(r, shop, &amx::emulation::machine)) << "one row";
  r = convolution({1, 64, 3, 3}, {64, 64, 3, 3}, {1, 1}, {9, 9}, {9, 9, 9, 9});
  const Tensor k(DType::f32, {64, 64, 3, 3});
  r.constants = {nullptr, &k};
  EXPECT_FALSE(make_amx(r, shop, &amx::emulation::machine)) << "nearly all border";
  if (amx::is_usable()) return;
  r = product({64, 64}, 64);
  r.constants = {nullptr, &w};
  EXPECT_FALSE(make_amx(r, shop)) << "no tiles";
}

}  // namespace
}  // namespace tessera::backend::cpu
