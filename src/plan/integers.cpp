// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of quantized operands, computed on the integers of 8 bits that they
// hold: sums of integers are exact, and a scale for each channel gives what the floats would sum to
// but for their rounding.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "ops/attr_reader.h"
#include "ops/evaluate.h"
#include "ops/registry.h"
#include "plan/passes.h"
#include "plan/rewrite.h"
#include "plan/work.h"

namespace tessera::plan {
namespace {

using codegen::IntegerProducts;

bool is_byte(DType type) { return type == DType::u8 || type == DType::i8; }

// Constant weights: integers, and the scale of each channel.
struct Weights {
  Tensor integers;
  std::vector<float> scales;
};

// A step whose destination is acc[…, j] − zero_point · sums[j], all of i32.
Step correction(const Draft& d, ValueId acc, ValueId zero_point, ValueId sums, ValueId to) {
  Step step;
  step.op = "sub";
  step.names = {"sub"};
  step.nodes = {""};
  step.src = {acc, zero_point, sums};
  step.dst = {to};
  ir::Meaning& m = step.meaning;
  m.pool = std::make_unique<ir::ExprPool>();
  for (ValueId v : step.src) {
    const Shape& shape = d.values[v].shape;
    m.inputs.push_back({DType::i32, ir::Dims(shape.begin(), shape.end())});
  }
  const Shape& shape = d.values[to].shape;
  std::vector<ir::Expr> at;
  for (uint32_t axis = 0; axis < shape.size(); ++axis)
    at.push_back(m.pool->variable({ir::Var::Kind::output, axis}));
  const std::vector<ir::Expr> first(d.values[zero_point].shape.size(), m.pool->integer(0));
  const ir::Expr column = m.pool->read(2, DType::i32, std::array{at.back()});
  m.outputs = {{ir::Dims(shape.begin(), shape.end()),
                m.pool->read(0, DType::i32, at) - m.pool->read(1, DType::i32, first) * column}};
  return step;
}

class IntegerChoice {
 public:
  IntegerChoice(Draft& draft, const Refusals& refusals) : d_(draft), refusals_(refusals) {}

  void run() {
    for (Step& s : d_.steps) {
      if (s.op == "conv" || s.op == "matmul") {
        const DType type = d_.values[s.dst[0]].dtype;
        if (s.kind == Step::Kind::library && type == DType::f32) from_dequantized(s);
        else if (s.kind == Step::Kind::loops && type == DType::i32) from_integers(s);
      }
      for (ValueId v : s.dst) maker_.emplace(v, steps_.size());
      steps_.push_back(std::move(s));
      if (after_) {
        maker_[after_->dst[0]] = steps_.size();
        steps_.push_back(std::move(*after_));
        after_.reset();
      }
    }
    d_.steps = std::move(steps_);
    fold_constants();
    drop_unread();
  }

 private:
  const Value& value(ValueId v) const { return d_.values[v]; }
  const Tensor* constant(ValueId v) const {
    return v != no_value && value(v).constant ? &*value(v).constant : nullptr;
  }
  // The step of loops that computes a value, if it is that operator.
  const Step* made_by(ValueId v, const char* op) const {
    const auto at = v == no_value ? maker_.end() : maker_.find(v);
    if (at == maker_.end()) return nullptr;
    const Step& s = steps_[at->second];
    return s.kind == Step::Kind::loops && s.op == op ? &s : nullptr;
  }
  static ValueId source(const Step& s, size_t k) { return k < s.src.size() ? s.src[k] : no_value; }

  std::shared_ptr<IntegerProducts> next() {
    auto integers = std::make_shared<IntegerProducts>();
    integers->number = count_++;
    return refusals_.operators.contains(integers_name(*integers)) ? nullptr : integers;
  }

  static size_t channel_axis(const Step& s) { return s.op == "conv" ? 0 : 1; }

  void from_dequantized(Step& s) {
    if (s.op == "matmul" && (value(s.src[1]).shape.size() != 2 || value(s.src[0]).shape.size() < 2))
      return;
    const Step* x = made_by(s.src[0], "dequantize_linear");
    if (!x || !is_byte(value(x->src[0]).dtype) || constant(x->src[0])) return;
    const Tensor *scale = constant(x->src[1]), *zero = constant(source(*x, 2));
    if (!scale || scale->size() != 1 || (source(*x, 2) != no_value && (!zero || zero->size() != 1)))
      return;
    auto weights = dequantized(s.src[1], channel_axis(s));
    if (!weights) return;
    for (float& w : weights->scales) {
      w *= static_cast<float>(scale->float_at(0));
      if (!std::isnormal(w)) return;
    }
    const auto integers = next();
    if (!integers) return;
    if (zero) integers->zero_point = static_cast<int>(zero->integer_at(0));
    integers->scales = std::move(weights->scales);
    s.integers = integers;
    s.src[0] = x->src[0];
    s.src[1] = add_constant(std::move(weights->integers));
  }

  bool is_plain_convolution(const Step& s) const {
    const size_t rank = value(s.dst[0]).shape.size();
    const auto pads = ops::AttrReader(ops::registry().get(s.op), s.attrs).integers("pads");
    return rank >= 3 && rank <= 5 &&
           std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad >= 0; });
  }

  // (x − zero_point) · w of i32, where x was cast from 8 bits and w fits them.
  void from_integers(Step& s) {
    const Tensor* weights = constant(s.src[1]);
    const bool is_product = s.op == "matmul";
    if (!is_product && !is_plain_convolution(s)) return;
    if (!weights || value(s.dst[0]).elements() == 0 ||
        (is_product && (value(s.src[1]).shape.size() != 2 || value(s.src[0]).shape.size() < 2)))
      return;
    if (source(s, 2) != no_value && !constant(s.src[2])) return;
    const Step* shifted = made_by(s.src[0], "sub");
    const ValueId zero_point = shifted ? shifted->src[1] : no_value;
    const Step* x = made_by(shifted ? shifted->src[0] : s.src[0], "cast");
    if (!x || !is_byte(value(x->src[0]).dtype)) return;
    const bool known = !shifted || constant(zero_point);
    if (shifted && (value(zero_point).elements() != 1 || (!known && !is_product))) return;
    Tensor bytes(DType::i8, weights->shape());
    for (int64_t i = 0; i < weights->size(); ++i) {
      const int64_t w = weights->integer_at(i);
      if (w < -128 || w > 127) return;
      bytes.set_integer(i, w);
    }
    // Taken for the padding, the integer must be one of source 0.
    const int64_t zero = shifted && known ? constant(zero_point)->integer_at(0) : 0;
    if (zero < min_integer(value(x->src[0]).dtype) || zero > max_integer(value(x->src[0]).dtype))
      return;
    const auto integers = next();
    if (!integers) return;
    integers->zero_point = static_cast<int>(zero);
    s.kind = Step::Kind::library;
    s.integers = integers;
    s.src[0] = x->src[0];
    if (!known) correct(s, zero_point, bytes);
    s.src[1] = add_constant(std::move(bytes));
    s.src.resize(3, no_value);
  }

  // The sums are those of x; what the zero point adds to them is taken off afterwards.
  void correct(Step& s, ValueId zero_point, const Tensor& weights) {
    const int64_t rows = weights.shape()[0], columns = weights.shape()[1];
    Tensor sums(DType::i32, {columns});
    for (int64_t j = 0; j < columns; ++j) {
      int64_t total = 0;
      for (int64_t i = 0; i < rows; ++i) total += weights.integer_at(i * columns + j);
      sums.set_integer(j, total);
    }
    const ValueId to = s.dst[0], acc = d_.add_value(DType::i32, value(to).shape);
    const ValueId totals = add_constant(std::move(sums));
    s.dst = {acc};
    after_ = correction(d_, acc, zero_point, totals, to);
  }

  // A constant of 8 bits that is dequantized, maybe transposed, with one scale for each index of
  // `axis`.
  std::optional<Weights> dequantized(ValueId v, size_t axis) const {
    if (const Step* t = made_by(v, "transpose")) {
      if (value(v).shape.size() != 2 || !exchanges(*t)) return std::nullopt;
      auto weights = dequantized(t->src[0], 1 - axis);
      if (!weights) return std::nullopt;
      const Tensor& from = weights->integers;
      Tensor to(DType::i8, value(v).shape);
      const int64_t rows = to.shape()[0], columns = to.shape()[1];
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j)
          to.set_integer(i * columns + j, from.integer_at(j * rows + i));
      weights->integers = std::move(to);
      return weights;
    }
    const Step* s = made_by(v, "dequantize_linear");
    const Tensor *from = s ? constant(s->src[0]) : nullptr,
                 *scale = s ? constant(s->src[1]) : nullptr;
    if (!from || !scale || !is_byte(from->type())) return std::nullopt;
    const Tensor* zero = constant(source(*s, 2));
    if (source(*s, 2) != no_value && !zero) return std::nullopt;
    const ops::AttrReader attrs(ops::registry().get(s->op), s->attrs);
    const auto rank = static_cast<int>(from->shape().size());
    const auto at = static_cast<size_t>(scale->size() == 1 ? axis : attrs.axis("axis", rank));
    if (attrs.integer("block_size") != 0 || at != axis) return std::nullopt;
    return shifted(*from, *scale, zero, axis);
  }

  static bool exchanges(const Step& transpose) {
    const ir::ExprNode& read = transpose.meaning.outputs[0].body.node();
    if (read.kind != ir::ExprKind::read || read.args.size() != 2) return false;
    const ir::ExprNode& first = transpose.meaning.pool->node(read.args[0]);
    return first.kind == ir::ExprKind::variable && first.var == ir::Var{ir::Var::Kind::output, 1};
  }

  // Integers without their zero points, when they still fit i8.
  static std::optional<Weights> shifted(const Tensor& from, const Tensor& scale, const Tensor* zero,
                                        size_t axis) {
    Weights weights{Tensor(DType::i8, from.shape()), {}};
    int64_t inner = 1;
    for (size_t k = axis + 1; k < from.shape().size(); ++k) inner *= from.shape()[k];
    const int64_t channels = from.shape()[axis];
    for (int64_t c = 0; c < channels; ++c)
      weights.scales.push_back(static_cast<float>(scale.float_at(scale.size() == 1 ? 0 : c)));
    for (int64_t i = 0; i < from.size(); ++i) {
      const int64_t c = i / inner % channels;
      const int64_t w =
          from.integer_at(i) - (zero ? zero->integer_at(zero->size() == 1 ? 0 : c) : 0);
      if (w < -128 || w > 127) return std::nullopt;
      weights.integers.set_integer(i, w);
    }
    return weights;
  }

  ValueId add_constant(Tensor tensor) {
    const ValueId v = d_.add_value(tensor.type(), tensor.shape());
    d_.values[v].constant = std::move(tensor);
    return v;
  }

  // Steps of constants; but rows of a table are better dequantized when they are read.
  void fold_constants() {
    const auto consumers = find_consumers(d_);
    std::set<ValueId> folded;
    for (Step& s : d_.steps) {
      if (s.kind != Step::Kind::loops || s.src.empty()) continue;
      const bool known = std::all_of(s.src.begin(), s.src.end(),
                                     [&](ValueId v) { return v == no_value || constant(v); });
      const bool comes_from_bytes =
          s.op == "dequantize_linear" ||
          std::any_of(s.src.begin(), s.src.end(), [&](ValueId v) { return folded.contains(v); });
      if (!known || !comes_from_bytes || !is_read_elsewhere(consumers[s.dst[0]])) continue;
      folded.insert(s.dst[0]);
      std::vector<Tensor> inputs;
      for (ValueId v : s.src) inputs.push_back(v == no_value ? Tensor{} : *value(v).constant);
      d_.values[s.dst[0]].constant =
          ops::loop_evaluate(s.meaning, inputs, false)[0].converted(value(s.dst[0]).dtype);
      s.dead = true;
    }
  }

  bool is_read_elsewhere(const std::vector<size_t>& consumers) const {
    return std::any_of(consumers.begin(), consumers.end(),
                       [&](size_t k) { return k < d_.steps.size() && d_.steps[k].op != "gather"; });
  }

  void drop_unread() {
    std::vector<bool> read(d_.values.size(), false);
    for (ValueId v : d_.outputs) read[v] = true;
    for (size_t k = d_.steps.size(); k-- > 0;) {
      Step& s = d_.steps[k];
      const auto is_read = [&](ValueId v) { return read[v]; };
      s.dead = s.dead ||
               (s.kind == Step::Kind::loops && std::none_of(s.dst.begin(), s.dst.end(), is_read));
      if (s.dead) continue;
      for (ValueId v : s.src)
        if (v != no_value) read[v] = true;
    }
    std::erase_if(d_.steps, [](const Step& s) { return s.dead; });
  }

  Draft& d_;
  const Refusals& refusals_;
  std::vector<Step> steps_;
  std::map<ValueId, size_t> maker_;
  std::optional<Step> after_;
  int count_ = 0;
};

// saturate(round(x / alpha) + beta) of input 0 at the output's own indices.
std::optional<codegen::PostOp> quantization(const Draft& d, const Step& s) {
  using ir::ExprKind;
  using ir::Prim;
  const ir::ExprPool& pool = *s.meaning.pool;
  const ir::ExprNode* n = &s.meaning.outputs[0].body.node();
  const DType to = n->type;
  if (s.src.size() != 1 || n->kind != ExprKind::cast || !is_byte(to)) return std::nullopt;
  n = &pool.node(n->args[0]);
  // Steps from f(y, constant) to y; the constant is left in `other`.
  double other = 0;
  const auto take = [&](Prim prim) {
    if (n->kind != ExprKind::primitive || n->prim != prim || n->type != DType::f32) return false;
    for (size_t k = 0; k < 2; ++k) {
      const ir::ExprNode& c = pool.node(n->args[1 - k]);
      if (c.kind != ExprKind::constant || (prim == Prim::div && k == 1)) continue;
      other = ir::real_value(c);
      n = &pool.node(n->args[k]);
      return true;
    }
    return false;
  };
  codegen::PostOp op{.kind = codegen::PostOp::Kind::quantize};
  if (!take(Prim::max) || other != static_cast<double>(min_integer(to))) return std::nullopt;
  if (!take(Prim::min) || other != static_cast<double>(max_integer(to))) return std::nullopt;
  if (take(Prim::add)) op.beta = other;
  if (n->kind != ExprKind::primitive || n->prim != Prim::round) return std::nullopt;
  n = &pool.node(n->args[0]);
  if (!take(Prim::div)) return std::nullopt;
  op.alpha = other;
  const std::vector<ReadUse> uses = read_uses(d, s);
  if (n->kind != ExprKind::read || uses.size() != 1 || !uses[0].identity) return std::nullopt;
  const bool fits = op.beta == std::floor(op.beta) && std::fabs(op.beta) < 256;
  return fits && std::isnormal(op.alpha) ? std::optional(op) : std::nullopt;
}

}  // namespace

std::string integers_name(const codegen::IntegerProducts& integers) {
  return fmt::format("integers {}", integers.number);
}

void choose_integers(Draft& draft, const Refusals& refusals) {
  IntegerChoice(draft, refusals).run();
}

void absorb_quantizations(Draft& draft) {
  const auto consumers = find_consumers(draft);
  std::map<ValueId, size_t> maker;
  for (size_t k = 0; k < draft.steps.size(); ++k) {
    Step& s = draft.steps[k];
    for (ValueId v : s.dst) maker.emplace(v, k);
    if (s.kind != Step::Kind::loops || s.src.size() != 1 || !maker.contains(s.src[0])) continue;
    Step& library = draft.steps[maker.at(s.src[0])];
    if (!library.integers || library.integers->scales.empty() || library.dead) continue;
    if (consumers[library.dst[0]].size() != 1) continue;
    // What an epilogue reads may be NaN, which only the kernel in floats passes on.
    const bool simple =
        std::none_of(library.post.begin(), library.post.end(), [](const codegen::PostOp& p) {
          return p.operand >= 0 || p.kind == codegen::PostOp::Kind::linear;
        });
    const auto op = simple ? quantization(draft, s) : std::nullopt;
    if (!op) continue;
    library.post.push_back(*op);
    library.dst = s.dst;
    library.names.insert(library.names.end(), s.names.begin(), s.names.end());
    library.nodes.insert(library.nodes.end(), s.nodes.begin(), s.nodes.end());
    maker[s.dst[0]] = maker.at(s.src[0]);
    s.dead = true;
  }
  std::erase_if(draft.steps, [](const Step& s) { return s.dead; });
}

}  // namespace tessera::plan
