// SPDX-License-Identifier: Apache-2.0
// Cutting and packing.
#include "amx/form.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "base/check.h"
#include "types/dtype.h"

namespace tessera::amx {
namespace {

using Axis = Contraction::Axis;

int64_t product(const std::vector<Axis>& axes, size_t count) {
  int64_t n = 1;
  for (size_t k = 0; k < count; ++k) n *= axes[k].extent;
  return n;
}

int64_t tiles(int64_t rows) { return (rows + Form::most_rows - 1) / Form::most_rows; }

// The fewest tiles of equal length for so many pairs.
int64_t steps_for(int64_t pairs) {
  int64_t steps = (pairs + Form::most_pairs - 1) / Form::most_pairs;
  while (pairs % steps != 0) ++steps;
  return steps;
}

bool varies(const Axis& axis) { return axis.b != 0 && axis.extent > 1; }

// Tiles of one line each, or of the lines as they follow each other in memory, which also compute
// what lies between them: where that takes a tenth less.
void cut_rows(Form& f) {
  const Axis& inner = f.c.rows.back();
  const size_t n = f.c.rows.size();
  if (n > 1 && inner.a > 0) {
    const Axis& outer = f.c.rows[n - 2];
    const int64_t pitch = outer.a / inner.a;
    const int64_t joined = (outer.extent - 1) * pitch + inner.extent;
    if (outer.a % inner.a == 0 && pitch >= inner.extent &&
        10 * tiles(joined) < 9 * outer.extent * tiles(inner.extent))
      f.pitch = pitch;
  }
  const int64_t count = tiles(f.line_rows());
  f.height = (f.line_rows() + count - 1) / count;
}

// How far in b the number of a run lies that is at `place` in a; -1 for a zero.
int64_t distance_in_b(const Form& f, int64_t place) {
  const Axis& last = f.c.reduce.back();
  const int64_t tap = place / f.row, k = place % f.row;
  if (k >= last.extent) return -1;
  return k * last.b + (f.taps > 1 ? tap * f.c.reduce[f.c.reduce.size() - 2].b : 0);
}

void pack_run(const Form& f, const LooseFloat* b, int64_t width, int64_t count, float* packed) {
  const int64_t step = f.c.column.b;
  for (int64_t pair = 0; pair < f.steps * f.pairs; ++pair, packed += width) {
    const int64_t low = distance_in_b(f, 2 * pair), high = distance_in_b(f, 2 * pair + 1);
    for (int64_t n = 0; n < count; ++n) {
      const LooseFloat* from = b + n * step;
      const uint32_t first = low < 0 ? 0 : f32_to_bf16(from[low]),
                     second = high < 0 ? 0 : f32_to_bf16(from[high]);
      packed[n] = std::bit_cast<float>(first | second << 16);
    }
    std::fill(packed + count, packed + width, 0.0F);
  }
}

void pack_matrix(const Form& f, const LooseFloat* b, float* packed) {
  const size_t outer = f.outer_axes();
  const int64_t runs = product(f.c.reduce, outer);
  for (int64_t panel = 0; panel < f.panels(); ++panel) {
    const int64_t first = panel * Form::panel_width;
    const int64_t width = panel + 1 < f.panels() ? Form::panel_width : f.last_width();
    const int64_t count = std::min(width, f.c.column.extent - first);
    for (int64_t run = 0; run < runs; ++run) {
      const LooseFloat* from = b + first * f.c.column.b;
      int64_t rest = run;
      for (size_t k = outer; k-- > 0; rest /= f.c.reduce[k].extent)
        from += rest % f.c.reduce[k].extent * f.c.reduce[k].b;
      pack_run(f, from, width, count, packed);
      packed += f.steps * f.pairs * width;
    }
  }
}

}  // namespace

int64_t Form::pair_count() const { return product(c.reduce, outer_axes()) * steps * pairs; }

int64_t Form::line_rows() const {
  const int64_t own = c.rows.back().extent;
  return pitch == 0 ? own : (c.rows[c.rows.size() - 2].extent - 1) * pitch + own;
}

int64_t Form::row_tiles() const {
  return product(c.rows, c.rows.size() - (pitch == 0 ? 1 : 2)) * line_tiles();
}

int64_t Form::last_width() const {
  const int64_t left = c.column.extent - (panels() - 1) * panel_width;
  return left <= panel_width / 2 ? panel_width / 2 : panel_width;
}

int64_t Form::matrix_floats() const {
  return pair_count() * ((panels() - 1) * panel_width + last_width());
}

int64_t Form::slack() const { return height * c.rows.back().a; }

std::string Form::to_string() const {
  return fmt::format("2x{} rows, 2x16 columns, {} pairs{}", height, pairs,
                     by_panels ? "" : ", by rows");
}

int64_t padded_row(int64_t numbers, int64_t taps) {
  const int64_t least = (numbers + 1) / 2 * 2;
  int64_t best = least;
  for (int64_t row = least; row < least + 2 * Form::most_pairs; row += 2)
    if (steps_for(taps * row / 2) < steps_for(taps * best / 2)) best = row;
  return best;
}

std::optional<Form> form_of(Contraction c, int64_t numbers, int64_t row) {
  if (!c.packed || c.group != 0 || c.pairs || c.column.a != 0) return std::nullopt;
  if (c.reduction() == 0 || c.row_count() == 0 || c.batch_count() == 0 || c.column.extent == 0)
    return std::nullopt;
  Form f;
  f.c = std::move(c);
  f.c.windows.clear();
  join_axes(f.c);
  std::vector<Axis>& reduce = f.c.reduce;
  // An axis of one channel was dropped.
  if (numbers == 1 && reduce.back().a != 1) reduce.push_back({.extent = 1, .a = 1});
  if (reduce.back().a != 1) return std::nullopt;
  f.row = reduce.back().extent;
  if (f.row == numbers) {
    f.row = row;
    if (reduce.size() > 1 && reduce[reduce.size() - 2].a == row)
      f.taps = reduce[reduce.size() - 2].extent;
  }
  const int64_t run = f.taps * f.row;
  if (run % 2 != 0) return std::nullopt;
  f.steps = steps_for(run / 2);
  f.pairs = run / 2 / f.steps;
  cut_rows(f);
  const auto weights = static_cast<double>(f.pair_count() * f.c.column.extent);
  f.by_panels = f.blocks() == 1 || weights >= static_cast<double>(f.c.row_count() * run) / 4;
  return f;
}

int64_t packed_elements(const Form& form) {
  int64_t n = form.matrix_floats();
  for (const Axis& axis : form.c.batch)
    if (varies(axis)) n *= axis.extent;
  return n;
}

void pack_b(const Form& form, const LooseFloat* b, float* packed) {
  int64_t matrices = 1;
  for (const Axis& axis : form.c.batch)
    if (varies(axis)) matrices *= axis.extent;
  for (int64_t matrix = 0; matrix < matrices; ++matrix) {
    const LooseFloat* from = b;
    int64_t rest = matrix;
    for (size_t k = form.c.batch.size(); k-- > 0;) {
      const Axis& axis = form.c.batch[k];
      if (!varies(axis)) continue;
      from += rest % axis.extent * axis.b;
      rest /= axis.extent;
    }
    pack_matrix(form, from, packed + matrix * form.matrix_floats());
  }
}

}  // namespace tessera::amx
