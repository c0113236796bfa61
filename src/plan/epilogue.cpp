// SPDX-License-Identifier: Apache-2.0
// Elementwise steps that follow a library kernel become its epilogue. What a step computes of one
// value is recognized by its expression: a chain of functions of one variable, which are compared
// on points with those that the library has, and of additions and products with other values.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numbers>
#include <set>

#include "ir/scalar_eval.h"
#include "plan/passes.h"
#include "plan/rewrite.h"
#include "plan/work.h"

namespace tessera::plan {
namespace {

using codegen::PostOp;
using ir::ExprId;
using ir::ExprKind;
using ir::Prim;

constexpr size_t max_post_ops = 8;
constexpr size_t max_function_nodes = 24;
constexpr ExprId no_leaf = ~ExprId{0};

// f(t) in doubles, where node `variable` of the pool has the value t; NaN where it is no function
// of that node alone.
double evaluate(const ir::ExprPool& pool, ExprId id, ExprId variable, double t) {
  if (id == variable) return t;
  const ir::ExprNode& n = pool.node(id);
  if (n.kind == ExprKind::constant)
    return is_float(n.type) ? ir::real_value(n) : static_cast<double>(n.bits);
  if (n.kind != ExprKind::primitive || !is_float(n.type) || n.prim == Prim::select)
    return std::nan("");
  const double a = evaluate(pool, n.args[0], variable, t);
  const double b = n.args.size() > 1 ? evaluate(pool, n.args[1], variable, t) : 0;
  return ir::apply(n.prim, DType::f64, ir::Scalar::of(a), ir::Scalar::of(b)).real;
}

double apply(const PostOp& op, double x) {
  switch (op.kind) {
    case PostOp::Kind::relu: return std::max(x, 0.0);
    case PostOp::Kind::clip: return std::min(std::max(x, op.alpha), op.beta);
    case PostOp::Kind::linear: return op.alpha * x + op.beta;
    case PostOp::Kind::sigmoid: return 1 / (1 + std::exp(-x));
    case PostOp::Kind::swish: return x / (1 + std::exp(-x));
    case PostOp::Kind::hard_swish: return x * std::min(std::max(x + 3, 0.0), 6.0) / 6;
    case PostOp::Kind::tanh: return std::tanh(x);
    case PostOp::Kind::leaky_relu: return x > 0 ? x : op.alpha * x;
    case PostOp::Kind::elu: return x > 0 ? x : op.alpha * std::expm1(x);
    case PostOp::Kind::gelu: return 0.5 * x * (1 + std::erf(x * (std::numbers::sqrt2 / 2)));
    case PostOp::Kind::gelu_tanh:
      return 0.5 * x *
             (1 + std::tanh(std::numbers::sqrt2 * std::numbers::inv_sqrtpi *
                            (x + 0.044715 * x * x * x)));
    case PostOp::Kind::add:
    case PostOp::Kind::mul:
    case PostOp::Kind::quantize: break;
  }
  return std::nan("");
}

bool is_gelu(const PostOp& op) {
  return op.kind == PostOp::Kind::gelu || op.kind == PostOp::Kind::gelu_tanh;
}

// Whether op(t) is `expected` up to how constants were rounded to f32. A zero must be one: what
// adds a tiny number, or bounds by one, keeps a logarithm or a quotient from infinity.
bool agrees(const PostOp& op, double t, double expected) {
  const double found = apply(op, t);
  if (op.kind == PostOp::Kind::relu || op.kind == PostOp::Kind::clip) return found == expected;
  if (found == 0 || expected == 0) return found == expected;
  double near = 2e-7 * std::fabs(expected);
  if (op.kind == PostOp::Kind::linear)
    near += 1e-13 * (std::fabs(op.alpha * t) + std::fabs(op.beta));
  if (op.kind == PostOp::Kind::hard_swish) near += 1e-6;  // (x + 3) / 6 with a rounded 1/6
  // 1 + erf and 1 + tanh have an error of their own where they nearly vanish.
  if (is_gelu(op)) near += 2e-7 * std::fabs(t);
  return std::fabs(found - expected) <= near;
}

// The library's function that equals f on many points around every knee, if there is one.
std::optional<PostOp> recognize(const std::function<double(double)>& f, bool with_gelu) {
  using Kind = PostOp::Kind;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double zero = f(0), one = f(1), minus = f(-1);
  const std::array<PostOp, 10> candidates{{
      {.kind = Kind::linear, .alpha = one - zero, .beta = zero},
      {.kind = Kind::relu},
      {.kind = Kind::clip, .alpha = f(-infinity), .beta = f(infinity)},
      {.kind = Kind::hard_swish},
      {.kind = Kind::swish},
      {.kind = Kind::sigmoid},
      {.kind = Kind::tanh},
      {.kind = Kind::leaky_relu, .alpha = -minus},
      {.kind = Kind::gelu},
      {.kind = Kind::gelu_tanh},
  }};
  static constexpr std::array points{
      -90.0, -20.5, -7.3, -6.1, -4.2, -3.1, -2.9, -2.2, -1.7, -1.1,  -0.6, -0.3,  -0.1,
      -1e-3, 0.0,   1e-3, 0.07, 0.2,  0.55, 0.9,  1.1,  1.5,  2.2,   2.9,  3.1,   4.2,
      5.9,   6.1,   7.3,  20.5, 90.0, 1e4,  -1e4, -1e8, 1e8,  -1e20, 1e20, -1e37, 1e37};
  for (const PostOp& op : candidates) {
    if (std::isnan(op.alpha) || std::isnan(op.beta) || (is_gelu(op) && !with_gelu)) continue;
    const bool equal =
        std::all_of(points.begin(), points.end(), [&](double t) { return agrees(op, t, f(t)); });
    if (equal) return op;
  }
  return std::nullopt;
}

// Brings the body of a step into the form of an epilogue of the value `v`.
class Matcher {
 public:
  Matcher(const Draft& d, const Step& step, const Step& library, bool with_gelu)
      : d_(d),
        step_(step),
        library_(library),
        pool_(*step.meaning.pool),
        v_(library.dst[0]),
        with_gelu_(with_gelu) {}

  bool run() {
    for (ExprId id = 0; id < pool_.size(); ++id) {
      const ir::ExprNode& n = pool_.node(id);
      bool holds = n.kind == ExprKind::read && step_.src[n.input] == v_;
      if (holds) leaf_ = id;
      for (ExprId a : n.args) holds |= holds_[a];
      holds_[id] = holds;
    }
    return leaf_ != no_leaf && match(step_.meaning.outputs[0].body.id) &&
           post.size() <= max_post_ops;
  }

  std::vector<PostOp> post;  ///< operands number `operands`, counted from 0
  std::vector<ValueId> operands;

 private:
  bool match(ExprId id) {
    if (id == leaf_) return true;
    const ir::ExprNode& n = pool_.node(id);
    if (n.kind != ExprKind::primitive || !holds_[id]) return false;
    return match_binary(n) || match_function(id);
  }

  bool match_binary(const ir::ExprNode& n) {
    if ((n.prim != Prim::add && n.prim != Prim::mul) || holds_[n.args[0]] == holds_[n.args[1]])
      return false;
    const ExprId inner = holds_[n.args[0]] ? n.args[0] : n.args[1];
    const ir::ExprNode& other = pool_.node(inner == n.args[0] ? n.args[1] : n.args[0]);
    if (other.kind != ExprKind::read || !fits(other) || !match(inner)) return false;
    post.push_back({.kind = n.prim == Prim::add ? PostOp::Kind::add : PostOp::Kind::mul,
                    .operand = static_cast<int>(operands.size())});
    operands.push_back(step_.src[other.input]);
    return true;
  }

  // An operand is read at the output's own indices: in full, or along the channels (the last axis
  // of a product) alone.
  bool fits(const ir::ExprNode& read) const {
    const Value& value = d_.values[step_.src[read.input]];
    const Shape& shape = d_.values[v_].shape;
    if (value.dtype != DType::f32 || read.args.size() > shape.size()) return false;
    const size_t skip = shape.size() - read.args.size();
    const size_t channel = library_.op == "matmul" ? shape.size() - 1 : 1;
    bool full = value.elements() == *element_count(shape), along = true;
    for (size_t k = 0; k < read.args.size(); ++k) {
      const ir::ExprNode& index = pool_.node(read.args[k]);
      const auto axis = static_cast<uint32_t>(k + skip);
      if (index.kind == ExprKind::constant) {
        if (value.shape[k] != 1) return false;
        continue;
      }
      if (!(index.kind == ExprKind::variable && index.var == ir::Var{ir::Var::Kind::output, axis}))
        return false;
      full &= value.shape[k] == shape[axis];
      along &= axis == channel || value.shape[k] == 1;
    }
    if (full && value.shape == shape) return true;
    return along && value.elements() == shape[channel] && shape[channel] > 1;
  }

  // The body is f(u) for a subexpression u through which every path to the leaf leads.
  bool match_function(ExprId id) {
    std::vector<ExprId> inner;
    size_t count = 0;
    collect(id, inner, count);
    if (count > max_function_nodes) return false;
    std::sort(inner.begin(), inner.end());
    for (ExprId u : inner) {
      if (u == id) continue;
      const auto f = [&](double t) { return evaluate(pool_, id, u, t); };
      if (std::isnan(f(0.5))) continue;
      const auto op = recognize(f, with_gelu_);
      if (!op) continue;
      const size_t before = post.size(), operands_before = operands.size();
      if (match(u)) {
        post.push_back(*op);
        return true;
      }
      post.resize(before);
      operands.resize(operands_before);
    }
    return false;
  }

  void collect(ExprId id, std::vector<ExprId>& inner, size_t& count) const {
    if (!holds_.at(id) || std::find(inner.begin(), inner.end(), id) != inner.end()) return;
    if (++count > max_function_nodes) return;
    inner.push_back(id);
    if (id == leaf_) return;
    for (ExprId a : pool_.node(id).args) collect(a, inner, count);
  }

  const Draft& d_;
  const Step& step_;
  const Step& library_;
  const ir::ExprPool& pool_;
  ValueId v_;
  bool with_gelu_;
  ExprId leaf_ = no_leaf;
  std::map<ExprId, bool> holds_;
};

class Absorption {
 public:
  Absorption(Draft& draft, const Refusals& refusals) : d_(draft), refusals_(refusals) {}

  void run() {
    bool changed = true;
    while (changed) {
      changed = false;
      consumers_ = find_consumers(d_);
      for (size_t k = 0; k < d_.steps.size(); ++k)
        if (d_.steps[k].kind == Step::Kind::loops && !d_.steps[k].dead && absorb(k)) {
          changed = true;
          consumers_ = find_consumers(d_);
        }
      std::erase_if(d_.steps, [](const Step& s) { return s.dead; });
    }
  }

 private:
  // Makes step `k` the epilogue of the last library step that it alone reads.
  bool absorb(size_t k) {
    Step& step = d_.steps[k];
    if (has_reduction(step.meaning.outputs[0].body)) return false;
    for (size_t p = k; p-- > 0;) {
      Step& library = d_.steps[p];
      if (library.kind != Step::Kind::library || library.dead ||
          refusals_.epilogues.contains(library.op))
        continue;
      const ValueId v = library.dst[0];
      if (std::find(step.src.begin(), step.src.end(), v) == step.src.end()) continue;
      if (consumers_[v].size() != 1 || d_.values[v].shape != d_.values[step.dst[0]].shape) continue;
      for (const ReadUse& use : read_uses(d_, step))
        if (step.src[use.input] == v && !use.identity) return false;
      // Only generated kernels have it, which products by constants are.
      const bool with_gelu = !refusals_.epilogues.contains("gelu") && library.op == "matmul" &&
                             d_.values[d_.root(library.src[1])].constant;
      Matcher matcher(d_, step, library, with_gelu);
      if (!matcher.run()) continue;
      merge_linear(matcher.post);
      if (matcher.post.size() + library.post.size() > max_post_ops) continue;
      if (repeats(library.post, matcher.post)) continue;
      if (library.integers && !matcher.operands.empty() && !is_constant_bias(library, matcher))
        continue;
      take(library, step, matcher);
      return true;
    }
    return false;
  }

  // All that steps of integers take: other operands may be NaN, which bounds would lose.
  bool is_constant_bias(const Step& library, const Matcher& matcher) const {
    const ValueId operand = matcher.operands[0];
    return matcher.operands.size() == 1 && matcher.post.front().kind == PostOp::Kind::add &&
           library.post.empty() && library.src[2] == no_value &&
           d_.values[operand].shape.size() == 1 && d_.values[operand].constant.has_value();
  }

  // a·x + b followed by c·x + d is one such function.
  static void merge_linear(std::vector<PostOp>& after) {
    std::vector<PostOp> merged;
    for (const PostOp& op : after) {
      const bool both = op.kind == PostOp::Kind::linear && !merged.empty() &&
                        merged.back().kind == PostOp::Kind::linear;
      if (both) {
        merged.back().alpha *= op.alpha;
        merged.back().beta = merged.back().beta * op.alpha + op.beta;
      } else {
        merged.push_back(op);
      }
    }
    after = std::move(merged);
  }

  // oneDNN 2.6 gives all elementwise functions of one kind in an epilogue the parameters of the
  // first, so a kind may occur once.
  static bool repeats(const std::vector<PostOp>& before, const std::vector<PostOp>& after) {
    std::set<PostOp::Kind> seen;
    for (const auto* list : {&before, &after})
      for (const PostOp& op : *list) {
        if (op.operand >= 0) continue;
        const bool leaky = op.kind == PostOp::Kind::leaky_relu;
        if (!seen.insert(leaky ? PostOp::Kind::relu : op.kind).second) return true;
      }
    return false;
  }

  void take(Step& library, Step& step, const Matcher& matcher) {
    for (PostOp op : matcher.post) {
      const ValueId operand = op.operand >= 0 ? matcher.operands[op.operand] : no_value;
      // A vector added before anything else is the bias.
      const bool bias = op.kind == PostOp::Kind::add && library.post.empty() &&
                        library.src[2] == no_value && d_.values[operand].shape.size() == 1;
      if (bias) {
        library.src[2] = operand;
        continue;
      }
      if (op.operand >= 0) {
        op.operand = static_cast<int>(library.src.size());
        library.src.push_back(operand);
      }
      library.post.push_back(op);
    }
    library.dst = step.dst;
    library.names.insert(library.names.end(), step.names.begin(), step.names.end());
    library.nodes.insert(library.nodes.end(), step.nodes.begin(), step.nodes.end());
    // Its operands are known where the step stood.
    Step moved = std::move(library);
    library = Step{};
    library.dead = true;
    step = std::move(moved);
  }

  Draft& d_;
  const Refusals& refusals_;
  std::vector<std::vector<size_t>> consumers_;
};

}  // namespace

void absorb_epilogues(Draft& draft, const Refusals& refusals) { Absorption(draft, refusals).run(); }

}  // namespace tessera::plan
