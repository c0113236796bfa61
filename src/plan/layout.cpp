// SPDX-License-Identifier: Apache-2.0
// Where values lie in memory. Convolutions want channels last; loops follow the layout of what they
// read, so chains of convolutions and elementwise steps never reorder. A step that only relabels
// memory (transpose, reshape, slice, expand …) becomes an alias. Copies are inserted where a
// consumer cannot read a layout.
#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "plan/layout.h"
#include "plan/passes.h"
#include "plan/rewrite.h"

namespace tessera::plan {

std::vector<int64_t> strides_of(const Draft& d, ValueId v) {
  const Value& value = d.values[v];
  return value.alias ? value.alias->strides : codegen::dense_strides(value.shape, value.order);
}

std::vector<int> channels_last(size_t rank) {
  std::vector<int> order{0};
  for (int axis = 2; axis < static_cast<int>(rank); ++axis) order.push_back(axis);
  order.push_back(1);
  return order;
}

bool lies_in_order(const Draft& d, ValueId v, const std::vector<int>& order) {
  const std::vector<int64_t> found = strides_of(d, v),
                             wanted = codegen::dense_strides(d.values[v].shape, order);
  for (size_t axis = 0; axis < found.size(); ++axis)
    if (d.values[v].shape[axis] > 1 && found[axis] != wanted[axis]) return false;
  return true;
}

namespace {

ir::ValueType type_of(const Value& v) {
  return {v.dtype, ir::Dims(v.shape.begin(), v.shape.end())};
}

class LayoutPass {
 public:
  explicit LayoutPass(Draft& draft) : d_(draft) {}

  void run() {
    find_wishes();
    std::vector<Step> old = std::move(d_.steps);
    d_.steps.clear();
    for (Step& step : old) {
      if (step.dead) continue;
      switch (step.kind) {
        case Step::Kind::loops: arrange_loops(step); break;
        case Step::Kind::library: arrange_library(step); break;
        case Step::Kind::scan:
        case Step::Kind::direct:
        case Step::Kind::opaque:
        case Step::Kind::copy:
        case Step::Kind::lines:
          for (ValueId& v : step.src)
            if (v != no_value) v = in_order(v, {});
          break;
      }
      if (!step.dead) d_.steps.push_back(std::move(step));
    }
    for (ValueId& v : d_.outputs) v = in_order(v, {});
  }

 private:
  static bool is_convolution(const Step& s) {
    return s.kind == Step::Kind::library && s.op != "matmul" && s.op != "concat" &&
           s.op != "attention";
  }

  // Values that a convolution reads should be made channels last.
  void find_wishes() {
    wishes_.assign(d_.values.size(), false);
    is_output_.assign(d_.values.size(), false);
    for (const Step& s : d_.steps)
      if (!s.dead && is_convolution(s)) wishes_[s.src[0]] = true;
    for (ValueId v : d_.outputs) is_output_[v] = true;
  }

  void arrange_library(Step& s) {
    if (s.op == "matmul") return arrange_matmul(s);
    if (s.op == "concat") return arrange_concat(s);
    if (s.op == "attention") return arrange_attention(s);
    const size_t rank = d_.values[s.dst[0]].shape.size();
    const std::vector<int> order = channels_last(rank);
    s.src[0] = in_order(s.src[0], order);
    if (s.src[2] != no_value) s.src[2] = in_order(s.src[2], {});
    for (size_t k = 3; k < s.src.size(); ++k) {
      const bool full = d_.values[s.src[k]].shape == d_.values[s.dst[0]].shape;
      s.src[k] = in_order(s.src[k], full ? order : std::vector<int>{});
    }
    d_.values[s.dst[0]].order = order;
  }

  // Keys and values are read one number at a time, wherever they lie.
  void arrange_attention(Step& s) {
    if (strides_of(d_, s.src[0]).back() != 1) s.src[0] = in_order(s.src[0], {});
    for (size_t k = 3; k < s.src.size(); ++k) s.src[k] = in_order(s.src[k], {});
  }

  // Parts and whole lie in one order.
  void arrange_concat(Step& s) {
    const ValueId dst = s.dst[0];
    const size_t rank = d_.values[dst].shape.size();
    std::vector<int> order;
    if (wishes_[dst]) order = channels_last(rank);
    else if (!is_output_[dst] && rank >= 3) order = order_of(largest(s.src, rank));
    for (ValueId& v : s.src) v = in_order(v, order);
    d_.values[dst].order = order;
  }

  ValueId largest(const std::vector<ValueId>& src, size_t rank) const {
    ValueId best = no_value;
    for (ValueId v : src) {
      if (v == no_value || d_.values[v].shape.size() != rank) continue;
      if (best == no_value || d_.values[v].elements() > d_.values[best].elements()) best = v;
    }
    return best;
  }

  void arrange_matmul(Step& s) {
    for (size_t k = 0; k < 2; ++k) {
      const Value& v = d_.values[s.src[k]];
      const std::vector<int64_t> strides = strides_of(d_, s.src[k]);
      const size_t n = strides.size();
      const bool packed = k == 1 && d_.values[d_.root(s.src[k])].constant.has_value();
      const auto unit = [&](size_t axis) { return v.shape[axis] == 1 || strides[axis] == 1; };
      bool broadcast = false;  // or reversed
      for (size_t axis = 0; axis < n; ++axis) broadcast |= v.shape[axis] > 1 && strides[axis] <= 0;
      const bool fits = n == 1 ? unit(0) : unit(n - 1) || unit(n - 2);
      if (!packed && (!fits || broadcast)) s.src[k] = in_order(s.src[k], {});
    }
    for (size_t k = 2; k < s.src.size(); ++k)
      if (s.src[k] != no_value) s.src[k] = in_order(s.src[k], {});
  }

  void arrange_loops(Step& s) {
    if (make_alias(s)) return;
    materialize_indexed(s);
    const ValueId dst = s.dst[0];
    if (is_output_[dst]) return;  // row-major
    const size_t rank = d_.values[dst].shape.size();
    if (rank < 3) return;
    if (wishes_[dst]) {
      d_.values[dst].order = channels_last(rank);
      return;
    }
    int64_t largest = 0;
    for (size_t k = 0; k < s.src.size(); ++k) {
      const ValueId v = s.src[k];
      if (v == no_value || d_.values[v].constant || d_.values[v].shape.size() != rank) continue;
      if (d_.values[v].elements() <= largest) continue;
      largest = d_.values[v].elements();
      d_.values[dst].order = order_like_source(d_, s, k, order_of(v));
    }
  }

  // The axes of a value from the largest stride to the smallest, empty if that is row-major or if
  // something is broadcast.
  std::vector<int> order_of(ValueId v) const {
    const std::vector<int64_t> strides = strides_of(d_, v);
    const Shape& shape = d_.values[v].shape;
    std::vector<int> order;
    for (size_t axis = 0; axis < strides.size(); ++axis) {
      if (shape[axis] > 1 && strides[axis] == 0) return {};
      order.push_back(static_cast<int>(axis));
    }
    const std::vector<int> row_major = order;
    // Axes of extent 1 may stand anywhere; channels last is the order that others look for.
    if (!d_.values[v].alias && !d_.values[v].order.empty()) return d_.values[v].order;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return shape[a] > 1 && shape[b] > 1 && strides[a] > strides[b];
    });
    return order == row_major || has_units(shape) ? std::vector<int>{} : order;
  }

  static bool has_units(const Shape& shape) {
    return std::find(shape.begin() + 1, shape.end(), 1) != shape.end();
  }

  // A body that is one read at strided places of memory that exists.
  bool make_alias(Step& s) {
    const ir::Expr body = s.meaning.outputs[0].body;
    const ir::ExprNode& read = body.node();
    if (read.kind != ir::ExprKind::read) return false;
    for (ir::ExprId index : read.args)
      if (has_read({body.pool, index})) return false;
    const ValueId source = s.src[read.input];
    const Value& from = d_.values[source];
    const Shape& shape = d_.values[s.dst[0]].shape;
    if (from.elements() == 0 || d_.values[s.dst[0]].elements() == 0) return false;
    ir::ExprPool pool;
    Copier copier(pool, shape);
    const std::vector<int64_t> strides = strides_of(d_, source);
    std::optional<Linear> place;
    copier.copy(body, copier.outputs(), [&](uint32_t, DType type, std::span<const ir::Expr> at) {
      place = linear_place(at, strides, copier.extents());
      return pool.literal(0, type);
    });
    const auto form = place ? strided(*place, pool, copier.extents()) : std::nullopt;
    if (!form) return false;
    Alias alias{d_.root(source), form->offset + (from.alias ? from.alias->offset : 0), {}};
    for (ir::Expr variable : copier.outputs()) {
      const auto at = form->strides.find(variable.id);
      alias.strides.push_back(at == form->strides.end() ? 0 : at->second);
    }
    d_.values[s.dst[0]].alias = std::move(alias);
    s.dead = true;
    return true;
  }

  // A data-dependent index must be checked against the shape, which only a dense source keeps.
  void materialize_indexed(Step& s) {
    std::vector<bool> indexed(s.src.size(), false);
    const ir::ExprPool& pool = *s.meaning.pool;
    for (ir::ExprId id = 0; id < pool.size(); ++id) {
      const ir::ExprNode& n = pool.node(id);
      if (n.kind != ir::ExprKind::read) continue;
      for (ir::ExprId a : n.args)
        if (has_read({s.meaning.pool.get(), a})) indexed[n.input] = true;
    }
    for (size_t k = 0; k < s.src.size(); ++k)
      if (indexed[k] && s.src[k] != no_value && d_.values[s.src[k]].alias)
        s.src[k] = in_order(s.src[k], {});
  }

  // `v`, or a copy of it, that lies densely in the order.
  ValueId in_order(ValueId v, const std::vector<int>& order) {
    if (lies_in_order(d_, v, order)) return v;
    const auto [at, inserted] = copies_.emplace(std::pair(v, order), no_value);
    if (!inserted) return at->second;
    const Value source = d_.values[v];
    Step step;
    step.op = "reorder";
    step.names = {"reorder"};
    step.nodes = {""};
    step.src = {v};
    const ValueId copy = d_.add_value(source.dtype, source.shape);
    wishes_.push_back(false);
    is_output_.push_back(false);
    step.dst = {copy};
    d_.values[copy].order = order;
    step.meaning.pool = std::make_unique<ir::ExprPool>();
    step.meaning.inputs = {type_of(source)};
    Copier copier(*step.meaning.pool, source.shape);
    step.meaning.outputs = {
        {type_of(source).shape, step.meaning.pool->read(0, source.dtype, copier.outputs())}};
    d_.steps.push_back(std::move(step));
    return at->second = copy;
  }

  Draft& d_;
  std::vector<bool> wishes_, is_output_;
  std::map<std::pair<ValueId, std::vector<int>>, ValueId> copies_;
};

}  // namespace

namespace {

// The output axes on which an index depends.
void find_axes(const ir::ExprPool& pool, ir::ExprId id, std::set<int>& axes) {
  const ir::ExprNode& n = pool.node(id);
  if (n.kind == ir::ExprKind::variable && n.var.kind == ir::Var::Kind::output)
    axes.insert(static_cast<int>(n.var.number));
  for (ir::ExprId a : n.args) find_axes(pool, a, axes);
}

}  // namespace

std::vector<int> order_like_source(const Draft& d, const Step& s, size_t source,
                                   const std::vector<int>& order) {
  if (order.empty()) return order;
  const ir::ExprPool& pool = *s.meaning.pool;
  const size_t rank = d.values[s.dst[0]].shape.size();
  // How far inside each output axis stands, by the read that follows the most of them.
  std::vector<int> place;
  int most = -1;
  for (ir::ExprId id = 0; id < pool.size(); ++id) {
    const ir::ExprNode& read = pool.node(id);
    if (read.kind != ir::ExprKind::read || read.input != source) continue;
    std::vector<int> at(rank, -1);
    int followed = 0;
    bool identity = true;
    for (size_t depth = 0; depth < order.size(); ++depth) {
      std::set<int> axes;
      find_axes(pool, read.args[static_cast<size_t>(order[depth])], axes);
      for (int axis : axes) {
        identity &= axis == order[depth];
        if (at[static_cast<size_t>(axis)] >= 0) continue;  // its outermost place counts
        at[static_cast<size_t>(axis)] = static_cast<int>(depth);
        ++followed;
      }
    }
    if (identity) return order;
    if (followed > most) most = followed, place = std::move(at);
  }
  if (most < 0) return order;
  std::vector<int> result, row_major;
  for (int axis = 0; axis < static_cast<int>(rank); ++axis) {
    if (place[static_cast<size_t>(axis)] < 0) place[static_cast<size_t>(axis)] = axis;
    row_major.push_back(axis);
  }
  result = row_major;
  std::stable_sort(result.begin(), result.end(), [&](int a, int b) {
    return place[static_cast<size_t>(a)] < place[static_cast<size_t>(b)];
  });
  return result == row_major ? std::vector<int>{} : result;
}

std::optional<Linear> linear_place(std::span<const ir::Expr> indices,
                                   const std::vector<int64_t>& strides, const Extents& extents) {
  Linear place;
  for (size_t axis = 0; axis < indices.size(); ++axis) {
    if (strides[axis] == 0) continue;
    const auto form = linear_form(indices[axis], extents);
    if (!form) return std::nullopt;
    place = place + *form * strides[axis];
  }
  return place;
}

void assign_layouts(Draft& draft) { LayoutPass(draft).run(); }

}  // namespace tessera::plan
