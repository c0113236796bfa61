// SPDX-License-Identifier: Apache-2.0
// Compiled kernels against the tree walker.
#include "codegen/loop_kernel.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "codegen/kernel_check.h"
#include "codegen/loop_nest.h"
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

// What is no number stays so, on either side of a bound.
TEST(LoopKernel, bounds_keep_what_is_no_number) {
  for (const DType type : {DType::f32, DType::f64, DType::f16})
    for (const bool is_first : {true, false}) {
      ir::Meaning meaning = with_inputs({{type, {100}}});
      ir::ExprPool& pool = *meaning.pool;
      const std::vector<ir::Expr> at{variable(meaning, 0)};
      const ir::Expr x = pool.read(0, type, at), low = pool.real(-0.5, type),
                     high = pool.real(0.75, type);
      const ir::Expr above = is_first ? max(low, x) : max(x, low);
      meaning.outputs.push_back({{100}, is_first ? min(high, above) : min(above, high)});
      EXPECT_EQ(check_meaning(meaning, Numbers::unusual, 5, 4, 2), "") << to_string(type);
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

// Chains of reductions and elementwise steps over the same rows: one kernel that keeps what a
// later loop asks for again.
using ir::Expr;
using Row = std::function<Expr(Expr)>;  ///< an element of the row by its index

struct Chain {
  explicit Chain(int64_t rows, int64_t extent, DType type = DType::f32) : columns(extent) {
    meaning.pool = std::make_unique<ir::ExprPool>();
    meaning.inputs = {{type, {rows, extent}}, {type, {rows, extent}}};
    row = pool().variable({ir::Var::Kind::output, 0});
    column = pool().variable({ir::Var::Kind::output, 1});
  }
  ir::ExprPool& pool() { return *meaning.pool; }
  Expr input(uint32_t k, Expr j) {
    const std::vector<Expr> at{row, j};
    return pool().read(k, meaning.inputs[k].dtype, at);
  }
  Expr reduce(ir::Reduction kind, const Row& body) {
    const Expr j = pool().fresh_variable();
    return pool().reduce(kind, j, pool().integer(columns), body(j));
  }
  ir::Meaning take(const Row& body) {
    meaning.outputs.push_back({{meaning.inputs[0].shape[0], columns}, body(column)});
    return std::move(meaning);
  }

  ir::Meaning meaning;
  Expr row, column;
  int64_t columns;
};

ir::Meaning softmax(int64_t rows, int64_t columns, DType type = DType::f32) {
  Chain c(rows, columns, type);
  const Expr top = c.reduce(ir::Reduction::max, [&](Expr j) { return c.input(0, j); });
  const Row e = [&](Expr j) { return exp(c.input(0, j) - top); };
  const Expr sum = c.reduce(ir::Reduction::sum, e);
  return c.take([&](Expr j) { return e(j) / sum; });
}

RowReuse reuse_of(const ir::Meaning& meaning) {
  LoopNest nest(meaning, 16);
  return find_row_reuse(nest);
}

// The exponential is kept and x is read a second time; a row that fits no buffer is computed
// again.
TEST(RowReuse, keeps_the_exponentials_of_a_softmax) {
  const RowReuse found = reuse_of(softmax(7, 1000));
  EXPECT_EQ(found.kept.size(), 1U);
  EXPECT_EQ(found.again.size(), 1U);
  EXPECT_TRUE(found.first.has_value());
  EXPECT_TRUE(reuse_of(softmax(2, 40000)).kept.empty());
}

TEST(RowReuse, computes_softmax_of_any_size_and_type) {
  for (const int64_t columns : {1, 2, 5, 16, 31, 33, 64, 100, 257})
    for (const Numbers numbers : {Numbers::usual, Numbers::unusual}) {
      SCOPED_TRACE(columns);
      EXPECT_EQ(check_meaning(softmax(3, columns), numbers, 1, 64, 2), "");
    }
  for (const DType type : {DType::f64, DType::f16, DType::bf16})
    EXPECT_EQ(check_meaning(softmax(5, 77, type), Numbers::usual, 2, 64, 3), "");
  EXPECT_EQ(check_meaning(softmax(0, 77), Numbers::usual, 2, 64, 3), "");
}

// The tree walker would compute each sum again for each element.
Tensor softmax_of(const Tensor& x) {
  Tensor result(DType::f64, x.shape());
  const int64_t columns = x.shape()[1];
  for (int64_t row = 0; row < x.shape()[0]; ++row) {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    const auto at = [&](int64_t j) { return x.float_at(row * columns + j); };
    for (int64_t j = 0; j < columns; ++j)
      if (std::isnan(at(j)) || at(j) > top) top = at(j);
    for (int64_t j = 0; j < columns; ++j) sum += std::exp(at(j) - top);
    for (int64_t j = 0; j < columns; ++j)
      result.set_float(row * columns + j, std::exp(at(j) - top) / sum);
  }
  return result;
}

// Rows of −∞ and of NaN, and tensors so large that rows are prefetched or fit no buffer.
TEST(RowReuse, computes_large_rows_and_what_is_no_number) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const int64_t columns : {1000, 1024, 40000}) {
    const ir::Meaning meaning = softmax(1'000'000 / columns, columns);
    Rng rng(3);
    std::vector<Tensor> inputs;
    for (const ir::ValueType& type : meaning.inputs)
      inputs.push_back(random_tensor(type, Numbers::usual, rng));
    for (int64_t j = 0; j < columns; ++j) {
      inputs[0].set_float(j, -infinity);
      inputs[0].set_float(2 * columns + j, nan);
    }
    inputs[0].set_float(3 * columns + columns - 1, nan);
    inputs[0].set_float(4 * columns + 500, infinity);
    inputs[0].set_float(5 * columns + 1, -infinity);
    Jit jit({.threads = 1});
    const ir::Meaning* one[] = {&meaning};
    const Tensor found = run_kernel(jit.compile(one)[0], meaning, inputs, 3)[0];
    EXPECT_EQ(difference(softmax_of(inputs[0]), found, 64), "");
    EXPECT_TRUE(std::isnan(found.float_at(5)));
    EXPECT_EQ(found.float_at(5 * columns + 1), 0);
  }
}

// Random chains: each element is made of the inputs, of elements before it and of their
// reductions, so that loops share values in many ways.
ir::Meaning random_chain(uint64_t seed) {
  Rng rng(seed);
  constexpr int64_t extents[] = {1, 3, 15, 16, 17, 33, 64, 100, 257};
  Chain c(rng.integer(1, 4), extents[rng.integer(0, 8)]);
  std::vector<Row> rows{[&c](Expr j) { return c.input(0, j); },
                        [&c](Expr j) { return c.input(1, j); }};
  std::vector<Expr> sums;
  const auto any_row = [&] { return rows[rng.integer(0, static_cast<int64_t>(rows.size()) - 1)]; };
  for (int64_t step = rng.integer(2, 6); step-- > 0;) {
    const Row a = any_row(), b = any_row();
    const Expr sum = sums.empty() ? c.pool().real(0.5, DType::f32)
                                  : sums[rng.integer(0, static_cast<int64_t>(sums.size()) - 1)];
    switch (rng.integer(0, 6)) {
      case 0: rows.emplace_back([=](Expr j) { return tanh(a(j) - sum); }); break;
      case 1: rows.emplace_back([=](Expr j) { return a(j) / (abs(sum) + 1); }); break;
      case 2: rows.emplace_back([=](Expr j) { return select(b(j) < sum, erf(a(j)), b(j)); }); break;
      case 3: rows.emplace_back([=](Expr j) { return exp(min(a(j) * sum, 2)) + b(j); }); break;
      case 4: rows.emplace_back([=](Expr j) { return tanh(a(j)) * tanh(b(j)); }); break;
      default: {
        const ir::Reduction kinds[] = {ir::Reduction::sum, ir::Reduction::max, ir::Reduction::min};
        sums.push_back(c.reduce(kinds[rng.integer(0, 2)], [&](Expr j) {
          return tanh(a(j)) / static_cast<double>(c.columns);
        }));
        rows.push_back([a, s = sums.back()](Expr j) { return tanh(a(j)) + s; });
      }
    }
  }
  const Row last = rows.back(), other = any_row();
  return c.take([&](Expr j) { return last(j) + other(j); });
}

TEST(RowReuse, computes_random_chains) {
  size_t kept = 0;
  for (uint64_t seed = 1; seed <= 80; ++seed) {
    const ir::Meaning meaning = random_chain(seed);
    kept += reuse_of(meaning).kept.size();
    const Numbers numbers = seed % 3 == 0 ? Numbers::unusual : Numbers::usual;
    EXPECT_EQ(check_meaning(meaning, numbers, seed, 400, 2), "") << "seed " << seed;
  }
  EXPECT_GT(kept, 25U);
}

}  // namespace
}  // namespace tessera::codegen
