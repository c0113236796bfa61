// SPDX-License-Identifier: Apache-2.0
// Rewrites the meanings of loop steps to what lies in memory: outputs by their physical axes, reads
// as strided places of flat memory wherever the index arithmetic amounts to that.
#include <algorithm>
#include <map>

#include "base/check.h"
#include "plan/layout.h"
#include "plan/passes.h"
#include "plan/rewrite.h"

namespace tessera::plan {
namespace {

class Physical {
 public:
  Physical(Draft& draft, Step& step) : d_(draft), s_(step) {}

  void run() {
    const Value& dst = d_.values[s_.dst[0]];
    std::vector<int> order = dst.order;
    if (order.empty())
      for (size_t axis = 0; axis < dst.shape.size(); ++axis)
        order.push_back(static_cast<int>(axis));
    Shape shape;
    for (int axis : order) shape.push_back(dst.shape[axis]);
    result_.pool = std::make_unique<ir::ExprPool>();
    Copier copier(*result_.pool, shape);
    const std::vector<ir::Expr> physical = copier.outputs();
    std::vector<ir::Expr> logical(order.size());
    for (size_t k = 0; k < order.size(); ++k) logical[order[k]] = physical[k];
    const ir::Expr body =
        copier.copy(s_.meaning.outputs[0].body, logical,
                    [&](uint32_t input, DType type, std::span<const ir::Expr> at) {
                      return read(copier, input, type, at);
                    });
    result_.outputs = {{ir::Dims(shape.begin(), shape.end()), body}};
    s_.meaning = std::move(result_);
    s_.src = std::move(src_);
    for (const auto& [v, only_here] : read_in_place_)
      if (only_here) s_.in_place.push_back(v);
  }

 private:
  ir::Expr read(Copier& copier, uint32_t input, DType type, std::span<const ir::Expr> at) {
    const ValueId v = s_.src[input];
    const Value& value = d_.values[v];
    ir::ExprPool& pool = copier.pool();
    if (value.constant && value.elements() == 1)
      return is_float(type) ? pool.real(value.constant->float_at(0), type)
                            : pool.integer(value.constant->integer_at(0), type);
    const ValueId root = d_.root(v);
    read_in_place_.try_emplace(root, true);
    const std::vector<int64_t> strides = strides_of(d_, v);
    const auto place = linear_place(at, strides, copier.extents());
    if (const auto form = place ? strided(*place, pool, copier.extents()) : std::nullopt) {
      read_in_place_[root] &= is_own_place(*form, copier, value);
      ir::Expr index = pool.integer(form->offset + offset_of(value));
      for (const auto& [variable, stride] : form->strides)
        index = index + ir::Expr{&pool, variable} * stride;
      return pool.read(number(d_.root(v), true), type, std::array{index});
    }
    read_in_place_[root] = false;
    if (value.alias && !lies_in_order(d_, v, {})) {
      ir::Expr index = pool.integer(offset_of(value));
      for (size_t axis = 0; axis < at.size(); ++axis)
        if (strides[axis] != 0) index = index + at[axis] * strides[axis];
      return pool.read(number(d_.root(v), true), type, std::array{index});
    }
    std::vector<ir::Expr> physical(at.begin(), at.end());
    for (size_t k = 0; k < value.order.size(); ++k) physical[k] = at[value.order[k]];
    return pool.read(number(v, false), type, physical);
  }

  static int64_t offset_of(const Value& value) { return value.alias ? value.alias->offset : 0; }

  // Whether `form` is the place that the output's own indices have in a dense tensor.
  bool is_own_place(const Strided& form, Copier& copier, const Value& value) const {
    const Shape& shape = copier.extents().output;
    const std::vector<int64_t> strides = codegen::dense_strides(shape);
    const std::vector<ir::Expr> outputs = copier.outputs();
    size_t used = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis] == 1) continue;
      const auto at = form.strides.find(outputs[axis].id);
      if (at == form.strides.end() || at->second != strides[axis]) return false;
      ++used;
    }
    return form.offset == 0 && !value.alias && used == form.strides.size() &&
           value.elements() == *element_count(shape);
  }

  // The input of the new meaning that is `v` as flat memory, or in its physical shape.
  uint32_t number(ValueId v, bool flat) {
    const auto [at, inserted] =
        numbers_.emplace(std::pair(v, flat), static_cast<uint32_t>(src_.size()));
    if (!inserted) return at->second;
    const Value& value = d_.values[v];
    ir::ValueType type{value.dtype, {}};
    if (flat) {
      type.shape = {value.elements()};
    } else {
      type.shape.assign(value.shape.begin(), value.shape.end());
      for (size_t k = 0; k < value.order.size(); ++k) type.shape[k] = value.shape[value.order[k]];
    }
    result_.inputs.push_back(std::move(type));
    src_.push_back(v);
    return at->second;
  }

  Draft& d_;
  Step& s_;
  ir::Meaning result_;
  std::vector<ValueId> src_;
  std::map<std::pair<ValueId, bool>, uint32_t> numbers_;
  std::map<ValueId, bool> read_in_place_;  ///< by root: all reads are at the output's own place
};

}  // namespace

void make_physical(Draft& draft) {
  for (Step& step : draft.steps)
    if (step.kind == Step::Kind::loops && !step.dead) Physical(draft, step).run();
}

}  // namespace tessera::plan
