// SPDX-License-Identifier: Apache-2.0
// Forms against plain loops in f64: on the processor's tiles where it has them, and with the
// emulated instructions everywhere.
#include "amx/kernel.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "amx/emulation.h"
#include "base/rng.h"

namespace tessera::amx {
namespace {

using Axis = Contraction::Axis;
using Index = std::vector<int64_t>;

// Calls `body` with all indices of some axes.
template <typename F>
void over(const std::vector<Axis>& axes, F body) {
  Index at(axes.size(), 0);
  size_t k = 0;
  do {
    body(at);
    for (k = axes.size(); k-- > 0;) {
      if (++at[k] < axes[k].extent) break;
      at[k] = 0;
    }
  } while (k != SIZE_MAX);
}

int64_t place(const std::vector<Axis>& axes, const Index& at, int64_t Axis::*stride) {
  int64_t sum = 0;
  for (size_t k = 0; k < axes.size(); ++k) sum += at[k] * (axes[k].*stride);
  return sum;
}

std::vector<Axis> outputs(const Contraction& c) {
  std::vector<Axis> axes = c.batch;
  axes.insert(axes.end(), c.rows.begin(), c.rows.end());
  axes.push_back(c.column);
  return axes;
}

// Elements from the first that an operand may have to the last.
template <typename F>
int64_t extent_of(const Contraction& c, F stride) {
  int64_t last = 0;
  std::vector<Axis> axes = outputs(c);
  axes.insert(axes.end(), c.reduce.begin(), c.reduce.end());
  for (const Axis& axis : axes) last += stride(axis) * (axis.extent - 1);
  return last + 1;
}

std::vector<float> numbers(int64_t count, Rng& rng, bool unusual = false) {
  constexpr float rare[] = {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(), -0.0F, 0};
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values)
    v = unusual && rng.integer(0, 40) == 0 ? rare[rng.integer(0, 3)]
                                           : bf16_to_f32(f32_to_bf16(float(rng.normal())));
  return values;
}

// relu((sum + operand 0) · operand 1)
std::shared_ptr<const ir::Meaning> some_epilogue() {
  auto m = std::make_shared<ir::Meaning>();
  m->pool = std::make_unique<ir::ExprPool>();
  for (int k = 0; k < 3; ++k) m->inputs.push_back({DType::f32, {}});
  const auto input = [&](uint32_t k) { return m->pool->read(k, DType::f32, {}); };
  m->outputs = {{{}, max((input(0) + input(1)) * input(2), 0)}};
  return m;
}

struct Data {
  std::vector<float> a, b, dst;
  std::vector<std::vector<float>> operands;
};

void run(const Form& form, Data& d, const Machine* machine) {
  codegen::Jit jit({.threads = 1});
  const codegen::EmittedKernel emitted = kernel(form, machine);
  const codegen::LoopKernel code = jit.compile({}, std::span(&emitted, 1))[0];
  std::vector<uint16_t> a(d.a.size() + static_cast<size_t>(form.slack()), 0x7fc0);  // NaN
  std::transform(d.a.begin(), d.a.end(), a.begin(), f32_to_bf16);
  std::vector<float> packed(static_cast<size_t>(packed_elements(form)) + 16);
  auto* aligned =
      reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(packed.data()) + 63) / 64 * 64);
  pack_b(form, d.b.data(), aligned);
  std::vector<const std::byte*> src{reinterpret_cast<const std::byte*>(a.data()),
                                    reinterpret_cast<const std::byte*>(aligned)};
  for (const auto& o : d.operands) src.push_back(reinterpret_cast<const std::byte*>(o.data()));
  std::byte* dst[] = {reinterpret_cast<std::byte*>(d.dst.data())};
  code.run(src.data(), dst, code.rows / 2, code.rows);
  code.run(src.data(), dst, 0, code.rows / 2);
}

double expected(const Contraction& c, const Data& d, const Index& at, double& size) {
  const std::vector<Axis> axes = outputs(c);
  double sum = 0;
  over(c.reduce, [&](const Index& r) {
    const auto p = static_cast<size_t>(place(axes, at, &Axis::a) + place(c.reduce, r, &Axis::a)),
               q = static_cast<size_t>(place(axes, at, &Axis::b) + place(c.reduce, r, &Axis::b));
    const double x = static_cast<double>(d.a[p]) * d.b[q];
    sum += x, size += std::fabs(x);
  });
  if (!c.epilogue) return sum;
  double operand[2];
  for (size_t k = 0; k < 2; ++k) {
    int64_t p = 0;
    for (size_t n = 0; n < at.size(); ++n) p += at[n] * axes[n].operand(k);
    operand[k] = d.operands[k][static_cast<size_t>(p)];
  }
  size = (size + std::fabs(operand[0])) * std::fabs(operand[1]);
  const double x = (sum + operand[0]) * operand[1];
  return std::isnan(x) ? x : std::max(x, 0.0);
}

// What differs, for rows of `row` numbers of which `numbers_there` are no zeros.
std::string problem(const Contraction& c, int64_t numbers_there, int64_t row, bool unusual,
                    const Machine* machine) {
  const std::optional<Form> form = form_of(c, numbers_there, row);
  if (!form) return "no form";
  Rng rng(7);
  Data d;
  d.a = numbers(extent_of(c, [](const Axis& x) { return x.a; }) + row, rng, unusual);
  for (size_t p = 0; p < d.a.size() && row > numbers_there; ++p)
    if (static_cast<int64_t>(p) % row >= numbers_there) d.a[p] = 0;
  d.b = numbers(extent_of(c, [](const Axis& x) { return x.b; }), rng);
  for (size_t k = 0; k < c.operand_count(); ++k)
    d.operands.push_back(
        numbers(extent_of(c, [k](const Axis& x) { return x.operand(k); }) + 32, rng));
  d.dst.assign(static_cast<size_t>(extent_of(c, [](const Axis& x) { return x.dst; }) + 64), -77);
  run(*form, d, machine);
  std::string found;
  std::vector<bool> written(d.dst.size(), false);
  const std::vector<Axis> axes = outputs(c);
  over(axes, [&](const Index& at) {
    const auto p = static_cast<size_t>(place(axes, at, &Axis::dst));
    written[p] = true;
    double size = 0;
    const double value = expected(c, d, at, size), y = d.dst[p];
    const bool good = std::isnan(value)   ? std::isnan(y)
                      : std::isinf(value) ? y == value
                                          : std::fabs(y - value) <= 1e-5 * size + 1e-30;
    if (!good && found.empty())
      found = fmt::format("at {}: {}, expected {}", fmt::join(at, ","), y, value);
  });
  for (size_t p = 0; p < written.size(); ++p)
    if (!written[p] && d.dst[p] != -77 && found.empty())
      found = fmt::format("stored outside, at {}", p);
  return found;
}

// Machines to test with: the emulated one, or the processor's own tiles.
class Amx : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam() && !is_usable())
      GTEST_SKIP() << "this processor has no AMX for bf16, or the system keeps it";
    if (!GetParam()) machine = &emulation::machine;
  }
  const Machine* machine = nullptr;
};

Contraction product(int64_t m, int64_t k, int64_t n, int64_t row) {
  Contraction c;
  c.rows = {{.extent = m, .a = row, .dst = n + 2, .operands = {0, n}}};
  c.reduce = {{.extent = k, .a = 1, .b = n}};
  c.column = {.extent = n, .b = 1, .dst = 1, .operands = {1, 1}};
  return c;
}

TEST_P(Amx, multiplies_matrices_of_any_size) {
  const int64_t sizes[][3] = {{1, 1, 1},     {5, 7, 3},     {16, 32, 16}, {17, 33, 50},
                              {33, 130, 97}, {4, 211, 131}, {32, 64, 32}, {100, 20, 33}};
  for (const auto& [m, k, n] : sizes) {
    SCOPED_TRACE(fmt::format("{}x{}x{}", m, k, n));
    const int64_t row = padded_row(k, 1);
    Contraction c = product(m, k, n, row);
    EXPECT_EQ(problem(c, k, row, false, machine), "");
    c.epilogue = some_epilogue();
    EXPECT_EQ(problem(c, k, row, true, machine), "");
  }
}

TEST_P(Amx, multiplies_batches_that_share_operands) {
  const int64_t row = padded_row(20, 1);
  Contraction c = product(37, 20, 45, row);
  c.batch = {{.extent = 3, .a = 37 * row, .b = 20 * 45, .dst = 37 * 47},
             {.extent = 2, .a = 0, .b = 0, .dst = 3 * 37 * 47}};
  EXPECT_EQ(problem(c, 20, row, false, machine), "");
  c.batch[1] = {.extent = 2, .a = 0, .b = 3 * 20 * 45, .dst = 3 * 37 * 47};
  EXPECT_EQ(problem(c, 20, row, false, machine), "");
}

// A convolution whose pixels lie channels last; images have their borders.
Contraction convolution(int64_t size, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                        int64_t dilation, int64_t row) {
  const int64_t outs = (size - dilation * (kernel - 1) - 1) / stride + 1;
  Contraction c;
  c.rows = {{.extent = 2, .a = size * size * row, .dst = outs * outs * out},
            {.extent = outs, .a = stride * size * row, .dst = outs * out},
            {.extent = outs, .a = stride * row, .dst = out}};
  c.reduce = {{.extent = kernel, .a = dilation * size * row, .b = kernel * in * out},
              {.extent = kernel, .a = dilation * row, .b = in * out},
              {.extent = in, .a = 1, .b = out}};
  c.column = {.extent = out, .b = 1, .dst = 1};
  return c;
}

TEST_P(Amx, convolves) {
  const int64_t cases[][6] = {{9, 6, 20, 3, 1, 1},  {9, 16, 33, 3, 2, 1}, {16, 10, 16, 3, 1, 1},
                              {21, 3, 17, 7, 2, 1}, {23, 4, 40, 3, 1, 2}, {7, 64, 70, 1, 2, 1},
                              {9, 40, 16, 3, 1, 3}, {30, 2, 16, 5, 3, 1}, {9, 1, 24, 3, 1, 1}};
  for (const auto& [size, in, out, taps, stride, dilation] : cases) {
    SCOPED_TRACE(fmt::format("{} {} {} {} {} {}", size, in, out, taps, stride, dilation));
    const int64_t row = padded_row(in, dilation == 1 ? taps : 1);
    const Contraction c = convolution(size, in, out, taps, stride, dilation, row);
    EXPECT_EQ(problem(c, in, row, false, machine), "");
    EXPECT_EQ(problem(c, in, row, true, machine), "");
  }
}

// Channels of a group are a part of each pixel.
TEST_P(Amx, convolves_groups) {
  Contraction c = convolution(8, 20, 24, 3, 1, 1, 40);
  c.batch = {{.extent = 2, .a = 20, .b = 9 * 20 * 24, .dst = 24}};
  for (Axis& axis : c.rows) axis.dst *= 2;
  EXPECT_EQ(problem(c, 40, 40, false, machine), "");
  EXPECT_EQ(problem(c, 40, 40, true, machine), "");
}

INSTANTIATE_TEST_SUITE_P(Machines, Amx, testing::Values(false, true), [](const auto& info) {
  return std::string(info.param ? "Processor" : "Emulated");
});

TEST(AmxForm, pads_rows_for_the_fewest_tiles) {
  EXPECT_EQ(padded_row(768, 1), 768);
  EXPECT_EQ(padded_row(64, 3), 64);
  EXPECT_EQ(padded_row(3, 7), 4);      // 14 pairs
  EXPECT_EQ(padded_row(211, 1), 224);  // 7 tiles of 16 pairs; 106 pairs are 2 · 53
  EXPECT_EQ(padded_row(1, 1), 2);
}

TEST(AmxForm, joins_lines_where_tiles_of_one_line_are_half_empty) {
  const Form small = *form_of(convolution(9, 64, 64, 3, 1, 1, 64), 64, 64);
  EXPECT_EQ(small.pitch, 9);
  EXPECT_EQ(small.row_tiles(), 2 * 4);
  EXPECT_EQ(small.taps, 3);
  const Form large = *form_of(convolution(30, 64, 64, 3, 1, 1, 64), 64, 64);
  EXPECT_EQ(large.pitch, 0);
  EXPECT_EQ(large.height, 14);
  EXPECT_FALSE(form_of(convolution(9, 3, 64, 3, 1, 1, 6), 6, 6)) << "groups of an odd size";
}

// What this processor cannot run is compiled all the same: for one that can.
TEST(AmxKernel, becomes_an_object_for_a_processor_with_tiles) {
  for (const Contraction& c : {product(37, 64, 45, 64), convolution(9, 64, 70, 3, 1, 1, 64)}) {
    const std::vector<std::byte> object =
        codegen::object_for(kernel(*form_of(c, 64, 64)), "sapphirerapids");
    ASSERT_GT(object.size(), 1000U);
    EXPECT_EQ(std::memcmp(object.data(), "\177ELF", 4), 0);
    // tdpbf16ps tmm0, tmm4, tmm6, and tilerelease
    const auto count = [&](std::initializer_list<uint8_t> bytes) {
      int n = 0;
      for (size_t k = 0; k + bytes.size() <= object.size(); ++k)
        n += std::memcmp(object.data() + k, bytes.begin(), bytes.size()) == 0;
      return n;
    };
    EXPECT_GE(count({0xc4, 0xe2, 0x4a, 0x5c, 0xc4}), 1);
    EXPECT_EQ(count({0xc4, 0xe2, 0x78, 0x49, 0xc0}), 1);
  }
}

}  // namespace
}  // namespace tessera::amx
