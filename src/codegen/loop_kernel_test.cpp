// SPDX-License-Identifier: Apache-2.0
// Compiled kernels against the tree walker.
#include "codegen/loop_kernel.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "codegen/kernel_check.h"
#include "codegen/simplify.h"
#include "ops/registry.h"

namespace tessera::codegen {
namespace {

using ops::OpDef;

bool one_shape(const ir::Meaning& meaning) {
  for (const ir::MeaningOutput& o : meaning.outputs)
    if (o.shape != meaning.outputs[0].shape) return false;
  return true;
}

TEST(LoopKernel, computes_every_sample_like_the_tree_walker) {
  for (const OpDef& def : ops::registry().all()) {
    if (!def.meaning) continue;
    for (size_t s = 0; s < def.samples.size(); ++s) {
      SCOPED_TRACE(fmt::format("{} sample {}", def.name, s));
      ops::InputTypes types;
      for (const ir::ValueType& type : def.samples[s].inputs) types.push_back(&type);
      const ir::Meaning meaning = ops::instantiate(def, types, def.samples[s].attrs);
      if (!one_shape(meaning)) continue;
      for (Numbers numbers : {Numbers::usual, Numbers::unusual}) {
        const int parts = numbers == Numbers::usual ? 1 : 3;
        EXPECT_EQ(check_meaning(meaning, numbers, s + 1, 64, parts), "");
      }
    }
  }
}

// The samples of elementwise records and reductions in other float types.
TEST(LoopKernel, computes_in_every_float_type) {
  for (const OpDef& def : ops::registry().all()) {
    if (!def.meaning || def.samples.empty()) continue;
    for (DType type : {DType::f64, DType::f16, DType::bf16}) {
      SCOPED_TRACE(fmt::format("{} of {}", def.name, to_string(type)));
      std::vector<ir::ValueType> retyped = def.samples[0].inputs;
      bool changed = false;
      for (ir::ValueType& t : retyped)
        if (t.dtype == DType::f32) t.dtype = type, changed = true;
      ops::InputTypes types;
      for (const ir::ValueType& t : retyped) types.push_back(&t);
      ir::Meaning meaning;
      try {
        meaning = ops::instantiate(def, types, def.samples[0].attrs);
      } catch (const UserError&) {
        continue;  // the record wants f32
      }
      if (!changed || !one_shape(meaning)) continue;
      EXPECT_EQ(check_meaning(meaning, Numbers::usual, 7, 64), "");
    }
  }
}

// Heads merged by a transposition and a reshape: the axis is walked as the two that it is made of.
TEST(LoopKernel, splits_axes_that_are_divided) {
  ir::Meaning meaning;
  meaning.pool = std::make_unique<ir::ExprPool>();
  ir::ExprPool& pool = *meaning.pool;
  meaning.inputs = {{DType::f32, {3, 5, 32}}, {DType::f32, {32}}};
  const ir::Expr t = pool.variable({ir::Var::Kind::output, 0});
  const ir::Expr i = pool.variable({ir::Var::Kind::output, 1});
  const ir::Expr width = pool.integer(32);
  const std::vector<ir::Expr> element{floor_div(i, width), t, mod(i, width)};
  const std::vector<ir::Expr> quarter{floor_div(i, pool.integer(3))};
  meaning.outputs.push_back(
      {{5, 96}, pool.read(0, DType::f32, element) * pool.read(1, DType::f32, quarter)});
  EXPECT_EQ(check_meaning(meaning, Numbers::usual, 1, 4, 3), "");
}

// A bias by the digits of the innermost axis, and the maximum of its row: split, every part of the
// row would compute the maximum of the whole row again.
TEST(LoopKernel, keeps_rows_whole_that_share_a_reduction) {
  for (const bool is_shared : {true, false}) {
    ir::Meaning meaning;
    meaning.pool = std::make_unique<ir::ExprPool>();
    ir::ExprPool& pool = *meaning.pool;
    meaning.inputs = {{DType::f32, {6, 96}}, {DType::f32, {3}}};
    const ir::Expr t = pool.variable({ir::Var::Kind::output, 0});
    const ir::Expr i = pool.variable({ir::Var::Kind::output, 1});
    const std::vector<ir::Expr> third{floor_div(i, pool.integer(32))};
    const ir::Expr k = pool.fresh_variable();
    const std::vector<ir::Expr> shared{t, k}, own{t, mod(k + i, pool.integer(96))};
    const ir::Expr largest = pool.reduce(ir::Reduction::max, k, pool.integer(96),
                                         pool.read(0, DType::f32, is_shared ? shared : own));
    meaning.outputs.push_back({{6, 96}, largest + pool.read(1, DType::f32, third)});
    EXPECT_EQ(with_small_divisions(meaning, 16).output_type(0).shape.size(), is_shared ? 2u : 3u);
    EXPECT_EQ(check_meaning(meaning, Numbers::usual, 1, 4, 3), "");
  }
}

// A group's statistics, read through the reshapes of a group normalization.
TEST(LoopKernel, takes_what_varies_fast_out_of_divisions) {
  ir::Meaning meaning;
  meaning.pool = std::make_unique<ir::ExprPool>();
  ir::ExprPool& pool = *meaning.pool;
  meaning.inputs = {{DType::f32, {8, 5, 7}}, {DType::f32, {4}}};
  std::vector<ir::Expr> i;
  for (uint32_t k = 0; k < 3; ++k) i.push_back(pool.variable({ir::Var::Kind::output, k}));
  const ir::Expr flat = (i[0] * 5 + i[1]) * 7 + i[2];
  const std::vector<ir::Expr> group{floor_div(flat, pool.integer(70))};
  const ir::Expr rest = cast(mod(flat, pool.integer(70)), DType::f32);
  meaning.outputs.push_back(
      {{8, 5, 7}, pool.read(0, DType::f32, i) - pool.read(1, DType::f32, group) + rest});
  EXPECT_EQ(check_meaning(meaning, Numbers::usual, 1, 4, 3), "");
}

ir::Expr variable(const ir::Meaning& m, uint32_t k) {
  return m.pool->variable({ir::Var::Kind::output, k});
}

ir::Meaning with_inputs(std::vector<ir::ValueType> inputs) {
  ir::Meaning meaning;
  meaning.pool = std::make_unique<ir::ExprPool>();
  meaning.inputs = std::move(inputs);
  return meaning;
}

// Tensors side by side along the inner axis: the loop over lanes is cut where one ends, also where
// a part is shorter than a vector, and the rest does not read beyond its tensor.
TEST(LoopKernel, cuts_lanes_where_parts_meet) {
  for (const auto& widths : std::vector<std::vector<int64_t>>{
           {40, 50, 33}, {5, 64, 64}, {64, 64, 3}, {17, 16, 16}, {3, 4, 5}, {5000, 4100, 7}}) {
    ir::Meaning meaning = with_inputs({});
    ir::ExprPool& pool = *meaning.pool;
    const ir::Expr i = variable(meaning, 0), j = variable(meaning, 1);
    int64_t total = 0;
    std::vector<ir::Expr> parts;
    for (size_t k = 0; k < widths.size(); ++k) {
      meaning.inputs.push_back({DType::f32, {7, widths[k]}});
      const std::vector<ir::Expr> at{i, j - total};
      parts.push_back(pool.read(static_cast<uint32_t>(k), DType::f32, at));
      total += widths[k];
    }
    const ir::Expr first = j < pool.integer(widths[0]);
    const ir::Expr second = j < pool.integer(widths[0] + widths[1]);
    const ir::Expr all = select(first, parts[0], select(second, exp(parts[1]), parts[2]));
    meaning.outputs.push_back({{7, total}, max(all, pool.real(0, DType::f32))});
    EXPECT_EQ(check_meaning(meaning, Numbers::usual, 1, 4, 3), "") << widths[0];
  }
}

// Sums over windows whose taps lie in flat memory, guarded by their positions along two axes.
TEST(LoopKernel, guards_windows_in_flat_memory) {
  for (const int64_t channels : {3, 16, 40}) {
    ir::Meaning meaning = with_inputs({{DType::f32, {6 * 5 * channels}}});
    ir::ExprPool& pool = *meaning.pool;
    const ir::Expr c = variable(meaning, 2);
    std::optional<ir::Expr> sum;
    for (int64_t dy = -1; dy <= 1; ++dy)
      for (int64_t dx = -1; dx <= 1; ++dx) {
        const ir::Expr y = variable(meaning, 0) + dy, x = variable(meaning, 1) + dx;
        const std::vector<ir::Expr> at{(y * 5 + x) * channels + c};
        const ir::Expr zero = pool.integer(0);
        const ir::Expr inside =
            zero <= y && y < pool.integer(6) && zero <= x && x < pool.integer(5);
        const ir::Expr tap = select(inside, pool.read(0, DType::f32, at), pool.real(0, DType::f32));
        sum = sum ? *sum + tap : tap;
      }
    meaning.outputs.push_back({{6, 5, channels}, *sum});
    EXPECT_EQ(check_meaning(meaning, Numbers::usual, 2, 16, 3), "") << channels;
  }
}

// An image's channels brought innermost: lanes run along its columns, results are interleaved.
TEST(LoopKernel, interleaves_a_short_inner_axis) {
  for (const int64_t channels : {2, 3, 4, 5})
    for (const int64_t columns : {16, 37, 5000})
      for (const DType type : {DType::f32, DType::f64, DType::f16, DType::i64}) {
        ir::Meaning meaning = with_inputs({{type, {channels, 3, columns}}, {type, {channels}}});
        ir::ExprPool& pool = *meaning.pool;
        const ir::Expr h = variable(meaning, 0), w = variable(meaning, 1), c = variable(meaning, 2);
        const std::vector<ir::Expr> at{c, h, w}, channel{c};
        meaning.outputs.push_back(
            {{3, columns, channels}, pool.read(0, type, at) + pool.read(1, type, channel)});
        EXPECT_EQ(check_meaning(meaning, Numbers::usual, 3, 4, 3), "")
            << channels << " " << columns << " " << to_string(type);
      }
}

// Poolings of channels-last images: means of the elements inside and maxima, whose windows lie
// inside the image for most rows, for some or for none.
TEST(LoopKernel, gives_rows_inside_of_all_windows_code_of_their_own) {
  struct Windows {
    int64_t size, kernel, stride, dilation, begin, end;
  };
  const Windows cases[] = {{11, 3, 1, 1, 1, 1}, {12, 3, 2, 1, 1, 0}, {9, 2, 1, 3, 0, 2},
                           {7, 5, 1, 1, 2, 2},  {4, 7, 1, 1, 3, 3},  {13, 5, 3, 2, 4, 1},
                           {3, 1, 1, 1, 0, 4},  {20, 5, 1, 1, 0, 0}};
  for (const Windows& w : cases)
    for (const int64_t channels : {5, 16, 43})
      for (const bool is_mean : {true, false}) {
        const int64_t count =
            (w.size + w.begin + w.end - (w.kernel - 1) * w.dilation - 1) / w.stride + 1;
        ir::Meaning meaning = with_inputs({{DType::f32, {w.size, w.size, channels}}});
        ir::ExprPool& pool = *meaning.pool;
        const auto position = [&](uint32_t axis, ir::Expr tap) {
          return variable(meaning, axis) * w.stride + tap * w.dilation - w.begin;
        };
        const auto inside = [&](ir::Expr at) {
          return pool.integer(0) <= at && at < pool.integer(w.size);
        };
        const ir::Expr outside =
            pool.real(is_mean ? 0 : -std::numeric_limits<double>::infinity(), DType::f32);
        const ir::Reduction kind = is_mean ? ir::Reduction::sum : ir::Reduction::max;
        const ir::Expr extent = pool.integer(w.kernel);
        const auto over_taps = [&](const std::function<ir::Expr(ir::Expr)>& body) {
          const ir::Expr tap = pool.fresh_variable();
          return pool.reduce(kind, tap, extent, body(tap));
        };
        const ir::Expr total = over_taps([&](ir::Expr ky) {
          return over_taps([&](ir::Expr kx) {
            const ir::Expr y = position(0, ky), x = position(1, kx);
            const std::vector<ir::Expr> at{y, x, variable(meaning, 2)};
            return select(inside(y) && inside(x), pool.read(0, DType::f32, at), outside);
          });
        });
        const auto seen = [&](uint32_t axis) {
          const ir::Expr start = variable(meaning, axis) * w.stride - w.begin;
          const ir::Expr by = pool.integer(w.dilation);
          const ir::Expr last = min(floor_div(pool.integer(w.size - 1) - start, by), extent - 1);
          return last - max(-floor_div(start, by), pool.integer(0)) + 1;
        };
        meaning.outputs.push_back({{count, count, channels},
                                   is_mean ? total / cast(seen(0) * seen(1), DType::f32) : total});
        // (Sums of 1e30 and -1e30 depend on their order.)
        const Numbers numbers = is_mean ? Numbers::usual : Numbers::unusual;
        EXPECT_EQ(check_meaning(meaning, numbers, 5, 32, 3), "")
            << w.size << " " << w.kernel << " " << channels << " " << is_mean;
      }
}

}  // namespace
}  // namespace tessera::codegen
