// SPDX-License-Identifier: Apache-2.0
// Recognizing contractions: loops and stores by their form, places as sums over axes, masks as
// windows.
#include "codegen/tile_contraction.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <set>

namespace tessera::codegen {
namespace {

using ir::Prim;
using tile::AxisId;
using tile::Kind;
using tile::Node;
using tile::NodeId;
using tile::Statement;

/// An axis of the program or, where indices are divided, one of the two that it is made of.
struct Part {
  AxisId axis = 0;
  int64_t scale = 1, extent = 1;  ///< of its index in the axis
};

/// constant + Σ factor · part
struct Sum {
  int64_t constant = 0;
  std::map<size_t, int64_t> factors;
  void add(const Sum& other, int64_t factor) {
    constant += other.constant * factor;
    for (const auto& [part, f] : other.factors)
      if ((factors[part] += f * factor) == 0) factors.erase(part);
  }
  int64_t of(size_t part) const {
    const auto at = factors.find(part);
    return at == factors.end() ? 0 : at->second;
  }
};

class Recognizer {
 public:
  Recognizer(const tile::Program& p, std::span<const View> views, uint32_t constant)
      : p_(p), views_(views), constant_(constant) {}

  void allow_single() { single_ = true; }

  std::optional<TileContraction> run() {
    if (!match_statements() && !(single_ && match_single())) return std::nullopt;
    if (!find_parts()) return std::nullopt;
    const auto x = place(dot_->args[0]), y = place(dot_->args[1]);
    if (!x || !y || !place_result() || !choose_operands(*x, *y)) return std::nullopt;
    const Node *a_load = &p_.nodes[dot_->args[0]], *b_load = &p_.nodes[dot_->args[1]];
    a_ = *x, b_ = *y;
    if (swapped_) std::swap(a_, b_), std::swap(a_load, b_load);
    if (b_load->masked || b_.constant != 0) return std::nullopt;
    result_.a = a_load->target, result_.b = b_load->target;
    if (!build_epilogue()) return std::nullopt;
    sort_axes();
    if (a_load->masked && !add_windows(a_load->args.back())) return std::nullopt;
    result_.contraction.a_offset = a_.constant;
    return std::move(result_);
  }

 private:
  // var v = 0; for … { v = v + dot(…) }; result[i, j, …] = f(v)
  bool match_statements() {
    if (p_.body.size() != 3 || p_.params.size() != p_.inputs + 1) return false;
    const Statement &define = p_.body[0], &loop = p_.body[1];
    store_ = &p_.body[2];
    if (define.kind != Statement::Kind::define || loop.kind != Statement::Kind::loop ||
        store_->kind != Statement::Kind::store || store_->mask != tile::none)
      return false;
    const Node& zero = p_.nodes[define.value];
    if (zero.kind != Kind::constant || zero.bits != 0 || zero.type != DType::f32) return false;
    const Statement* inner = &loop;
    while (inner->kind == Statement::Kind::loop) {
      if (inner->body.size() != 1) return false;
      inner = &inner->body[0];
    }
    variable_ = define.target;
    if (p_.variables[variable_].type != DType::f32) return false;
    if (inner->kind != Statement::Kind::assign || inner->target != variable_) return false;
    const Node& sum = p_.nodes[inner->value];
    if (sum.kind != Kind::primitive || sum.prim != Prim::add) return false;
    const Node &before = p_.nodes[sum.args[0]], &dot = p_.nodes[sum.args[1]];
    if (before.kind != Kind::variable || before.target != variable_ || dot.kind != Kind::dot)
      return false;
    dot_ = &dot;
    return are_loads(dot);
  }

  // result[i, j, …] = f(a · b), where a and b are the first parameters
  bool match_single() {
    if (p_.body.size() != 1 || p_.params.size() != p_.inputs + 1) return false;
    store_ = &p_.body[0];
    if (store_->kind != Statement::Kind::store || store_->mask != tile::none) return false;
    for (NodeId id = 0; id < p_.nodes.size(); ++id) {
      const Node& n = p_.nodes[id];
      if (n.kind != Kind::primitive || n.prim != Prim::mul || !are_loads(n)) continue;
      if (p_.nodes[n.args[0]].target > 1 || p_.nodes[n.args[1]].target > 1 ||
          p_.nodes[n.args[0]].target == p_.nodes[n.args[1]].target)
        continue;
      dot_ = &n;
      product_ = id;
      return true;
    }
    return false;
  }

  bool are_loads(const Node& n) const {
    return std::all_of(n.args.begin(), n.args.end(), [&](NodeId arg) {
      return p_.nodes[arg].kind == Kind::load && p_.nodes[arg].type == DType::f32;
    });
  }

  bool constant_value(NodeId id, int64_t& value) const {
    const Node& n = p_.nodes[id];
    if (n.kind != Kind::constant || n.type != DType::i64) return false;
    value = n.bits;
    return true;
  }

  // An axis whose index is divided by a number becomes quotient and remainder.
  bool find_parts() {
    std::map<AxisId, int64_t> divisors;
    for (NodeId id = 0; id < p_.nodes.size(); ++id) {
      const Node& n = p_.nodes[id];
      if (n.kind != Kind::primitive || n.prim != Prim::floor_div || n.type != DType::i64) continue;
      int64_t by = 0;
      const Node& index = p_.nodes[n.args[0]];
      if (index.kind != Kind::index || !constant_value(n.args[1], by)) return false;
      if (!divisors.emplace(index.target, by).second && divisors[index.target] != by) return false;
    }
    for (AxisId a = 0; a < p_.axes.size(); ++a) {
      const int64_t extent = *p_.axes[a].extent.constant();
      const auto at = divisors.find(a);
      if (at == divisors.end()) {
        first_part_.push_back(parts_.size());
        parts_.push_back({a, 1, extent});
        continue;
      }
      if (at->second <= 0 || extent % at->second != 0) return false;
      first_part_.push_back(parts_.size());
      parts_.push_back({a, at->second, extent / at->second});
      parts_.push_back({a, 1, at->second});
    }
    return true;
  }

  std::optional<Sum> sum(NodeId id) const {
    const Node& n = p_.nodes[id];
    Sum s;
    if (constant_value(id, s.constant)) return s;
    if (n.kind == Kind::index) {
      for (size_t k = first_part_[n.target]; k < parts_.size() && parts_[k].axis == n.target; ++k)
        if (parts_[k].extent > 1) s.factors[k] = parts_[k].scale;
      return s;
    }
    if (n.kind != Kind::primitive) return std::nullopt;

    if (n.prim == Prim::floor_div) {  // find_parts() has seen it
      const size_t part = first_part_[p_.nodes[n.args[0]].target];
      if (parts_[part].extent > 1) s.factors[part] = 1;
      return s;
    }
    const auto x = sum(n.args[0]);
    if (!x) return std::nullopt;
    if (n.prim == Prim::neg) return s.add(*x, -1), s;
    if (n.args.size() < 2) return std::nullopt;
    const auto y = sum(n.args[1]);
    if (!y) return std::nullopt;
    if (n.prim == Prim::add || n.prim == Prim::sub)
      return s.add(*x, 1), s.add(*y, n.prim == Prim::add ? 1 : -1), s;
    if (n.prim != Prim::mul) return std::nullopt;
    if (y->factors.empty()) return s.add(*x, y->constant), s;
    if (x->factors.empty()) return s.add(*y, x->constant), s;

    return std::nullopt;
  }

  // Elements from the start of a load's parameter.
  std::optional<Sum> place(NodeId load) const {
    const Node& n = p_.nodes[load];
    const View& view = views_[n.target];
    Sum total;
    for (size_t k = 0; k < view.shape.size(); ++k) {
      if (view.shape[k] == 1) continue;
      const auto s = sum(n.args[k]);
      if (!s) return std::nullopt;
      total.add(*s, view.strides[k]);
    }
    return total;
  }

  bool place_result() {
    const View& view = views_[p_.inputs];
    for (size_t k = 0; k < view.shape.size(); ++k) {
      const auto s = sum(store_->indices[k]);
      if (!s) return false;
      dst_.add(*s, view.strides[k]);
    }
    if (dst_.constant != 0) return false;
    std::set<AxisId> reduced(dot_->reduced.begin(), dot_->reduced.end());
    for (size_t k = 0; k < parts_.size(); ++k) {
      const bool is_reduced = reduced.contains(parts_[k].axis);
      (is_reduced ? reduced_ : kept_).push_back(k);
      if (!is_reduced && parts_[k].extent > 1 && dst_.of(k) == 0) return false;
    }
    return true;
  }

  // b is what varies along the columns, which are neighbours in the result.
  bool choose_operands(const Sum& x, const Sum& y) {
    const bool x_constant = p_.nodes[dot_->args[0]].target == constant_;
    const bool y_constant = p_.nodes[dot_->args[1]].target == constant_;
    std::optional<size_t> best;
    bool best_swapped = false;
    for (size_t k : kept_) {
      if (dst_.of(k) != 1 || (x.of(k) != 0) == (y.of(k) != 0)) continue;
      const bool swapped = x.of(k) != 0;  // x is b
      const bool packable = swapped ? x_constant : y_constant;
      if (packable || (swapped ? x : y).of(k) == 1) best = k, best_swapped = swapped;
    }
    column_ = best;
    swapped_ = best ? best_swapped : x_constant && !y_constant;
    // With a single column b may be anything.
    return true;
  }

  Contraction::Axis axis(size_t part) const {
    Contraction::Axis axis{parts_[part].extent, a_.of(part), b_.of(part), dst_.of(part), {}};
    for (const Sum& operand : operand_places_) axis.operands.push_back(operand.of(part));
    return axis;
  }

  void sort_axes() {
    Contraction& c = result_.contraction;
    const auto by = [&](std::vector<size_t>& parts, const Sum& strides) {
      std::stable_sort(parts.begin(), parts.end(), [&](size_t m, size_t n) {
        return std::abs(strides.of(m)) > std::abs(strides.of(n));
      });
    };
    by(kept_, dst_);
    by(reduced_, a_);
    for (size_t k : kept_) {
      if (column_ == k || parts_[k].extent == 1) continue;
      if (b_.of(k) != 0) c.batch.push_back(axis(k));
      else {
        row_of_.emplace(k, c.rows.size());
        c.rows.push_back(axis(k));
        result_.row = parts_[k].axis;
      }
    }
    if (c.rows.empty()) {
      c.rows.push_back({});
      c.rows[0].operands.assign(operand_places_.size(), 0);
    }
    for (size_t k : reduced_)
      if (parts_[k].extent != 1) tap_of_.emplace(k, c.reduce.size()), c.reduce.push_back(axis(k));
    if (c.reduce.empty()) c.reduce.push_back({});
    if (column_) c.column = axis(*column_), result_.column = parts_[*column_].axis;
    else c.column.operands.assign(operand_places_.size(), 0);
    if (c.column.extent == 1) c.column.dst = 1;
  }

  struct Bounds {
    std::optional<int64_t> low, high;  // of stride · row + dilation · tap
  };

  // Every condition bounds the position of one tap at one row.
  bool add_windows(NodeId mask) {
    std::map<std::array<int64_t, 4>, Bounds> found;  // row, tap, stride, dilation
    std::vector<NodeId> open{mask};
    while (!open.empty()) {
      const Node& n = p_.nodes[open.back()];
      open.pop_back();
      if (n.kind != Kind::primitive) return false;
      if (n.prim == Prim::logical_and) {
        open.insert(open.end(), n.args.begin(), n.args.end());
        continue;
      }
      if (n.prim != Prim::le && n.prim != Prim::lt) return false;
      const auto low = sum(n.args[0]), high = sum(n.args[1]);
      if (!low || !high) return false;
      Sum room = *high;  // is not negative where the condition holds
      room.add(*low, -1);
      if (n.prim == Prim::lt) --room.constant;
      if (!add_bound(room, found)) return false;
    }
    return make_windows(found);
  }

  // Where one of the two has a single index, an axis of one index stands for it.
  bool make_windows(const std::map<std::array<int64_t, 4>, Bounds>& found) {
    Contraction& c = result_.contraction;
    std::set<int64_t> rows, taps;
    size_t more_rows = 0, more_taps = 0;
    for (const auto& [key, bounds] : found) {
      if (key[0] >= 0 && !rows.insert(key[0]).second) return false;
      if (key[1] >= 0 && !taps.insert(key[1]).second) return false;
      Contraction::Axis unit;
      unit.operands.assign(operand_places_.size(), 0);
      if (key[0] < 0) {
        c.rows.insert(c.rows.begin(), unit);
        ++more_rows;
        for (Contraction::Window& w : c.windows) ++w.row;
      }
      if (key[1] < 0) {
        c.reduce.insert(c.reduce.begin(), unit);
        ++more_taps;
        for (Contraction::Window& w : c.windows) ++w.tap;
      }
      Contraction::Window w;
      w.row = key[0] < 0 ? 0 : static_cast<size_t>(key[0]) + more_rows;
      w.tap = key[1] < 0 ? 0 : static_cast<size_t>(key[1]) + more_taps;
      w.stride = key[2], w.dilation = key[3];
      w.offset = -bounds.low.value_or(0);
      const int64_t last =
          w.stride * (c.rows[w.row].extent - 1) + w.dilation * (c.reduce[w.tap].extent - 1);
      w.extent = bounds.high.value_or(last) + w.offset + 1;
      c.windows.push_back(w);
    }
    return true;
  }

  bool add_bound(const Sum& room, std::map<std::array<int64_t, 4>, Bounds>& found) const {
    if (room.factors.empty()) return room.constant >= 0;
    if (room.factors.size() > 2) return false;
    int64_t row = -1, tap = -1;
    const int64_t sign = room.factors.begin()->second > 0 ? 1 : -1;
    int64_t stride = sign, dilation = sign;  // of an axis of one index
    for (const auto& [part, factor] : room.factors) {
      if (const auto at = row_of_.find(part); at != row_of_.end())
        row = static_cast<int64_t>(at->second), stride = factor;
      else if (const auto inner = tap_of_.find(part); inner != tap_of_.end())
        tap = static_cast<int64_t>(inner->second), dilation = factor;
    }
    const auto axes = static_cast<size_t>(row >= 0) + static_cast<size_t>(tap >= 0);
    if (axes != room.factors.size() || (stride > 0) != (dilation > 0)) return false;
    if (stride > 0) found[{row, tap, stride, dilation}].low = -room.constant;
    else found[{row, tap, -stride, -dilation}].high = room.constant;
    return true;
  }

  bool build_epilogue() {
    const Node& stored = p_.nodes[store_->value];
    if (stored.kind == Kind::variable && stored.target == variable_) return true;
    if (store_->value == product_) return true;
    meaning_ = std::make_shared<ir::Meaning>();
    meaning_->pool = std::make_unique<ir::ExprPool>();
    meaning_->inputs = {{DType::f32, {}}};
    const auto value = expression(store_->value);
    if (!value || value->type() != DType::f32) return false;
    meaning_->outputs = {{{}, *value}};
    result_.contraction.epilogue = std::move(meaning_);
    return true;
  }

  std::optional<ir::Expr> expression(NodeId id) {
    if (const auto at = expressions_.find(id); at != expressions_.end()) return at->second;
    const Node& n = p_.nodes[id];
    ir::ExprPool& pool = *meaning_->pool;
    std::optional<ir::Expr> result;
    if (id == product_) {
      result = pool.read(0, DType::f32, {});
    } else if (n.kind == Kind::constant) {
      result = is_float(n.type) ? pool.real(std::bit_cast<double>(n.bits), n.type)
                                : pool.integer(n.bits, n.type);
    } else if (n.kind == Kind::variable) {
      if (n.target == variable_) result = pool.read(0, DType::f32, {});
    } else if (n.kind == Kind::load) {
      result = operand(id);
    } else if (n.kind == Kind::cast || n.kind == Kind::primitive) {
      std::vector<ir::Expr> args;
      for (NodeId a : n.args) {
        const auto arg = expression(a);
        if (!arg) return std::nullopt;
        args.push_back(*arg);
      }
      result = n.kind == Kind::cast ? pool.cast(args[0], n.type) : pool.primitive(n.prim, args);
    }
    if (result) expressions_.emplace(id, *result);
    return result;
  }

  std::optional<ir::Expr> operand(NodeId load) {
    const Node& n = p_.nodes[load];
    const auto where = place(load);
    if (!where || where->constant != 0 || n.masked || n.type != DType::f32) return std::nullopt;
    operand_places_.push_back(*where);
    result_.operands.push_back(n.target);
    meaning_->inputs.push_back({DType::f32, {}});
    return meaning_->pool->read(static_cast<uint32_t>(operand_places_.size()), DType::f32, {});
  }

  const tile::Program& p_;
  std::span<const View> views_;
  uint32_t constant_;
  const Statement* store_ = nullptr;
  const Node* dot_ = nullptr;
  uint32_t variable_ = tile::none;
  NodeId product_ = tile::none;  // the single product, where there is no sum
  bool single_ = false;
  std::vector<Part> parts_;
  std::vector<size_t> first_part_;  // by axis
  std::vector<size_t> kept_, reduced_;
  std::map<size_t, size_t> row_of_, tap_of_;
  Sum a_, b_, dst_;
  std::optional<size_t> column_;
  bool swapped_ = false;
  std::vector<Sum> operand_places_;
  std::map<NodeId, ir::Expr> expressions_;
  std::shared_ptr<ir::Meaning> meaning_;
  TileContraction result_;
};

}  // namespace

std::optional<TileContraction> contraction_of(const tile::Program& program,
                                              std::span<const View> views, uint32_t constant,
                                              Products products) {
  Recognizer recognizer(program, views, constant);
  if (products == Products::sums_and_single) recognizer.allow_single();
  return recognizer.run();
}

}  // namespace tessera::codegen
