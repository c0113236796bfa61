// SPDX-License-Identifier: Apache-2.0
// Contractions compiled by every kind of schedule against plain loops in f64.
#include "codegen/contraction.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"
#include "codegen/emit_contraction.h"

namespace tessera::codegen {
namespace {

using Axis = Contraction::Axis;

// Memory of an operand whose places run from `first` to `last`.
struct Places {
  int64_t first = 0, last = 0;
  void add(int64_t stride, int64_t extent) { (stride < 0 ? first : last) += stride * (extent - 1); }
};

// What the loops of a contraction visit: calls `body` with the indices of all axes.
class Walk {
 public:
  explicit Walk(const Contraction& c) {
    for (const auto* axes : {&c.batch, &c.rows})
      for (const Axis& axis : *axes) outer.push_back(axis);
    outer.push_back(c.column);
  }
  template <typename F>
  static void over(const std::vector<Axis>& axes, F body) {
    std::vector<int64_t> at(axes.size(), 0);
    for (const Axis& axis : axes)
      if (axis.extent == 0) return;
    while (true) {
      body(at);
      size_t k = axes.size();
      while (k-- > 0) {
        if (++at[k] < axes[k].extent) break;
        at[k] = 0;
      }
      if (k == SIZE_MAX) return;
    }
  }
  std::vector<Axis> outer;
};

int64_t place(const std::vector<Axis>& axes, const std::vector<int64_t>& at,
              int64_t Axis::*stride) {
  int64_t sum = 0;
  for (size_t k = 0; k < axes.size(); ++k) sum += at[k] * (axes[k].*stride);
  return sum;
}

struct Data {
  std::vector<float> a, b, dst;
  std::vector<std::vector<float>> operands;
  int64_t a_first = 0;
};

Data make_data(const Contraction& c, Rng& rng, bool unusual) {
  Places a, b, dst;
  const Walk walk(c);
  std::vector<Places> operands(c.operand_count());
  for (const auto* axes : {&walk.outer, &c.reduce})
    for (const Axis& axis : *axes) {
      a.add(axis.a, axis.extent), b.add(axis.b, axis.extent), dst.add(axis.dst, axis.extent);
      for (size_t k = 0; k < operands.size(); ++k) operands[k].add(axis.operand(k), axis.extent);
    }
  const auto fill = [&](int64_t size) {
    std::vector<float> values(static_cast<size_t>(size));
    constexpr float rare[] = {std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::infinity(), -0.0F, 1e30F, 0};
    for (float& v : values)
      v = unusual && rng.integer(0, 30) == 0 ? rare[rng.integer(0, 4)]
                                             : static_cast<float>(rng.normal());
    return values;
  };
  Data d;
  d.a = fill(a.last - a.first + 1);
  d.b = fill(b.last - b.first + 1);
  for (const Places& p : operands) d.operands.push_back(fill(p.last - p.first + 1));
  d.dst.assign(static_cast<size_t>(dst.last + 1 + 64), -77.0F);
  return d;
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

// The value of an element and the sum of the magnitudes that went into it.
std::pair<double, double> expected(const Contraction& c, const Data& d, const Walk& walk,
                                   const std::vector<int64_t>& at) {
  double sum = 0, size = 0;
  const int64_t a0 = c.a_offset + place(walk.outer, at, &Axis::a),
                b0 = place(walk.outer, at, &Axis::b);
  Walk::over(c.reduce, [&](const std::vector<int64_t>& r) {
    for (const Contraction::Window& w : c.windows)
      if (!w.contains(at[c.batch.size() + w.row], r[w.tap])) return;
    const double x =
        static_cast<double>(d.a[static_cast<size_t>(a0 + place(c.reduce, r, &Axis::a))]) *
        d.b[static_cast<size_t>(b0 + place(c.reduce, r, &Axis::b))];
    sum += x;
    size += std::fabs(x);
  });
  if (c.epilogue) {
    double operand[2];
    for (size_t k = 0; k < 2; ++k) {
      int64_t p = 0;
      for (size_t n = 0; n < at.size(); ++n) p += at[n] * walk.outer[n].operand(k);
      operand[k] = d.operands[k][static_cast<size_t>(p)];
    }
    const double x = (sum + operand[0]) * operand[1];
    sum = std::isnan(x) ? x : std::max(x, 0.0);
    size = (size + std::fabs(operand[0])) * std::fabs(operand[1]);
  }
  return {sum, size};
}

// Compiles, runs in two parts, compares, and looks for stores outside of the destination.
std::string check(const Contraction& c, const ContractionSchedule& s, uint64_t seed, bool unusual) {
  Rng rng(seed);
  Data d = make_data(c, rng, unusual);
  std::vector<float> packed;
  const float* b = d.b.data();
  if (c.packed) {
    packed.resize(static_cast<size_t>(packed_elements(c, s)) + 16);
    auto* aligned =
        reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(packed.data()) + 63) / 64 * 64);
    pack_b(c, s, b, aligned);
    b = aligned;
  }
  Jit jit({.threads = 1});
  const EmittedKernel kernel = contraction_kernel(c, s);
  const LoopKernel code = jit.compile({}, std::span(&kernel, 1))[0];
  std::vector<const std::byte*> src{reinterpret_cast<const std::byte*>(d.a.data()),
                                    reinterpret_cast<const std::byte*>(b)};
  for (const auto& o : d.operands) src.push_back(reinterpret_cast<const std::byte*>(o.data()));
  std::byte* dst[] = {reinterpret_cast<std::byte*>(d.dst.data())};
  code.run(src.data(), dst, code.rows / 2, code.rows);
  code.run(src.data(), dst, 0, code.rows / 2);
  const Walk walk(c);
  std::string problem;
  std::vector<bool> written(d.dst.size(), false);
  Walk::over(walk.outer, [&](const std::vector<int64_t>& at) {
    const auto p = static_cast<size_t>(place(walk.outer, at, &Axis::dst));
    written[p] = true;
    const auto [value, size] = expected(c, d, walk, at);
    const double found = d.dst[p];
    if (std::isnan(value) ? std::isnan(found) : value == found) return;
    // Where an infinity or a huge number took part, f32 may overflow earlier.
    if (!std::isfinite(size) || size > 1e25) return;
    if (!(std::fabs(found - value) <= 1e-5 * size + 1e-30) && problem.empty())
      problem = fmt::format("at {}: {}, expected {}", fmt::join(at, ","), found, value);
  });
  for (size_t p = 0; p < written.size(); ++p)
    if (!written[p] && d.dst[p] != -77.0F && problem.empty())
      problem = fmt::format("stored outside, at {}", p);
  return problem;
}

Contraction product(int64_t m, int64_t k, int64_t n, bool packed) {
  Contraction c;
  c.packed = packed;
  c.rows = {{.extent = m, .a = k + 3, .dst = n + 2, .operands = {0, n}}};
  c.reduce = {{.extent = k, .a = 1, .b = n}};
  c.column = {.extent = n, .b = 1, .dst = 1, .operands = {1, 1}};
  return c;
}

TEST(Contraction, multiplies_matrices_of_any_size_by_any_schedule) {
  const ContractionSchedule schedules[] = {
      {.rows = 8, .vectors = 3},
      {.rows = 14, .vectors = 2, .columns_outer = false, .prefetch = false},
      {.rows = 6, .vectors = 4, .unroll = 1},
      {.rows = 1, .vectors = 8, .unroll = 8},
      {.lanes = 8, .rows = 4, .vectors = 3},
  };
  const int64_t sizes[][3] = {{1, 1, 1}, {5, 7, 3}, {17, 33, 50}, {29, 130, 97}, {1, 211, 131}};
  for (const ContractionSchedule& s : schedules) {
    if (s.lanes > host_vector_unit().lanes) continue;
    for (const auto& size : sizes)
      for (bool packed : {true, false}) {
        SCOPED_TRACE(
            fmt::format("{}x{}x{} {} {}", size[0], size[1], size[2], s.to_string(), packed));
        Contraction c = product(size[0], size[1], size[2], packed);
        if (!packed && s.prefetch) c.packed = false;
        ContractionSchedule own = s;
        own.prefetch = s.prefetch && packed;
        EXPECT_EQ(check(c, own, 1, false), "");
        c.epilogue = some_epilogue();
        EXPECT_EQ(check(c, own, 2, true), "");
      }
  }
}

TEST(Contraction, multiplies_batches_that_share_operands) {
  Contraction c = product(9, 20, 35, true);
  c.batch = {{.extent = 3, .a = 9 * 23, .b = 20 * 35, .dst = 9 * 37},
             {.extent = 2, .a = 0, .b = 0, .dst = 3 * 9 * 37}};
  EXPECT_EQ(check(c, choose_schedule(c, host_vector_unit()), 3, false), "");
  c.batch[1] = {.extent = 2, .a = 0, .b = 3 * 20 * 35, .dst = 3 * 9 * 37};
  EXPECT_EQ(check(c, choose_schedule(c, host_vector_unit()), 3, false), "");
  c.packed = false;
  EXPECT_EQ(check(c, choose_schedule(c, host_vector_unit()), 3, false), "");
}

// A convolution whose pixels lie channels last.
Contraction convolution(int64_t size, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                        int64_t dilation, int64_t pad) {
  const int64_t outs = (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
  Contraction c;
  c.rows = {{.extent = 2, .a = size * size * in, .dst = outs * outs * out},
            {.extent = outs, .a = stride * size * in, .dst = outs * out},
            {.extent = outs, .a = stride * in, .dst = out}};
  c.reduce = {{.extent = kernel, .a = dilation * size * in, .b = kernel * in * out},
              {.extent = kernel, .a = dilation * in, .b = in * out},
              {.extent = in, .a = 1, .b = out}};
  c.column = {.extent = out, .b = 1, .dst = 1};
  c.a_offset = -pad * (size + 1) * in;
  if (pad > 0)
    for (size_t axis : {1, 2}) c.windows.push_back({axis, axis - 1, stride, dilation, -pad, size});
  return c;
}

TEST(Contraction, convolves_with_and_without_padding) {
  const int64_t cases[][7] = {
      {7, 5, 20, 3, 1, 1, 1},  {7, 16, 33, 3, 2, 1, 1}, {14, 9, 16, 3, 1, 1, 1},
      {15, 3, 17, 7, 2, 1, 3}, {19, 4, 16, 3, 1, 2, 2}, {9, 8, 16, 1, 2, 1, 0},
      {3, 6, 16, 3, 1, 3, 3},  {30, 2, 16, 5, 3, 1, 2},
  };
  for (const auto& p : cases)
    for (int rows : {14, 6}) {
      Contraction c = convolution(p[0], p[1], p[2], p[3], p[4], p[5], p[6]);
      join_axes(c);
      ContractionSchedule s = choose_schedule(c, host_vector_unit());
      s.rows = std::min(rows, host_vector_unit().registers / 2 - 2);
      s.vectors = 2;
      SCOPED_TRACE(fmt::format("{} {}", fmt::join(p, ","), s.to_string()));
      EXPECT_EQ(check(c, s, 4, false), "");
    }
}

}  // namespace
}  // namespace tessera::codegen
