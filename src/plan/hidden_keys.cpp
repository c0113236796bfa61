// SPDX-License-Identifier: Apache-2.0
// Which keys a mask that is known beforehand hides from which queries. A score is bounded by what
// the mask makes of a product of which only the magnitude will be known.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ir/scalar_eval.h"
#include "plan/passes.h"

namespace tessera::plan {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using ir::Scalar;

// Scores from here on down may count as hidden, if what the mask leaves of the product lets them.
constexpr double low_score = -1000, most_slope = 1000;
constexpr int64_t most_places = int64_t{1} << 25;  // more are not looked at

// |x − value| ≤ slope · |product| + radius; `value` is exactly x where both are 0.
struct Bound {
  Scalar value;
  double slope = 0, radius = 0;
  bool is_exact() const { return slope == 0 && radius == 0; }
};

// The score of one place, for given numbers of the mask.
class ScoreBound {
 public:
  explicit ScoreBound(const ir::Meaning& score)
      : pool_(*score.pool), root_(score.outputs[0].body.id) {}

  // `operands`: of inputs 1, 2, …; nothing where it is not known.
  std::optional<Bound> at(const std::vector<std::optional<Scalar>>& operands) {
    operands_ = &operands;
    return bound(root_);
  }

 private:
  std::optional<Bound> bound(ExprId id) const {
    const ExprNode& n = pool_.node(id);
    switch (n.kind) {
      case ExprKind::constant:
        return is_float(n.type) ? Bound{Scalar::of(std::bit_cast<double>(n.bits))}
                                : Bound{Scalar::of_integer(n.bits)};
      case ExprKind::read: {
        if (n.input == 0) return Bound{{}, 1, 0};
        const auto& known = operands_->at(n.input - 1);
        return known ? std::optional(Bound{*known}) : std::nullopt;
      }
      case ExprKind::cast: {
        const auto x = bound(n.args[0]);
        const DType from = pool_.node(n.args[0]).type;
        if (x && x->is_exact()) return Bound{ir::convert(x->value, from, n.type)};
        return from == n.type ? x : std::nullopt;
      }
      case ExprKind::primitive: return primitive(n);
      default: return std::nullopt;
    }
  }

  std::optional<Bound> primitive(const ExprNode& n) const {
    const auto x = bound(n.args[0]);
    if (n.prim == Prim::select) {
      if (!x || !x->is_exact()) return std::nullopt;
      return bound(n.args[x->value.integer ? 1 : 2]);
    }
    if (n.prim == Prim::tanh && n.type == DType::f32) return Bound{{}, 0, 1};
    const auto y = n.args.size() > 1 ? bound(n.args[1]) : Bound{};
    if (!x || !y) return std::nullopt;
    const DType type = pool_.node(n.args[0]).type;
    if (x->is_exact() && y->is_exact()) return Bound{ir::apply(n.prim, type, x->value, y->value)};
    if (!is_float(type)) return std::nullopt;
    const double a = x->value.real, b = y->value.real;
    switch (n.prim) {
      case Prim::add: return sum(a + b, *x, *y);
      case Prim::sub: return sum(a - b, *x, *y);
      case Prim::neg: return Bound{Scalar::of(-a), x->slope, x->radius};
      case Prim::mul: return y->is_exact() ? scaled(*x, b) : scaled(*y, x->is_exact() ? a : NAN);
      case Prim::div: return y->is_exact() ? scaled(*x, 1 / b) : std::nullopt;
      default: return std::nullopt;
    }
  }

  static std::optional<Bound> sum(double value, const Bound& x, const Bound& y) {
    if (std::isnan(value)) return std::nullopt;
    return Bound{Scalar::of(value), x.slope + y.slope, x.radius + y.radius};
  }
  static std::optional<Bound> scaled(const Bound& x, double by) {
    const double value = x.value.real * by;
    if (!std::isfinite(by) || std::isnan(value)) return std::nullopt;
    return Bound{Scalar::of(value), x.slope * std::abs(by), x.radius * std::abs(by)};
  }

  const ir::ExprPool& pool_;
  ExprId root_;
  const std::vector<std::optional<Scalar>>* operands_ = nullptr;
};

// A constant operand and its strides over [batch…, queries, keys]; null: not known beforehand.
struct Operand {
  const Tensor* tensor = nullptr;
  std::vector<int64_t> strides;

  Scalar at(int64_t place) const {
    return is_float(tensor->type()) ? Scalar::of(tensor->float_at(place))
                                    : Scalar::of_integer(tensor->integer_at(place));
  }
};

class HiddenKeysSearch {
 public:
  HiddenKeysSearch(const Draft& d, const Step& step) : bound_(*step.score) {
    extents_ = d.values[step.dst[0]].shape;
    extents_.back() = d.values[step.src[1]].shape.back();
    for (size_t n = 3; n < step.src.size(); ++n) {
      const Value& v = d.values[step.src[n]];
      Operand& o = operands_.emplace_back();
      if (!v.constant || v.shape.size() > extents_.size()) continue;
      o.tensor = &*v.constant;
      o.strides.assign(extents_.size(), 0);
      int64_t stride = 1;
      for (size_t k = 0; k < v.shape.size(); ++k) {
        const int64_t extent = v.shape[v.shape.size() - 1 - k];
        if (extent > 1) o.strides[extents_.size() - 1 - k] = stride;
        stride *= extent;
      }
    }
    numbers_.resize(operands_.size());
    last_.resize(operands_.size());
  }

  std::shared_ptr<const codegen::HiddenKeys> run() {
    const int64_t queries = extents_[extents_.size() - 2], keys = extents_.back();
    std::vector<std::vector<int64_t>> starts = batches();
    if (starts.empty() || queries * keys > most_places / static_cast<int64_t>(starts.size()))
      return nullptr;
    auto result = std::make_shared<codegen::HiddenKeys>();
    result->score = -INFINITY;
    result->visible.assign(static_cast<size_t>(queries), 0);
    bool any = false;
    for (int64_t q = 0; q < queries; ++q) {
      int64_t& visible = result->visible[static_cast<size_t>(q)];
      for (const auto& start : starts) visible = std::max(visible, visible_keys(start, q, keys));
      any |= visible < keys;
    }
    if (!any) return nullptr;
    result->score = score_;
    result->slope = slope_;
    return result;
  }

 private:
  // The first place of each operand in every batch that differs from others.
  std::vector<std::vector<int64_t>> batches() const {
    std::vector<std::vector<int64_t>> starts{std::vector<int64_t>(operands_.size(), 0)};
    for (size_t axis = 0; axis + 2 < extents_.size(); ++axis) {
      const bool varies = std::any_of(operands_.begin(), operands_.end(), [&](const Operand& o) {
        return o.tensor && o.strides[axis] != 0;
      });
      if (!varies) continue;
      if (static_cast<int64_t>(starts.size()) * extents_[axis] > most_places) return {};
      std::vector<std::vector<int64_t>> next;
      for (const auto& start : starts)
        for (int64_t i = 0; i < extents_[axis]; ++i) {
          next.push_back(start);
          for (size_t n = 0; n < operands_.size(); ++n)
            if (operands_[n].tensor) next.back()[n] += i * operands_[n].strides[axis];
        }
      starts = std::move(next);
    }
    return starts;
  }

  int64_t visible_keys(const std::vector<int64_t>& start, int64_t query, int64_t keys) {
    const size_t row = extents_.size() - 2;
    while (keys > 0) {
      for (size_t n = 0; n < operands_.size(); ++n)
        if (const Operand& o = operands_[n]; o.tensor)
          numbers_[n] = o.at(start[n] + query * o.strides[row] + (keys - 1) * o.strides[row + 1]);
      if (!is_hidden()) break;
      --keys;
    }
    return keys;
  }

  // Of the place whose numbers are at hand. Neighbours often have the same.
  bool is_hidden() {
    const auto same = [](const std::optional<Scalar>& a, const std::optional<Scalar>& b) {
      return a.has_value() == b.has_value() &&
             (!a || (a->real == b->real && a->integer == b->integer));
    };
    if (known_ && std::equal(numbers_.begin(), numbers_.end(), last_.begin(), same)) return hidden_;
    known_ = true;
    last_ = numbers_;
    const auto found = bound_.at(numbers_);
    hidden_ = found && found->value.real + found->radius <= low_score && found->slope <= most_slope;
    if (hidden_) {
      score_ = std::max(score_, found->value.real + found->radius);
      slope_ = std::max(slope_, found->slope);
    }
    return hidden_;
  }

  ScoreBound bound_;
  Shape extents_;
  std::vector<Operand> operands_;
  std::vector<std::optional<Scalar>> numbers_, last_;
  bool known_ = false, hidden_ = false;
  double score_ = -INFINITY, slope_ = 0;
};

}  // namespace

std::shared_ptr<const codegen::HiddenKeys> find_hidden_keys(const Draft& draft,
                                                            const Step& attention) {
  if (!attention.score) return nullptr;
  return HiddenKeysSearch(draft, attention).run();
}

}  // namespace tessera::plan
