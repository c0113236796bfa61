// SPDX-License-Identifier: Apache-2.0
// Chooses the loop nest from the strides of reads, and finds what loops over a row share.
#include "codegen/loop_nest.h"

#include <algorithm>

#include "base/check.h"
#include "ops/counts.h"

namespace tessera::codegen {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using ops::Affine;

namespace {

std::vector<ExprId> bodies(const ir::Meaning& meaning) {
  std::vector<ExprId> roots;
  for (const ir::MeaningOutput& o : meaning.outputs) roots.push_back(o.body.id);
  return roots;
}

std::vector<Shape> input_shapes(const ir::Meaning& meaning) {
  std::vector<Shape> shapes;
  for (const ir::ValueType& t : meaning.inputs)
    shapes.push_back(t.opaque ? Shape{} : t.concrete_shape());
  return shapes;
}

}  // namespace

VarMask variable_bit(ir::Var var) {
  if (var.kind == ir::Var::Kind::free) return 0;  // left over from building
  const uint32_t at = var.kind == ir::Var::Kind::output ? var.number : 15 + var.number;
  TESSERA_CHECK(at < 64 && (var.kind != ir::Var::Kind::output || at < 16),
                "{} variables are too many", at);
  return VarMask{1} << at;
}

LoopNest::LoopNest(const ir::Meaning& m, int f32_lanes)
    : meaning(m),
      pool(*m.pool),
      roots(bodies(m)),
      inputs(input_shapes(m)),
      shape(m.output_type(0).concrete_shape()),
      analysis(pool, roots, shape) {
  for (size_t k = 1; k < m.outputs.size(); ++k)
    TESSERA_CHECK(m.output_type(k).concrete_shape() == shape, "outputs of different shapes");
  unproven = analysis.unproven_reads(inputs);
  find_masks();
  for (ExprId root : roots) find_uses(root, 1);
  melt_axes();
  choose_lanes(f32_lanes);
}

void LoopNest::find_masks() {
  const ExprId last = *std::max_element(roots.begin(), roots.end());
  masks.resize(last + 1);
  tainted.resize(last + 1);
  for (ExprId id = 0; id <= last; ++id) {
    if (!analysis.is_used(id)) continue;
    const ExprNode& n = pool.node(id);
    tainted[id] = unproven.contains(id);
    for (ExprId a : n.args) {
      masks[id] |= masks[a];
      tainted[id] = tainted[id] || tainted[a];
    }
    if (n.kind == ExprKind::variable) masks[id] = variable_bit(n.var);
    if (n.kind == ExprKind::reduce)
      masks[id] = masks[n.args[0]] | (masks[n.args[1]] & ~variable_bit(n.var));
  }
}

// Every place where an output variable takes part: offsets of reads, compared sums, values.
void LoopNest::find_uses(ExprId id, double weight) {
  if (!visited_.insert(id).second) return;
  const ExprNode& n = pool.node(id);
  if (n.type == DType::i64 && n.kind != ExprKind::read && n.kind != ExprKind::reduce) {
    const Affine& affine = analysis.affine(id);
    const bool is_atom = affine.terms.size() == 1 && affine.terms[0].first == id;
    if (!is_atom) return use(affine, false, weight);
    if (n.kind == ExprKind::variable) return use(affine, false, weight);
  }
  if (n.kind == ExprKind::read) {
    use(analysis.offset(n, inputs[n.input]), true, weight);
    if (tainted[id])
      for (ExprId a : n.args) use(analysis.affine(a), false, weight);
    return;
  }
  if (n.kind == ExprKind::primitive && (n.prim == Prim::lt || n.prim == Prim::le) &&
      pool.node(n.args[0]).type == DType::i64) {
    const Affine room = analysis.affine(n.args[1]) + analysis.affine(n.args[0]) * -1;
    if (analysis.interval(room).bounded()) return use(room, false, weight);
  }
  for (ExprId a : n.args) find_uses(a, weight);
}

void LoopNest::use(Affine affine, bool, double weight) {
  for (const auto& term : affine.terms)
    if (pool.node(term.first).kind != ExprKind::variable) find_uses(term.first, weight);
  uses_.push_back(std::move(affine));
}

// Two neighbours are one axis if all that is ever used of them is i · extent(j) + j.
void LoopNest::melt_axes() {
  const auto coefficient_of = [&](const Affine& affine, uint32_t axis) -> int64_t {
    for (const auto& [term, coefficient] : affine.terms) {
      const ExprNode& n = pool.node(term);
      if (n.kind == ExprKind::variable && n.var == ir::Var{ir::Var::Kind::output, axis})
        return coefficient;
    }
    return 0;
  };
  std::vector<NestAxis> axes;  // innermost first
  for (uint32_t axis = static_cast<uint32_t>(shape.size()); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    const bool melts = !axes.empty() && std::all_of(uses_.begin(), uses_.end(), [&](const auto& u) {
      const NestAxis& last = axes.back();
      return coefficient_of(u, axis) == coefficient_of(u, last.variable) * last.extent;
    });
    if (melts) axes.back().extent *= shape[axis];
    else axes.push_back({axis, shape[axis]});
  }
  std::reverse(axes.begin(), axes.end());
  outer = std::move(axes);
}

LoopNest::Chain LoopNest::chain(ExprId reduce) const {
  Chain result{{reduce}, pool.node(reduce).args[1]};
  while (true) {
    const ExprNode& n = pool.node(result.nodes.back());
    const ExprNode& next = pool.node(result.body);
    const bool extends = next.kind == ExprKind::reduce && next.reduction == n.reduction &&
                         (masks[result.body] & variable_bit(n.var)) != 0;
    if (!extends) return result;
    result.nodes.push_back(result.body);
    result.body = next.args[1];
  }
}

// The coefficient of a variable in an offset; not plain when the variable hides in an atom.
int64_t LoopNest::coefficient(const Affine& affine, VarMask variable, bool& is_plain) const {
  int64_t result = 0;
  is_plain = true;
  for (const auto& [term, factor] : affine.terms) {
    if (!(masks[term] & variable)) continue;
    if (pool.node(term).kind == ExprKind::variable) result = factor;
    else is_plain = false;
  }
  return result;
}

// How well the reads below suit lanes along a variable: contiguous good, scattered bad.
double LoopNest::lane_score(ExprId body, VarMask variable) {
  double score = 0;
  std::set<ExprId> seen;
  const auto visit = [&](auto&& self, ExprId id, double weight) -> void {
    if (!seen.insert(id).second || !(masks[id] & variable)) return;
    const ExprNode& n = pool.node(id);
    if (n.kind == ExprKind::read) {
      bool is_plain = true;
      const int64_t factor = coefficient(analysis.offset(n, inputs[n.input]), variable, is_plain);
      score += weight * (!is_plain ? -2 : factor == 1 ? 2 : factor == 0 ? 0.5 : -2);
    }
    if (n.kind == ExprKind::reduce)
      weight *=
          static_cast<double>(std::clamp<int64_t>(analysis.interval(n.args[0]).high, 1, 1 << 20));
    for (ExprId a : n.args) self(self, a, weight);
  };
  visit(visit, body, 1);
  return score;
}

int LoopNest::lane_variable(const Chain& chain) {
  int best = -1;
  double best_score = -1e300;
  for (size_t k = 0; k < chain.nodes.size(); ++k) {
    const ExprNode& n = pool.node(chain.nodes[k]);
    // An extent that another loop of the chain decides cannot move outwards or inwards.
    bool is_free = true;
    for (size_t other = 0; other < chain.nodes.size(); ++other) {
      const ExprNode& o = pool.node(chain.nodes[other]);
      if (masks[n.args[0]] & variable_bit(o.var)) is_free = false;
      if (masks[o.args[0]] & variable_bit(n.var)) is_free = false;
    }
    const int64_t extent = analysis.interval(n.args[0]).high;
    if (!is_free || extent < 4) continue;
    double score = lane_score(chain.body, variable_bit(n.var));
    const double fill = std::min(1.0, static_cast<double>(extent) / lanes);
    score = score > 0 ? score * fill : score / fill;
    if (score >= best_score) best_score = score, best = static_cast<int>(k);
  }
  return best;
}

// Whether the last axis is too short for lanes, while everything read lies along the one before it.
bool LoopNest::interleaves(int f32_lanes) {
  constexpr int64_t most = 4;
  if (outer.size() < 2 || outer.back().extent > most) return false;
  const NestAxis& before = outer[outer.size() - 2];
  if (before.extent < f32_lanes) return false;
  for (ExprId id = 0; id < masks.size(); ++id) {
    const ExprNode& n = pool.node(id);
    if (!analysis.is_used(id)) continue;
    if (n.kind == ExprKind::reduce) return false;
    if (n.kind != ExprKind::read || !(masks[id] & (VarMask{1} << before.variable))) continue;
    bool is_plain = true;
    if (coefficient(analysis.offset(n, inputs[n.input]), VarMask{1} << before.variable, is_plain) !=
            1 ||
        !is_plain)
      return false;
  }
  return true;
}

void LoopNest::choose_lanes(int f32_lanes) {
  lanes = f32_lanes;
  if (interleaves(f32_lanes)) {
    interleaved = outer.back();
    outer.pop_back();
    inner = outer.back();
    outer.pop_back();
    tile = std::min(inner->extent, tile_size());
    for (const NestAxis& axis : outer) rows *= axis.extent;
    rows *= (inner->extent + tile - 1) / tile;
    return;
  }
  bool has_row_reduction = false;
  if (!outer.empty()) {
    const NestAxis last = outer.back();
    const VarMask variable = VarMask{1} << last.variable;
    double along_axis = 0, along_reductions = 0;
    for (ExprId id = 0; id < masks.size(); ++id) {
      const ExprNode& n = pool.node(id);
      if (!analysis.is_used(id) || n.kind != ExprKind::reduce) continue;
      if (!(masks[id] & variable)) {
        has_row_reduction = true;
        continue;
      }
      const Chain c = chain(id);
      const double trips =
          static_cast<double>(std::clamp<int64_t>(analysis.interval(n.args[0]).high, 1, 1 << 20));
      const double fill = std::min(1.0, static_cast<double>(last.extent) / f32_lanes);
      const double score = lane_score(c.body, variable);
      along_axis += trips * (score > 0 ? score * fill : score / fill);
      const int k = lane_variable(c);
      if (k >= 0) {
        const ExprNode& r = pool.node(c.nodes[k]);
        const double width =
            std::min(1.0, static_cast<double>(analysis.interval(r.args[0]).high) / f32_lanes);
        const double other = lane_score(c.body, variable_bit(r.var));
        along_reductions += trips * (other > 0 ? other * width : other / width);
      } else {
        along_reductions -= trips * 4;
      }
    }
    if (along_axis >= along_reductions) {
      inner = last;
      outer.pop_back();
    }
  }
  if (!inner) {
    for (const NestAxis& axis : outer) rows *= axis.extent;
    lanes = 2 * f32_lanes;
    return;
  }
  lanes = inner->extent >= 4 * f32_lanes ? 2 * f32_lanes : f32_lanes;
  tile = inner->extent;
  if (!has_row_reduction) {
    group_rows(f32_lanes);
    tile = std::min(tile, tile_size());
  }
  for (size_t k = 0; k < outer.size(); ++k)
    rows *= k + 1 < outer.size() ? outer[k].extent : (outer[k].extent + group - 1) / group;
  rows *= (inner->extent + tile - 1) / tile;
}

// About as much work in a row as makes a call worth while, so that threads share what there is.
int64_t LoopNest::tile_size() {
  constexpr double work_per_row = 65536;
  constexpr int64_t largest = 4096, smallest = 64;
  double work = 1;
  for (ExprId id = 0; id < masks.size(); ++id) {
    const ExprNode& n = pool.node(id);
    if (!analysis.is_used(id) || n.kind != ExprKind::reduce) continue;
    double trips = 1;
    for (ExprId r : chain(id).nodes)
      trips *= static_cast<double>(
          std::clamp<int64_t>(analysis.interval(pool.node(r).args[0]).high, 1, 1 << 20));
    work = std::max(work, trips);
  }
  const double size = work_per_row / work / static_cast<double>(group);
  const auto tiles = static_cast<int64_t>(size) / lanes * lanes;
  return std::clamp<int64_t>(tiles, smallest, largest);
}

// A few neighbours of the last outer axis go together when what is read lies along it (a
// transposition), so that a cache line is used up while it is at hand, and when much depends on the
// lane alone, which they then share.
void LoopNest::group_rows(int f32_lanes) {
  if (outer.empty()) return;
  const VarMask along = VarMask{1} << inner->variable, across = VarMask{1} << outer.back().variable;
  bool transposes = false, shares = false;
  for (ExprId id = 0; id < masks.size(); ++id) {
    const ExprNode& n = pool.node(id);
    if (!analysis.is_used(id) || n.kind != ExprKind::read) continue;
    const Affine offset = analysis.offset(n, inputs[n.input]);
    bool is_plain = true, is_plain_across = true;
    const int64_t stride = coefficient(offset, along, is_plain);
    shares = shares || (!is_plain && !(masks[id] & across));
    transposes =
        transposes || (is_plain && stride > 1 && coefficient(offset, across, is_plain_across) == 1);
  }
  if (!transposes && !shares) return;
  group = std::min<int64_t>(16, outer.back().extent);
  if (transposes) lanes = f32_lanes;
}

namespace {

// A buffer that stays in the second-level cache and on any thread's stack.
constexpr int64_t most_bytes = 128 << 10, most_in_all = 256 << 10;

// A store and a load cost about as much as a few operations.
bool is_expensive(const ExprNode& n) {
  return n.kind == ExprKind::primitive && is_float(n.type) &&
         (ops::is_transcendental(n.prim) || n.prim == Prim::div || n.prim == Prim::sqrt ||
          n.prim == Prim::fmod);
}

// Compares the bodies of the loops over one row: equal but for the variable of the row.
class ReuseFinder {
 public:
  explicit ReuseFinder(LoopNest& nest) : nest_(nest), pool_(nest.pool) {}

  RowReuse run() {
    if (nest_.group > 1 || nest_.interleaved) return {};
    for (const NestAxis& axis : nest_.outer) outer_ |= VarMask{1} << axis.variable;
    find_loops();
    // Ids grow from operands to results, so no reduction depends on one of a larger id.
    for (size_t k = 1; k < loops_.size(); ++k) search(loops_[k], k);
    const auto& last = nest_.inner;
    if (last && nest_.tile == last->extent && nest_.shape[last->variable] == last->extent)
      for (ExprId root : nest_.roots)
        search({0, root, {ir::Var::Kind::output, last->variable}, last->extent}, loops_.size());
    if (last && !loops_.empty() && loops_[0].extent == last->extent)
      found_.first = loops_[0].reduce;
    return std::move(found_);
  }

 private:
  // The loop of a reduction over lanes, once for each row.
  struct Loop {
    ExprId reduce = 0, body = 0;
    ir::Var variable;
    int64_t extent = 0;
  };

  void find_loops() {
    std::set<ExprId> inside;  // of a chain that begins further out
    for (auto id = static_cast<ExprId>(nest_.masks.size()); id-- > 0;) {
      const ExprNode& n = pool_.node(id);
      if (!nest_.analysis.is_used(id) || n.kind != ExprKind::reduce || inside.contains(id))
        continue;
      const LoopNest::Chain chain = nest_.chain(id);
      inside.insert(chain.nodes.begin() + 1, chain.nodes.end());
      const ExprNode& extent = pool_.node(n.args[0]);
      if (chain.nodes.size() > 1 || (nest_.masks[id] & ~outer_) || nest_.tainted[id] ||
          extent.kind != ExprKind::constant || nest_.lane_variable(chain) != 0)
        continue;
      loops_.insert(loops_.begin(), {id, n.args[1], n.var, extent.bits});
    }
  }

  // What `later` computes or reads as one of the first `count` loops did.
  void search(const Loop& later, size_t count) {
    std::set<ExprId> seen;
    const VarMask own = variable_bit(later.variable);
    const auto visit = [&](auto&& self, ExprId id) -> void {
      const ExprNode& n = pool_.node(id);
      if (!(nest_.masks[id] & own) || n.kind == ExprKind::reduce || !seen.insert(id).second) return;
      const bool is_read = n.kind == ExprKind::read;
      const bool is_candidate = !nest_.tainted[id] && !(nest_.masks[id] & ~(outer_ | own));
      for (size_t k = 0; is_candidate && (is_read || is_expensive(n)) && k < count; ++k) {
        if (loops_[k].extent != later.extent) continue;
        if (is_read) {
          if (find(id, later, loops_[k])) found_.again.insert(id);
        } else if (keep(id, later, loops_[k])) {
          return;
        }
      }
      if (n.type == DType::i64) return;
      for (ExprId a : n.args) self(self, a);
    };
    visit(visit, later.body);
  }

  bool keep(ExprId id, const Loop& later, const Loop& earlier) {
    const auto value = find(id, later, earlier);
    if (!value) return false;
    const auto bytes = static_cast<int64_t>(size_of(pool_.node(id).type)) * earlier.extent;
    const bool is_known = kept_values_.contains(*value);
    if (bytes > most_bytes || (!is_known && total_ + bytes > most_in_all)) return false;
    if (!is_known) total_ += bytes;
    kept_values_.insert(*value);
    const VarMask bit = variable_bit(earlier.variable);
    found_.kept.emplace(id, RowReuse::Source{earlier.reduce, *value, bit, earlier.extent});
    return true;
  }

  // The node of `earlier` that is `id` of `later`.
  std::optional<ExprId> find(ExprId id, const Loop& later, const Loop& earlier) {
    std::set<ExprId> seen;
    std::optional<ExprId> result;
    const auto visit = [&](auto&& self, ExprId at) -> void {
      const ExprNode& n = pool_.node(at);
      if (result || !(nest_.masks[at] & variable_bit(earlier.variable)) || !seen.insert(at).second)
        return;
      if (same(id, at, later.variable, earlier.variable)) result = at;
      if (n.kind == ExprKind::reduce) return;
      for (ExprId a : n.args) self(self, a);
    };
    visit(visit, earlier.body);
    return result;
  }

  // Whether `a` with variable `of_a` is `b` with `of_b`.
  bool same(ExprId a, ExprId b, ir::Var of_a, ir::Var of_b) const {
    const bool varies = (nest_.masks[a] & variable_bit(of_a)) != 0;
    if (!varies) return a == b;
    const ExprNode &x = pool_.node(a), &y = pool_.node(b);
    if (x.kind != y.kind || x.type != y.type || x.kind == ExprKind::reduce) return false;
    if (x.kind == ExprKind::variable) return x.var == of_a && y.var == of_b;
    if (x.prim != y.prim || x.input != y.input || x.bits != y.bits ||
        x.args.size() != y.args.size())
      return false;
    for (size_t k = 0; k < x.args.size(); ++k)
      if (!same(x.args[k], y.args[k], of_a, of_b)) return false;
    return true;
  }

  LoopNest& nest_;
  const ir::ExprPool& pool_;
  VarMask outer_ = 0;
  std::vector<Loop> loops_;  ///< by id
  std::set<ExprId> kept_values_;
  int64_t total_ = 0;
  RowReuse found_;
};

}  // namespace

RowReuse find_row_reuse(LoopNest& nest) { return ReuseFinder(nest).run(); }

}  // namespace tessera::codegen
