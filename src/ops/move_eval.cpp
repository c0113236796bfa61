// SPDX-License-Identifier: Apache-2.0
// The output is cut into boxes at the conditions; each box is a strided copy.
#include "ops/move_eval.h"

#include <algorithm>
#include <cstring>

#include "ops/index_analysis.h"
#include "sym/expr.h"

namespace tessera::ops {
namespace {

using ir::Expr;
using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

struct Range {
  int64_t begin = 0, end = 0;
};
using Box = std::vector<Range>;  // by axis of the output

class Mover {
 public:
  Mover(const ir::Meaning& meaning, size_t output, std::span<const Tensor> inputs)
      : pool_(*meaning.pool),
        inputs_(inputs),
        shape_(meaning.output_type(output).concrete_shape()),
        root_(meaning.outputs[output].body.id),
        analysis_(pool_, {root_}, shape_) {}

  std::optional<Tensor> run() {
    const DType type = pool_.node(root_).type;
    strides_.assign(shape_.size(), 1);
    for (size_t axis = shape_.size(); axis-- > 1;)
      strides_[axis - 1] = strides_[axis] * shape_[axis];
    Box all;
    for (const int64_t extent : shape_) all.push_back({0, extent});
    // Nothing is allocated for what turns out to be computed.
    if (!fill(root_, all, nullptr)) return std::nullopt;
    Tensor result(type, shape_);
    fill(root_, all, &result);
    return result;
  }

 private:
  // Fills a box of the output, or, without one, tells whether that is possible.
  bool fill(ExprId id, const Box& box, Tensor* out) {
    if (std::any_of(box.begin(), box.end(), [](const Range& r) { return r.begin >= r.end; }))
      return true;
    const ExprNode& n = pool_.node(id);
    if (n.kind == ExprKind::read) return copy(n, box, out);
    if (n.kind != ExprKind::primitive || n.prim != Prim::select) return false;
    return choose(n.args[0], n.args[1], n.args[2], box, out);
  }

  bool choose(ExprId condition, ExprId yes, ExprId no, const Box& box, Tensor* out) {
    const ExprNode& n = pool_.node(condition);
    if (n.kind != ExprKind::primitive || (n.prim != Prim::lt && n.prim != Prim::le) ||
        pool_.node(n.args[0]).type != DType::i64)
      return false;
    Affine room = analysis_.affine(n.args[1]) + analysis_.affine(n.args[0]) * -1;
    if (n.prim == Prim::lt) room.constant -= 1;
    if (room.terms.empty()) return fill(room.constant >= 0 ? yes : no, box, out);
    if (room.terms.size() != 1) return false;
    const auto axis = axis_of(room.terms[0].first);
    if (!axis) return false;
    const int64_t slope = room.terms[0].second;
    Box when_true = box, when_false = box;
    Range &t = when_true[*axis], &f = when_false[*axis];
    if (slope > 0) {  // from here on
      t.begin = f.end = std::clamp(-sym::floor_div(room.constant, slope), t.begin, t.end);
    } else {  // until before here
      t.end = f.begin = std::clamp(sym::floor_div(room.constant, -slope) + 1, t.begin, t.end);
    }
    return fill(yes, when_true, out) && fill(no, when_false, out);
  }

  std::optional<size_t> axis_of(ExprId term) const {
    const ExprNode& n = pool_.node(term);
    if (n.kind != ExprKind::variable || n.var.kind != ir::Var::Kind::output) return std::nullopt;
    return n.var.number;
  }

  bool copy(const ExprNode& n, const Box& box, Tensor* out) {
    const Tensor& source = inputs_[n.input];
    if (source.type() != n.type || n.type != pool_.node(root_).type ||
        source.shape().size() != n.args.size())
      return false;
    int64_t offset = 0;
    std::vector<int64_t> strides(shape_.size(), 0);
    for (size_t k = 0; k < n.args.size(); ++k) {
      const Affine& index = analysis_.affine(n.args[k]);
      int64_t low = index.constant, high = index.constant;
      offset = offset * source.shape()[k] + index.constant;
      for (int64_t& s : strides) s *= source.shape()[k];
      for (const auto& [term, coefficient] : index.terms) {
        const auto axis = axis_of(term);
        if (!axis || std::abs(coefficient) > INT32_MAX) return false;
        const int64_t first = coefficient * box[*axis].begin,
                      last = coefficient * (box[*axis].end - 1);
        low += std::min(first, last);
        high += std::max(first, last);
        strides[*axis] += coefficient;
      }
      if (low < 0 || high >= source.shape()[k]) return false;
    }
    if (!out) return true;
    int64_t from = offset, to = 0;
    std::vector<Loop> loops;  // innermost first
    for (size_t axis = box.size(); axis-- > 0;) {
      const int64_t count = box[axis].end - box[axis].begin;
      from += box[axis].begin * strides[axis];
      to += box[axis].begin * strides_[axis];
      if (count == 1) continue;
      if (!loops.empty() && strides[axis] == loops.back().from * loops.back().count &&
          strides_[axis] == loops.back().to * loops.back().count)
        loops.back().count *= count;
      else loops.push_back({count, strides[axis], strides_[axis]});
    }
    const auto width = static_cast<int64_t>(size_of(n.type));
    const std::byte* start = source.loose_data() + from * width;
    std::byte* target = out->mutable_data() + to * width;
    switch (width) {
      case 1: copy_loops<uint8_t>(start, target, loops, loops.size()); break;
      case 2: copy_loops<uint16_t>(start, target, loops, loops.size()); break;
      case 4: copy_loops<uint32_t>(start, target, loops, loops.size()); break;
      default: copy_loops<uint64_t>(start, target, loops, loops.size());
    }
    return true;
  }

  // A loop of a copy: iterations, and elements from one to the next.
  struct Loop {
    int64_t count = 1, from = 0, to = 0;
  };

  // The innermost `depth` loops.
  template <typename T>
  static void copy_loops(const std::byte* from, std::byte* to, const std::vector<Loop>& loops,
                         size_t depth) {
    constexpr auto width = static_cast<int64_t>(sizeof(T));
    if (depth == 0) {
      std::memcpy(to, from, sizeof(T));
      return;
    }
    const Loop& loop = loops[depth - 1];
    if (depth == 1 && loop.from == 1 && loop.to == 1) {
      std::memcpy(to, from, static_cast<size_t>(loop.count) * sizeof(T));
      return;
    }
    for (int64_t i = 0; i < loop.count; ++i) {
      const std::byte* source = from + i * loop.from * width;
      std::byte* target = to + i * loop.to * width;
      if (depth == 1) std::memcpy(target, source, sizeof(T));
      else copy_loops<T>(source, target, loops, depth - 1);
    }
  }

  const ir::ExprPool& pool_;
  std::span<const Tensor> inputs_;
  Shape shape_;
  ExprId root_;
  IndexAnalysis analysis_;
  std::vector<int64_t> strides_;  ///< of the output
};

}  // namespace

std::optional<Tensor> move_evaluate(const ir::Meaning& meaning, size_t output,
                                    std::span<const Tensor> inputs) {
  return Mover(meaning, output, inputs).run();
}

}  // namespace tessera::ops
