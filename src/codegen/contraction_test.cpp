// SPDX-License-Identifier: Apache-2.0
// Contractions compiled by every kind of schedule against plain loops in f64.
#include "codegen/contraction.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.h"
#include "codegen/loop_kernel.h"
#include "types/dtype.h"

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

// Compiles and runs in two parts.
void run_kernel(const Contraction& c, const ContractionSchedule& s, const void* a, const void* b,
                Data& d) {
  Jit jit({.threads = 1});
  const EmittedKernel kernel = contraction_kernel(c, s);
  const LoopKernel code = jit.compile({}, std::span(&kernel, 1))[0];
  std::vector<const std::byte*> src{static_cast<const std::byte*>(a),
                                    static_cast<const std::byte*>(b)};
  for (const auto& o : d.operands) src.push_back(reinterpret_cast<const std::byte*>(o.data()));
  std::byte* dst[] = {reinterpret_cast<std::byte*>(d.dst.data())};
  code.run(src.data(), dst, code.rows / 2, code.rows);
  code.run(src.data(), dst, 0, code.rows / 2);
}

// What differs from the expected values, and stores outside of the destination.
std::string problem_of(const Contraction& c, const Data& d, const Walk& walk,
                       double tolerance = 1e-5) {
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
    if (!(std::fabs(found - value) <= tolerance * size + 1e-30) && problem.empty())
      problem = fmt::format("at {}: {}, expected {}", fmt::join(at, ","), found, value);
  });
  for (size_t p = 0; p < written.size(); ++p)
    if (!written[p] && d.dst[p] != -77.0F && problem.empty())
      problem = fmt::format("stored outside, at {}", p);
  return problem;
}

std::string check(const Contraction& c, const ContractionSchedule& s, uint64_t seed, bool unusual) {
  Rng rng(seed);
  Data d = make_data(c, rng, unusual);
  std::vector<float> packed;
  const float* b = d.b.data();
  if (c.packed) {
    packed.resize(static_cast<size_t>(packed_elements(c, s)) + 16);
    auto* aligned =
        reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(packed.data()) + 63) / 64 * 64);
    // From any byte, as weights lie in files.
    std::vector<std::byte> loose(d.b.size() * sizeof(float) + 3);
    std::byte* const from = loose.data() + seed % 4;
    std::memcpy(from, b, d.b.size() * sizeof(float));
    pack_b(c, s, reinterpret_cast<const LooseFloat*>(from), aligned);
    b = aligned;
  }
  run_kernel(c, s, d.a.data(), b, d);
  return problem_of(c, d, Walk(c));
}

using Kind = Contraction::Pairs::Kind;

// Which elements of a are read.
std::vector<bool> places_read(const Contraction& c, const Data& d, const Walk& walk) {
  std::vector<bool> is_read(d.a.size(), false);
  Walk::over(walk.outer, [&](const std::vector<int64_t>& at) {
    Walk::over(c.reduce, [&](const std::vector<int64_t>& r) {
      const int64_t p = c.a_offset + place(walk.outer, at, &Axis::a) + place(c.reduce, r, &Axis::a);
      if (p >= 0 && p < static_cast<int64_t>(d.a.size())) is_read[static_cast<size_t>(p)] = true;
    });
  });
  return is_read;
}

// Compiles the contraction in pairs and compares with products of the rounded numbers. Rows of i16
// have one unit for `row` elements of a, or (0) all.
std::string check_pairs(const Contraction& c, const ContractionSchedule& s, uint64_t seed,
                        bool unusual, Kind kind = Kind::bf16, int64_t row = 0) {
  const std::optional<Contraction> paired = pair_up(c, kind, row);
  if (!paired) return "no pairs";
  Rng rng(seed);
  Data d = make_data(c, rng, unusual);
  const Walk walk(c);
  const std::vector<bool> is_read = places_read(c, d, walk);
  std::vector<uint16_t> a(d.a.size() + 2, 0);
  const size_t step = row > 0 ? static_cast<size_t>(row) : d.a.size();
  std::vector<float> units;
  for (size_t first = 0; first < d.a.size(); first += step) {
    double squares = 0, largest = 0;
    const size_t end = std::min(first + step, d.a.size());
    for (size_t p = first; p < end; ++p) {
      squares += is_read[p] ? static_cast<double>(d.a[p]) * d.a[p] : 0;
      largest = std::max<double>(largest, is_read[p] ? std::fabs(d.a[p]) : 0);
    }
    units.push_back(unit_of(std::sqrt(squares), largest, static_cast<int64_t>(end - first)));
    for (size_t p = first; p < end; ++p) {
      if (!is_read[p]) continue;
      if (kind == Kind::bf16) {
        d.a[p] = bf16_to_f32(a[p] = f32_to_bf16(d.a[p]));
      } else {
        const long rounded = units.back() > 0 ? std::lrint(d.a[p] / units.back()) : 0;
        a[p] = static_cast<uint16_t>(rounded);
        d.a[p] = static_cast<float>(rounded) * units.back();
      }
    }
  }
  std::vector<float> columns;
  if (kind == Kind::i16) {
    columns = column_units(*paired, d.b.data());
    d.operands.push_back(units);
    d.operands.push_back(columns);
    d.operands.back().resize(columns.size() + 16);
  }
  std::vector<float> packed(static_cast<size_t>(packed_elements(*paired, s)) + 16);
  auto* aligned =
      reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(packed.data()) + 63) / 64 * 64);
  pack_b(*paired, s, d.b.data(), aligned, columns.empty() ? nullptr : columns.data());
  run_kernel(*paired, s, a.data(), aligned, d);
  if (kind == Kind::bf16)
    for (float& x : d.b) x = bf16_to_f32(f32_to_bf16(x));
  // Weights of i16 are compared as they are: their rounding is part of the error that is allowed.
  return problem_of(c, d, walk, kind == Kind::bf16 ? 1e-5 : 2e-4);
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
  ContractionSchedule inner = choose_schedule(c, host_vector_unit());
  inner.batch_inner = true;
  for (const bool outer : {false, true}) {
    inner.columns_outer = outer;
    EXPECT_EQ(check(c, inner, 3, false), "");
  }
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
      EXPECT_EQ(check(c, s, 5, true), "");  // rows in one vector see different taps
    }
}

// Depthwise and other convolutions whose tiles go down strips of the image.
TEST(Contraction, goes_down_strips_of_the_image) {
  const int64_t cases[][6] = {
      // size, channels, kernel, stride, dilation, padding
      {31, 64, 3, 1, 1, 1},
      {33, 40, 3, 2, 1, 1},
      {29, 19, 5, 1, 2, 4},
      {32, 50, 7, 3, 1, 2},
  };
  for (const auto& p : cases)
    for (const bool is_depthwise : {true, false}) {
      Contraction c = convolution(p[0], p[1], p[1], p[2], p[3], p[4], p[5]);
      if (is_depthwise) {
        c.group = 1;
        c.reduce.pop_back();
        c.reduce[0].b = p[2] * p[1], c.reduce[1].b = p[1];
        c.column.a = 1;
      } else {
        c.reduce.back().extent = 3;
      }
      ContractionSchedule s = choose_schedule(c, host_vector_unit());
      s.prefetch = false;
      for (const int64_t panels : {0, 1, 2, 3, 4}) {
        s.strip_panels = std::min(panels, cut_tiles(c, s).panels);
        s.prefetch_lines = panels != 2;
        SCOPED_TRACE(fmt::format("{} {}", fmt::join(p, ","), s.to_string()));
        EXPECT_EQ(check(c, s, 6, panels % 2 == 0), "");
      }
    }
}

TEST(Contraction, chooses_strips_where_lines_compete_for_the_first_cache) {
  const auto strips = [](int64_t size, int64_t channels) {
    Contraction c = convolution(size, channels, channels, 3, 1, 1, 1);
    c.group = 1;
    c.reduce.pop_back();
    c.column.a = 1;
    return choose_schedule(c, host_vector_unit()).strip_panels > 0;
  };
  EXPECT_TRUE(strips(112, 64));
  EXPECT_TRUE(strips(56, 256));
  EXPECT_FALSE(strips(56, 144)) << "an odd number of lines of the cache between pixels";
  EXPECT_FALSE(strips(7, 1024)) << "tiles of several lines";
}

// Half a vector of columns or less at the end: with sums in parts, and with an epilogue that runs
// over the rows one by one.
TEST(Contraction, shares_the_last_vector_between_rows) {
  const auto with_function = [] {
    auto m = std::make_shared<ir::Meaning>();
    m->pool = std::make_unique<ir::ExprPool>();
    for (int k = 0; k < 3; ++k) m->inputs.push_back({DType::f32, {}});
    const auto input = [&](uint32_t k) { return m->pool->read(k, DType::f32, {}); };
    const ir::Expr nothing = ir::tanh(input(1)) * 0.0;
    m->outputs = {{{}, max((input(0) + input(1) + nothing) * input(2), 0)}};
    return std::shared_ptr<const ir::Meaning>(m);
  };
  for (const int64_t m : {2, 3, 8, 15})
    for (const int64_t k : {1, 7, 640, 333})
      for (const int64_t n : {1, 8, 24, 56}) {
        Contraction c = product(m, k, n, true);
        ContractionSchedule s = choose_schedule(c, host_vector_unit());
        for (const int rows : {s.rows, 5}) {
          s.rows = rows;
          SCOPED_TRACE(fmt::format("{}x{}x{} {}", m, k, n, s.to_string()));
          c.epilogue = nullptr;
          EXPECT_EQ(check(c, s, 1, true), "");
          c.epilogue = some_epilogue();
          EXPECT_EQ(check(c, s, 2, true), "");
          c.epilogue = with_function();
          EXPECT_EQ(check(c, s, 3, false), "");
        }
      }
}

// The same with an even distance between rows.
Contraction even_product(int64_t m, int64_t k, int64_t n) {
  Contraction c = product(m, k, n, true);
  c.rows[0].a = (k + 1) / 2 * 2 + 4;
  return c;
}

#define REQUIRE_BF16() \
  if (!host_vector_unit().has_bf16) GTEST_SKIP() << "this processor has no AVX512_BF16"

TEST(Contraction, multiplies_pairs_of_bf16_numbers) {
  REQUIRE_BF16();
  const ContractionSchedule schedules[] = {
      {.rows = 8, .vectors = 3},
      {.rows = 14, .vectors = 2, .columns_outer = false, .prefetch = false},
      {.rows = 1, .vectors = 8, .unroll = 8},
      {.lanes = 8, .rows = 4, .vectors = 3},
  };
  const int64_t sizes[][3] = {{1, 1, 1},     {5, 7, 3},     {4, 2, 16}, {17, 33, 50},
                              {29, 130, 97}, {1, 211, 131}, {3, 64, 48}};
  for (const ContractionSchedule& s : schedules)
    for (const auto& size : sizes) {
      SCOPED_TRACE(fmt::format("{}x{}x{} {}", size[0], size[1], size[2], s.to_string()));
      Contraction c = even_product(size[0], size[1], size[2]);
      EXPECT_EQ(check_pairs(c, s, 1, false), "");
      c.epilogue = some_epilogue();
      EXPECT_EQ(check_pairs(c, s, 2, true), "");
    }
}

TEST(Contraction, convolves_pairs_of_bf16_numbers) {
  REQUIRE_BF16();
  const int64_t cases[][7] = {
      {7, 6, 20, 3, 1, 1, 1},  {7, 16, 33, 3, 2, 1, 1}, {14, 10, 16, 3, 1, 1, 1},
      {15, 4, 17, 7, 2, 1, 3}, {19, 4, 16, 3, 1, 2, 2}, {3, 6, 16, 3, 1, 3, 3},
      {30, 2, 16, 5, 3, 1, 2},
  };
  for (const auto& p : cases)
    for (int rows : {14, 6}) {
      Contraction c = convolution(p[0], p[1], p[2], p[3], p[4], p[5], p[6]);
      join_axes(c);
      ContractionSchedule s = choose_schedule(c, host_vector_unit());
      s.rows = rows;
      s.vectors = 2;
      SCOPED_TRACE(fmt::format("{} {}", fmt::join(p, ","), s.to_string()));
      EXPECT_EQ(check_pairs(c, s, 4, false), "");
    }
}

TEST(Contraction, multiplies_pairs_of_integers) {
  if (!host_vector_unit().has_i16) GTEST_SKIP() << "this processor has no AVX512_VNNI";
  const int64_t sizes[][3] = {{1, 1, 1},     {5, 7, 3},     {17, 33, 50},
                              {29, 130, 97}, {2, 4000, 19}, {9, 768, 50}};
  for (const ContractionSchedule& s : {ContractionSchedule{.rows = 8, .vectors = 3},
                                       ContractionSchedule{.rows = 7, .vectors = 2, .unroll = 16},
                                       ContractionSchedule{.lanes = 8, .rows = 4, .vectors = 2}})
    for (const auto& size : sizes) {
      SCOPED_TRACE(fmt::format("{}x{}x{} {}", size[0], size[1], size[2], s.to_string()));
      Contraction c = even_product(size[0], size[1], size[2]);
      EXPECT_EQ(check_pairs(c, s, 1, false, Kind::i16, 0), "");
      EXPECT_EQ(check_pairs(c, s, 1, false, Kind::i16, c.rows[0].a), "");
      c.epilogue = some_epilogue();
      EXPECT_EQ(check_pairs(c, s, 2, false, Kind::i16, c.rows[0].a), "");
      c.batch = {{.extent = 3,
                  .a = size[0] * c.rows[0].a,
                  .b = size[1] * size[2],
                  .dst = size[0] * (size[2] + 2)}};
      EXPECT_EQ(check_pairs(c, s, 3, false, Kind::i16, c.rows[0].a), "");
    }
  Contraction c = convolution(7, 16, 33, 3, 1, 1, 1);
  join_axes(c);
  EXPECT_EQ(check_pairs(c, choose_schedule(c, host_vector_unit()), 4, false, Kind::i16), "");
}

// Equal signs and magnitudes make the longest sums that rounding allows.
TEST(Contraction, sums_of_integers_do_not_overflow) {
  if (!host_vector_unit().has_i16) GTEST_SKIP() << "this processor has no AVX512_VNNI";
  for (const int64_t k : {1, 2, 3, 64, 1000, 4608, 20000}) {
    const Contraction c = *pair_up(even_product(1, k, 16), Kind::i16, k + 6);
    const ContractionSchedule s{.rows = 1, .vectors = 1};
    Data d;
    d.b.assign(static_cast<size_t>(k * 16), 3.7F);
    const int64_t summed = std::min<int64_t>(k, 2 * c.chunk());
    const float unit = unit_of(2.9 * std::sqrt(static_cast<double>(summed)), 2.9, 2 * c.chunk());
    const auto rounded = static_cast<int16_t>(std::lrint(2.9 / unit));
    std::vector<int16_t> a(static_cast<size_t>(k + 8), 0);
    std::fill(a.begin(), a.begin() + k, rounded);
    const std::vector<float> columns = column_units(c, d.b.data());
    d.operands = {{unit}, columns};
    std::vector<float> packed(static_cast<size_t>(packed_elements(c, s)) + 16);
    auto* aligned =
        reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(packed.data()) + 63) / 64 * 64);
    pack_b(c, s, d.b.data(), aligned, columns.data());
    d.dst.assign(16 + 64, 0);
    run_kernel(c, s, a.data(), aligned, d);
    const double expected = static_cast<double>(k) * 3.7 * 2.9;
    for (size_t n = 0; n < 16; ++n) EXPECT_NEAR(d.dst[n], expected, 2e-3 * expected) << k;
  }
}

TEST(Contraction, units_of_unusual_numbers) {
  EXPECT_TRUE(std::isnan(unit_of(HUGE_VAL, HUGE_VAL, 4)));
  EXPECT_TRUE(std::isnan(unit_of(NAN, 1, 4)));
  EXPECT_EQ(unit_of(0, 0, 4), 0) << "all zero";
  EXPECT_GT(unit_of(0, 1e-25, 4), 0) << "squares vanish, numbers do not";
  EXPECT_EQ(unit_of(1e-40, 1e-40, 4), 0) << "denormals count as zero";
}

TEST(Contraction, pairs_up_only_what_lies_in_pairs) {
  EXPECT_TRUE(pair_up(even_product(3, 5, 7), Kind::bf16));
  EXPECT_FALSE(pair_up(product(3, 6, 7, true), Kind::bf16)) << "rows at an odd distance";
  Contraction c = even_product(3, 6, 7);
  c.reduce[0].a = 2;
  EXPECT_FALSE(pair_up(c, Kind::bf16)) << "no neighbours";
  c = even_product(3, 6, 7);
  c.packed = false;
  EXPECT_FALSE(pair_up(c, Kind::bf16)) << "not packed";
}

}  // namespace
}  // namespace tessera::codegen
