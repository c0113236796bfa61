// SPDX-License-Identifier: Apache-2.0
// Tiles, schedules and packing of contractions.
#include "codegen/contraction.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <span>

#include "base/check.h"
#include "types/dtype.h"

namespace tessera::codegen {

using Axis = Contraction::Axis;

namespace {

int64_t product(const std::vector<Axis>& axes) {
  int64_t n = 1;
  for (const Axis& axis : axes) n *= axis.extent;
  return n;
}

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// `extent` indices in as few chunks of at most `most` as there can be, of nearly equal size.
std::vector<ContractionTiles::Chunk> chunks(int64_t extent, int64_t most) {
  std::vector<ContractionTiles::Chunk> result;
  const int64_t parts = (extent + most - 1) / most;
  int64_t first = 0;
  for (int64_t k = 0; k < parts; ++k) {
    const int64_t count = extent / parts + (k < extent % parts ? 1 : 0);
    result.push_back({first, count});
    first += count;
  }
  return result;
}

const Contraction::Window* window_of(const Contraction& c, size_t row) {
  for (const Contraction::Window& w : c.windows)
    if (w.row == row) return &w;
  return nullptr;
}

// Which taps each index of a chunk sees.
std::vector<bool> sight(const Contraction& c, size_t row, const ContractionTiles::Chunk& chunk) {
  std::vector<bool> seen;
  const Contraction::Window* w = window_of(c, row);
  for (int64_t at = chunk.first; w && at < chunk.first + chunk.count; ++at)
    for (int64_t tap = 0; tap < c.reduce[w->tap].extent; ++tap)
      seen.push_back(w->contains(at, tap));
  return seen;
}

}  // namespace

int64_t Contraction::reduction() const { return product(reduce); }
int64_t Contraction::row_count() const { return product(rows); }
int64_t Contraction::batch_count() const { return product(batch); }
double Contraction::flops() const {
  return (pairs ? 4.0 : 2.0) * static_cast<double>(batch_count()) *
         static_cast<double>(row_count()) * static_cast<double>(column.extent) *
         static_cast<double>(reduction());
}

std::string ContractionSchedule::to_string() const {
  return fmt::format("{}x{}v unroll {}{}{}{}{}{}", rows, vectors, unroll,
                     columns_outer ? "" : " rows-outer", batch_inner ? " batch-inner" : "",
                     prefetch ? " prefetch" : "",
                     strip_panels ? fmt::format(" strips of {}", strip_panels) : "",
                     prefetch_lines ? " ahead" : "");
}

std::vector<std::vector<LineElement>> line_segments(const std::vector<int64_t>& rows, int64_t tap,
                                                    const std::vector<std::vector<bool>>& seeing) {
  constexpr double sums_on_the_way = 8;
  const auto of_rows = [&](size_t first, size_t end) {
    std::map<int64_t, LineElement> found;
    for (size_t r = first; r < end; ++r)
      for (size_t t = 0; t < seeing.size(); ++t) {
        const auto number = static_cast<int64_t>(t);
        const int64_t distance = rows[r] + number * tap;
        if (!seeing[t][r]) continue;
        found.try_emplace(distance, LineElement{distance, {}})
            .first->second.users.emplace_back(r, number);
      }
    std::vector<LineElement> elements;
    for (auto& [distance, element] : found) elements.push_back(std::move(element));
    return elements;
  };
  double uses = 0;
  const std::vector<LineElement> all = of_rows(0, rows.size());
  for (const LineElement& e : all) uses += static_cast<double>(e.users.size());
  const double share = uses / static_cast<double>(std::max<size_t>(all.size(), 1));
  const auto count = static_cast<size_t>(std::clamp<double>(
      std::ceil(sums_on_the_way / std::max(share, 1.0)), 1, static_cast<double>(rows.size())));
  std::vector<std::vector<LineElement>> segments;
  for (size_t k = 0; k < count; ++k)
    segments.push_back(of_rows(k * rows.size() / count, (k + 1) * rows.size() / count));
  std::sort(segments.begin(), segments.end(),
            [](const auto& x, const auto& y) { return x.size() > y.size(); });
  return segments;
}

namespace {

// Axes of one index are no axes, unless a window looks at them.
void drop_units(Contraction& c) {
  std::erase_if(c.batch, [](const Axis& axis) { return axis.extent == 1; });
  for (size_t k = c.reduce.size(); k-- > 0 && c.reduce.size() > 1;) {
    const bool seen = std::any_of(c.windows.begin(), c.windows.end(),
                                  [&](const Contraction::Window& w) { return w.tap == k; });
    if (c.reduce[k].extent != 1 || seen) continue;
    c.reduce.erase(c.reduce.begin() + static_cast<long>(k));
    for (Contraction::Window& w : c.windows)
      if (w.tap > k) --w.tap;
  }
}

}  // namespace

void join_axes(Contraction& c, bool keep_rows) {
  drop_units(c);
  if (keep_rows) return;
  const auto has_window = [&](size_t row) { return window_of(c, row) != nullptr; };
  for (size_t k = c.rows.size(); k-- > 1;) {
    Axis &outer = c.rows[k - 1], &inner = c.rows[k];
    if (has_window(k) || has_window(k - 1)) continue;
    const auto follows = [&](int64_t of_outer, int64_t of_inner) {
      return outer.extent == 1 || of_outer == of_inner * inner.extent;
    };
    bool joins = inner.extent == 1 || (follows(outer.a, inner.a) && follows(outer.dst, inner.dst));
    for (size_t o = 0; o < c.operand_count() && inner.extent != 1; ++o)
      joins = joins && follows(outer.operand(o), inner.operand(o));
    if (!joins) continue;
    const int64_t extent = outer.extent * inner.extent;
    if (inner.extent != 1) outer = inner;
    outer.extent = extent;
    c.rows.erase(c.rows.begin() + static_cast<long>(k));
    for (Contraction::Window& w : c.windows)
      if (w.row > k) --w.row;
  }
}

void join_groups(Contraction& c, int lanes) {
  if (c.batch.size() != 1 || !c.packed || c.group != 0) return;
  const Axis groups = c.batch[0];
  const int64_t size = c.column.extent;
  if (size > 8 || lanes % size != 0 || groups.extent == 1 || groups.dst != size || groups.a != size)
    return;
  if (size > 1 && (c.reduce.back().extent != size || c.reduce.back().a != 1)) return;
  if (size > 1 && groups.b != size * c.column.b) return;
  for (size_t k = 0; k < c.operand_count(); ++k) {
    const int64_t stride = size > 1 ? c.column.operand(k) : groups.operand(k);
    if ((stride != 0 && stride != 1) || groups.operand(k) != stride * size) return;
  }
  c.group = size;
  c.column = {groups.extent * size, 1, groups.b / size, 1,
              size > 1 ? c.column.operands : groups.operands};
  c.batch.clear();
}

Contraction with_short_sums(Contraction c) {
  constexpr int64_t shortest_part = 96;
  const size_t last = c.reduce.size() - 1;
  const bool has_window = std::any_of(c.windows.begin(), c.windows.end(),
                                      [&](const Contraction::Window& w) { return w.tap == last; });
  Axis& axis = c.reduce[last];
  if (c.pairs || c.group > 0 || has_window || axis.extent <= longest_sum) return c;
  for (int64_t size = longest_sum; size >= shortest_part; --size) {
    if (axis.extent % size != 0) continue;
    const Axis parts{.extent = axis.extent / size, .a = size * axis.a, .b = size * axis.b};
    axis.extent = size;
    c.reduce.insert(c.reduce.end() - 1, parts);
    break;
  }
  return c;
}

bool totals_fit(int64_t rows, int64_t vectors) {
  constexpr int64_t registers = 32;  // of processors that have such products
  return 2 * rows * vectors + vectors + 2 <= registers;
}

namespace {

bool varies(const Axis& axis) { return axis.b != 0 && axis.extent > 1; }

// Operands for the units of a and b.
void add_units(Contraction& c, int64_t row) {
  const size_t own = c.epilogue ? c.epilogue->inputs.size() - 1 : 0;
  const auto add = [&](Axis& axis, int64_t of_a, int64_t of_b) {
    axis.operands.resize(own, 0);
    axis.operands.insert(axis.operands.end(), {of_a, of_b});
  };
  int64_t columns = c.column.extent;
  for (size_t k = c.batch.size(); k-- > 0;) {
    Axis& axis = c.batch[k];
    add(axis, row > 0 ? axis.a / row : 0, varies(axis) ? columns : 0);
    if (varies(axis)) columns *= axis.extent;
  }
  for (Axis& axis : c.rows) add(axis, row > 0 ? axis.a / row : 0, 0);
  add(c.column, 0, c.column.extent > 1 ? 1 : 0);
}

// Short sums of integers allow smaller units, so the error grows with the root of their length; but
// each costs a conversion, one cycle or so.
void cut_sums(Contraction& c, int64_t most_pairs) {
  const int64_t fewest_pairs = most_pairs * 5 / 8, few_pairs = 2 * most_pairs;
  Axis& last = c.reduce.back();
  for (int64_t size = most_pairs; size >= fewest_pairs && c.pairs->numbers % 2 == 0; --size) {
    if (last.extent <= few_pairs || last.extent % size != 0) continue;
    const Axis parts{.extent = last.extent / size, .a = size, .b = size * last.b};
    last.extent = size;
    c.pairs->parts = parts.extent;
    c.reduce.insert(c.reduce.end() - 1, parts);
    break;
  }
  c.pairs->chunked = c.reduce.size() > 1 && c.reduce.back().extent >= fewest_pairs;
}

}  // namespace

std::optional<Contraction> pair_up(Contraction c, Contraction::Pairs::Kind kind, int64_t row,
                                   int64_t most_pairs) {
  Axis& last = c.reduce.back();
  if (!c.packed || c.group != 0 || last.a != 1 || c.a_offset % 2 != 0 || c.column.a != 0)
    return std::nullopt;
  if (kind == Contraction::Pairs::Kind::i16) add_units(c, row);
  last.a = 0;
  for (auto* axes : {&c.batch, &c.rows, &c.reduce})
    for (Axis& axis : *axes) {
      if (axis.a % 2 != 0) return std::nullopt;
      axis.a /= 2;
    }
  c.a_offset /= 2;
  c.pairs = {kind, last.extent, last.b};
  last = {.extent = (last.extent + 1) / 2, .a = 1, .b = 2 * last.b};
  if (kind == Contraction::Pairs::Kind::i16) cut_sums(c, most_pairs);
  return c;
}

float unit_of(double length, double largest, int64_t count) {
  if (!std::isfinite(length) || !std::isfinite(largest)) return NAN;
  constexpr double vanishing = 1e-30, inexact_squares = 1e-15;
  if (largest < vanishing) return 0;
  const double root = std::sqrt(static_cast<double>(count));
  if (largest < inexact_squares) length = root * largest;
  return static_cast<float>(
      std::max(length / (longest_i16 - root / 2), largest / std::numeric_limits<int16_t>::max()));
}

namespace {

struct Block {
  int rows, vectors;
};
// What fits the registers: rows × vectors sums, the vectors of b and one element of a. Seven rows
// by four vectors would leave none for the element.
constexpr Block wide_blocks[] = {{8, 3}, {14, 2}, {6, 4}, {9, 3}, {8, 2},
                                 {4, 5}, {3, 6},  {2, 8}, {1, 8}};
// Sums of integers: seven rows by two vectors leave room for their totals.
constexpr Block integer_blocks[] = {{7, 2}, {8, 3}, {14, 2}, {6, 4}, {9, 3},
                                    {4, 5}, {3, 6}, {2, 8},  {1, 8}};
constexpr Block narrow_blocks[] = {{6, 2}, {4, 3}, {3, 4}, {2, 4}, {1, 6}};

// Cycles of one step of the reduction in a tile: two multiply-adds and two loads a cycle; fewer
// than eight sums wait for each other; weights that lie in the second-level cache come at half a
// vector a cycle.
double cycles(double rows, double vectors, bool far, bool pairs) {
  const double latency = pairs ? 6 : 4;
  return std::max({rows * vectors / 2, (rows + vectors) / 2, latency, far ? 2 * vectors : 0.0});
}

// Cycles for adding sums of integers to totals in memory.
double far_totals(const Contraction& c, double rows, double vectors) {
  constexpr double each = 1.2;
  if (!c.has_units() || !c.pairs->chunked ||
      totals_fit(static_cast<int64_t>(rows), static_cast<int64_t>(vectors)))
    return 0;
  return static_cast<double>(c.reduction() / c.chunk()) * rows * vectors * each;
}

// Whether batches lie side by side within a row, and their weights fit the second-level cache.
bool batch_is_inner(const Contraction& c) {
  constexpr double near_weights = 512e3;
  if (!c.packed || c.batch.empty()) return false;
  const Axis &batch = c.batch.back(), &row = c.rows.back();
  return batch.a < row.a && batch.dst < row.dst && batch.a > 0 && batch.dst > 0 &&
         4.0 * static_cast<double>(c.reduction() * c.column.extent * c.batch_count()) <
             near_weights;
}

}  // namespace

// What tiles of an image see of it: lines of pixels, pixels of a line, and the distance of pixels.
struct Sight {
  int64_t lines = 1, pixels = 1, line_pixels = 1, distance = 0;
};
std::optional<Sight> sight_of(const Contraction& c, const ContractionSchedule& s) {
  const size_t n = c.rows.size();
  const Contraction::Window* along = window_of(c, n - 1);
  const Contraction::Window* down = n > 1 ? window_of(c, n - 2) : nullptr;
  // Short lines have tiles of several.
  if (!along || !down || 2 * c.rows[n - 1].extent <= s.rows) return std::nullopt;
  const auto span = [&](const Contraction::Window& w, int64_t rows) {
    return (rows - 1) * w.stride + (c.reduce[w.tap].extent - 1) * w.dilation + 1;
  };
  const int64_t width = c.rows[n - 1].extent;
  return Sight{span(*down, 1), span(*along, std::min<int64_t>(s.rows, width)), span(*along, width),
               c.rows[n - 1].a / along->stride};
}

// Panels of a strip whose pixels fit half of the first cache; 0 where the lines that a tile sees
// fit it as they are. That depends on the distance of pixels: an even number of lines of the cache
// leaves out some of its sets.
int64_t strip_panels(const Contraction& c, const ContractionSchedule& s, const Sight& sight) {
  constexpr int64_t line = 16, sets = 64, ways = 8, near = 24 << 10;  // `line` in floats
  const int64_t used =
      sight.distance % line == 0 ? sets / std::gcd(sets, sight.distance / line) : sets;
  if (sight.lines * sight.line_pixels + c.rows.back().extent <= used * ways) return 0;
  const int64_t panels = (c.column.extent + s.lanes - 1) / s.lanes;
  return std::clamp<int64_t>(near / (sight.lines * sight.pixels * s.lanes * 4), 1, panels);
}

ContractionSchedule choose_schedule(const Contraction& c, VectorUnit unit) {
  ContractionSchedule s;
  s.lanes = unit.lanes;
  const int64_t vectors = (c.column.extent + unit.lanes - 1) / unit.lanes;
  const bool in_parts = c.pairs && c.pairs->chunked;
  const auto blocks = unit.registers < 32         ? std::span<const Block>(narrow_blocks)
                      : c.has_units() && in_parts ? std::span<const Block>(integer_blocks)
                                                  : std::span<const Block>(wide_blocks);
  // Rows whose distance is a multiple of 4096 bytes compete for the same lines of the first cache.
  const bool aliased = c.rows.back().a % 1024 == 0 && c.rows.back().a != 0;
  if (c.group > 0) {
    // Every product needs a vector of a, shuffled; sums of one vector for each row suffice.
    s.rows = unit.registers >= 32 ? 14 : 7;
    s.vectors = s.unroll = 1;
    // Single channels are done before their lines leave the first cache.
    s.columns_outer = c.group == 1;
    s.prefetch = false;
    if (const auto sight = sight_of(c, s)) {
      s.strip_panels = strip_panels(c, s, *sight);
      s.prefetch_lines = c.group == 1;
    }
    return s;
  }
  // Half a vector of columns is shared by two rows.
  const int64_t rest = c.column.extent % unit.lanes;
  const bool ends_in_half = rest > 0 && 2 * rest <= unit.lanes && c.packed && !c.pairs;
  double best = HUGE_VAL;
  for (const Block& block : blocks) {
    ContractionSchedule candidate = s;
    candidate.rows = block.rows;
    candidate.vectors = static_cast<int>(std::min<int64_t>(block.vectors, vectors));
    const ContractionTiles t = cut_tiles(c, candidate);
    const auto steps = static_cast<double>(c.reduction());
    const bool far = steps * static_cast<double>(t.panel_width) * 4 > 24e3;
    double cost = 0;
    for (const auto& o : t.outer)
      for (const auto& i : t.inner) {
        const auto rows = static_cast<double>(o.count * i.count);
        const auto tile = [&](int64_t width, bool is_half = false) {
          const double v = static_cast<double>(width / unit.lanes) - (is_half ? 0.5 : 0);
          return steps * cycles(rows, v, far, c.pairs.has_value()) + far_totals(c, rows, v) +
                 2 * rows * v + 30;
        };
        cost += static_cast<double>(t.panels - 1) * tile(t.panel_width) +
                tile(t.last_width, ends_in_half);
      }
    if (aliased && block.rows > 8) cost *= 1.05;
    if (cost >= best * 0.995) continue;
    best = cost;
    s = candidate;
  }
  const int64_t rows = c.row_count();
  const auto weights = static_cast<double>(c.reduction() * c.column.extent);
  const int64_t inner = c.reduce.back().extent * (c.pairs ? c.pairs->parts : 1);
  s.columns_outer = rows <= s.rows || weights >= static_cast<double>(rows * inner) / 2;
  s.prefetch = c.packed && s.columns_outer && rows > s.rows;
  s.unroll = s.rows * s.vectors >= 16 ? 4 : 8;
  // A sum of a few pairs of integers is one stretch of code: the end of a loop of a few turns is
  // often mispredicted.
  if (in_parts && c.chunk() <= usual_pairs) s.unroll = static_cast<int>(c.chunk());
  s.batch_inner = batch_is_inner(c);
  return s;
}

ContractionTiles cut_tiles(const Contraction& c, const ContractionSchedule& s) {
  ContractionTiles t;
  const Axis& inner = c.rows.back();
  t.inner = chunks(inner.extent, s.rows);
  t.outer = {{0, 1}};
  if (c.rows.size() > 1) {
    const Axis& outer = c.rows[c.rows.size() - 2];
    t.fixed_outer = 2 * inner.extent <= s.rows;
    t.outer = chunks(outer.extent, t.fixed_outer ? s.rows / inner.extent : 1);
  }
  for (size_t k = 0; k + 2 < c.rows.size(); ++k) t.lines *= c.rows[k].extent;
  std::map<std::vector<int64_t>, int> known;
  for (const auto& o : t.outer)
    for (const auto& i : t.inner) {
      std::vector<int64_t> key{o.count, i.count};
      for (bool b : sight(c, c.rows.size() - 1, i)) key.push_back(b);
      if (t.fixed_outer)
        for (bool b : sight(c, c.rows.size() - 2, o)) key.push_back(b);
      const auto [at, inserted] = known.emplace(key, static_cast<int>(t.classes.size()));
      if (inserted) t.classes.push_back({o, i});
      t.class_of.push_back(at->second);
    }
  t.panel_width = int64_t{s.lanes} * s.vectors;
  t.panels = (c.column.extent + t.panel_width - 1) / t.panel_width;
  t.last_width = round_up(c.column.extent - (t.panels - 1) * t.panel_width, s.lanes);
  t.tasks = c.batch_count() * t.panels * t.row_tiles();
  return t;
}

namespace {

// A number that column 0 of a matrix sums over, or a pair of them.
struct Place {
  int64_t offset = 0;
  bool is_half = false;  ///< a pair whose second number is not there
};

// All of them in the order of the reduction.
std::vector<Place> reduction_places(const Contraction& c) {
  std::vector<Place> places(static_cast<size_t>(c.reduction()));
  std::vector<int64_t> at(c.reduce.size(), 0);
  for (Place& place : places) {
    for (size_t axis = 0; axis < at.size(); ++axis) place.offset += at[axis] * c.reduce[axis].b;
    // (an axis of an odd length is not cut)
    place.is_half = c.pairs && 2 * at.back() + 1 == c.pairs->numbers;
    for (size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < c.reduce[axis].extent) break;
      at[axis] = 0;
    }
  }
  return places;
}

int64_t packed_matrix(const Contraction& c, const ContractionSchedule& s) {
  return c.reduction() * round_up(c.column.extent, s.lanes);
}

// Two numbers in the bits of a float, in bf16, or as integers in a unit.
float pair_of(float first, float second, const float* unit) {
  const auto bits = [&](float x) -> uint32_t {
    if (!unit) return f32_to_bf16(x);
    return static_cast<uint16_t>(*unit > 0 ? std::lrint(static_cast<double>(x) / *unit) : 0);
  };
  return std::bit_cast<float>(bits(first) | bits(second) << 16);
}

// `count` columns of one row of a panel.
void pack_row(const Contraction& c, const LooseFloat* from, bool is_half, const float* units,
              int64_t count, float* packed) {
  if (!c.pairs && c.column.b == 1) {
    std::memcpy(packed, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  for (int64_t n = 0; n < count; ++n) {
    const LooseFloat* x = from + n * c.column.b;
    packed[n] =
        c.pairs ? pair_of(*x, is_half ? 0 : x[c.pairs->b], units ? units + n : nullptr) : *x;
  }
}

// Some rows of all panels, then the next rows: a row's columns are neighbours in memory, and its
// page is read as a whole while the rows' translations are known.
void pack_matrix(const Contraction& c, const ContractionTiles& t, const std::vector<Place>& places,
                 const LooseFloat* b, float* packed, const float* units) {
  constexpr size_t rows = 16;
  for (size_t first_row = 0; first_row < places.size(); first_row += rows) {
    const size_t end_row = std::min(first_row + rows, places.size());
    float* panel_start = packed;
    for (int64_t panel = 0; panel < t.panels; ++panel) {
      const int64_t first = panel * t.panel_width;
      const int64_t width = panel + 1 < t.panels ? t.panel_width : t.last_width;
      const int64_t count = std::min(width, c.column.extent - first);
      for (size_t row = first_row; row < end_row; ++row) {
        float* const to = panel_start + static_cast<int64_t>(row) * width;
        pack_row(c, b + first * c.column.b + places[row].offset, places[row].is_half,
                 units ? units + first : nullptr, count, to);
        std::fill(to + count, to + width, 0.0F);
      }
      panel_start += static_cast<int64_t>(places.size()) * width;
    }
  }
}

// Calls f(b of the matrix, its number) for every matrix of b.
template <typename F>
void for_matrices(const Contraction& c, const LooseFloat* b, F f) {
  std::vector<const Axis*> axes;
  int64_t count = 1;
  for (const Axis& axis : c.batch)
    if (varies(axis)) axes.push_back(&axis), count *= axis.extent;
  for (int64_t k = 0; k < count; ++k) {
    const LooseFloat* from = b;
    int64_t rest = k;
    for (size_t axis = axes.size(); axis-- > 0;) {
      from += rest % axes[axis]->extent * axes[axis]->b;
      rest /= axes[axis]->extent;
    }
    f(from, k);
  }
}

}  // namespace

int64_t packed_elements(const Contraction& c, const ContractionSchedule& s) {
  int64_t n = packed_matrix(c, s);
  for (const Axis& axis : c.batch)
    if (varies(axis)) n *= axis.extent;
  return n;
}

void pack_b(const Contraction& c, const ContractionSchedule& s, const LooseFloat* b, float* packed,
            const float* units) {
  TESSERA_CHECK(c.has_units() == (units != nullptr));
  const ContractionTiles t = cut_tiles(c, s);
  const std::vector<Place> places = reduction_places(c);
  for_matrices(c, b, [&](const LooseFloat* from, int64_t k) {
    pack_matrix(c, t, places, from, packed + k * packed_matrix(c, s),
                units ? units + k * c.column.extent : nullptr);
  });
}

std::vector<float> column_units(const Contraction& c, const LooseFloat* b) {
  const auto columns = static_cast<size_t>(c.column.extent);
  const std::vector<Place> places = reduction_places(c);
  std::vector<float> units;
  for_matrices(c, b, [&](const LooseFloat* from, int64_t) {
    std::vector<double> squares(columns, 0), longest(columns, 0), largest(columns, 0),
        total(columns, 0);
    int64_t pair = 0;
    for (const Place& place : places) {
      for (size_t n = 0; n < columns; ++n) {
        const LooseFloat* x = from + place.offset + static_cast<int64_t>(n) * c.column.b;
        const double both[] = {*x, place.is_half ? 0 : x[c.pairs->b]};
        for (const double y : both) {
          squares[n] += y * y;
          largest[n] = std::max(largest[n], std::fabs(y));
          total[n] += std::fabs(y);  // the maxima may lose a NaN
        }
      }
      if (++pair % c.chunk() != 0) continue;
      for (size_t n = 0; n < columns; ++n) {
        longest[n] = std::max(longest[n], squares[n]);
        squares[n] = 0;
      }
    }
    for (size_t n = 0; n < columns; ++n)
      units.push_back(std::isfinite(total[n])
                          ? unit_of(std::sqrt(longest[n]), largest[n], 2 * c.chunk())
                          : NAN);
  });
  return units;
}

}  // namespace tessera::codegen
