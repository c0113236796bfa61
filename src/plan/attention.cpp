// SPDX-License-Identifier: Apache-2.0
// Attention without scores in memory: a product, loops that are a softmax of a function of its
// elements, and a product that alone reads them, become one step. What the function is (a mask, a
// bias, a cap) does not matter, as long as it is computed element by element.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "plan/passes.h"
#include "plan/rewrite.h"
#include "plan/work.h"

namespace tessera::plan {
namespace {

using codegen::PostOp;
using ir::Expr;
using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

// Sizes for which the kernel is made, and at which it pays.
constexpr int64_t head_multiple = 16, least_queries = 16, least_keys = 16, most_keys = 4096;
constexpr size_t most_operands = 4;

// The function of the product's elements whose softmax along the last axis a body is.
class SoftmaxMatch {
 public:
  SoftmaxMatch(const ir::Meaning& meaning, int64_t extent)
      : pool_(*meaning.pool),
        rank_(static_cast<uint32_t>(meaning.outputs[0].shape.size())),
        extent_(extent),
        root_(meaning.outputs[0].body.id) {}

  std::optional<ExprId> run() {
    const ExprNode& root = pool_.node(root_);
    if (!is(root, Prim::div)) return std::nullopt;
    const ExprNode &e = pool_.node(root.args[0]), &sum = pool_.node(root.args[1]);
    if (!is(e, Prim::exp) || !reduces(sum, ir::Reduction::sum)) return std::nullopt;
    const ExprNode& difference = pool_.node(e.args[0]);
    if (!is(difference, Prim::sub)) return std::nullopt;
    const ExprId score = difference.args[0];
    const ExprNode& largest = pool_.node(difference.args[1]);
    const ir::Var own{ir::Var::Kind::output, rank_ - 1};
    if (!reduces(largest, ir::Reduction::max) || !same(root.args[0], sum.args[1], own, sum.var) ||
        !same(score, largest.args[1], own, largest.var))
      return std::nullopt;
    return score;
  }

 private:
  static bool is(const ExprNode& n, Prim prim) {
    return n.kind == ExprKind::primitive && n.prim == prim && n.type == DType::f32;
  }
  bool reduces(const ExprNode& n, ir::Reduction kind) const {
    if (n.kind != ExprKind::reduce || n.reduction != kind) return false;
    const ExprNode& extent = pool_.node(n.args[0]);
    return extent.kind == ExprKind::constant && extent.bits == extent_;
  }

  // Whether `a` with variable `of_a` is `b` with `of_b`. Gives up on what is long.
  bool same(ExprId a, ExprId b, ir::Var of_a, ir::Var of_b) {
    constexpr int most_steps = 4000;
    if (++steps_ > most_steps) return false;
    const ExprNode &x = pool_.node(a), &y = pool_.node(b);
    if (x.kind == ExprKind::variable && x.var == of_a)
      return y.kind == ExprKind::variable && y.var == of_b;
    if (x.args.empty()) return a == b;
    if (x.kind == ExprKind::reduce) return a == b;
    if (x.kind != y.kind || x.type != y.type || x.prim != y.prim || x.input != y.input ||
        x.args.size() != y.args.size())
      return false;
    for (size_t k = 0; k < x.args.size(); ++k)
      if (!same(x.args[k], y.args[k], of_a, of_b)) return false;
    return true;
  }

  const ir::ExprPool& pool_;
  uint32_t rank_;
  int64_t extent_;
  ExprId root_;
  int steps_ = 0;
};

class AttentionFusion {
 public:
  explicit AttentionFusion(Draft& draft) : d_(draft), consumers_(find_consumers(draft)) {
    for (size_t k = 0; k < d_.steps.size(); ++k)
      if (!d_.steps[k].dead)
        for (ValueId v : d_.steps[k].dst) producer_[v] = k;
  }

  void run() {
    std::vector<Step> steps;
    for (size_t k = 0; k < d_.steps.size(); ++k) {
      if (!d_.steps[k].dead && is_product(d_.steps[k])) fuse(k, steps);
      steps.push_back(std::move(d_.steps[k]));
    }
    std::erase_if(steps, [&](const Step& s) { return s.dead || gone_.contains(s.dst[0]); });
    d_.steps = std::move(steps);
  }

 private:
  static bool is_product(const Step& s) {
    return s.kind == Step::Kind::library && s.op == "matmul" && !s.integers && s.src[2] == no_value;
  }
  const Shape& shape(ValueId v) const { return d_.values[v].shape; }

  // The step that makes a value of which this is the only reader. The steps before the one at hand
  // have moved to `steps`, in their order.
  Step* only_producer(ValueId v, std::vector<Step>& steps) {
    const auto at = producer_.find(v);
    if (at == producer_.end() || consumers_[v].size() != 1) return nullptr;
    for (Step& s : steps)
      if (!s.dead && !s.dst.empty() && s.dst[0] == v) return &s;
    return nullptr;
  }

  // Steps of operands are appended to `steps`.
  void fuse(size_t k, std::vector<Step>& steps) {
    Step& second = d_.steps[k];
    if (!second.post.empty()) return;
    Step* softmax = only_producer(second.src[0], steps);
    if (!softmax || softmax->kind != Step::Kind::loops) return;
    const Shape scores = shape(second.src[0]);
    if (scores.size() < 2 || shape(second.dst[0]).size() != scores.size()) return;
    const auto score = SoftmaxMatch(softmax->meaning, scores.back()).run();
    if (!score) return;
    const auto find_first = [&]() -> Step* {
      for (ValueId v : softmax->src)
        if (Step* s = v == no_value ? nullptr : only_producer(v, steps))
          if (is_product(*s) && shape(v) == scores) return s;
      return nullptr;
    };
    Step* first = find_first();
    if (!first || !fits(*first, second)) return;
    Step fused;
    if (!take_score(*softmax, *first, *score, fused)) return;
    fused.kind = Step::Kind::library;
    fused.op = "attention";
    fused.src.insert(fused.src.begin(), {first->src[0], first->src[1], second.src[1]});
    fused.dst = second.dst;
    if (scales(*first)) fused.scale = first->post[0].alpha;
    for (size_t k = 0; k < 2; ++k)
      if (const ValueId v = fused.src[k]; std::count(fused.src.begin(), fused.src.end(), v) == 1)
        take_factor(only_producer(v, steps), fused.scale);
    for (const Step* s : {static_cast<const Step*>(first), static_cast<const Step*>(softmax),
                          static_cast<const Step*>(&second)}) {
      fused.names.insert(fused.names.end(), s->names.begin(), s->names.end());
      fused.nodes.insert(fused.nodes.end(), s->nodes.begin(), s->nodes.end());
    }
    gone_.insert({first->dst[0], softmax->dst[0]});
    fused.hidden = find_hidden_keys(d_, fused);
    for (size_t n = 3; n < fused.src.size(); ++n) fused.src[n] = transposed(fused.src[n], steps);
    second = std::move(fused);
  }

  // A factor of all queries, or of all keys, becomes one of the scale; what is left may be read
  // where it lies.
  static void take_factor(Step* made, double& scale) {
    if (!made || made->kind != Step::Kind::loops) return;
    ir::Expr& body = made->meaning.outputs[0].body;
    const ExprNode& root = body.node();
    if (root.kind != ExprKind::primitive || root.prim != Prim::mul || root.type != DType::f32)
      return;
    for (size_t k = 0; k < 2; ++k) {
      const ExprNode &factor = body.pool->node(root.args[k]),
                     &rest = body.pool->node(root.args[1 - k]);
      const auto number = std::bit_cast<double>(factor.bits);
      if (factor.kind != ExprKind::constant || rest.kind != ExprKind::read ||
          !std::isfinite(number) || number == 0)
        continue;
      scale *= number;
      body = {body.pool, root.args[1 - k]};
      return;
    }
  }

  // Whether the first product's epilogue begins with a factor, which the queries take.
  static bool scales(const Step& first) {
    return !first.post.empty() && first.post[0].kind == PostOp::Kind::linear &&
           first.post[0].beta == 0;
  }

  bool fits(const Step& first, const Step& second) const {
    for (const PostOp& op : first.post)
      if (op.kind != PostOp::Kind::linear && op.kind != PostOp::Kind::tanh && op.operand < 0)
        return false;
    for (ValueId v : {first.src[0], first.src[1], second.src[1]})
      if (shape(v).size() < 2) return false;
    const Shape& result = shape(second.dst[0]);
    const int64_t queries = result[result.size() - 2], keys = shape(first.src[1]).back();
    return shape(first.src[0]).back() % head_multiple == 0 && result.back() % head_multiple == 0 &&
           queries >= least_queries && keys >= least_keys && keys <= most_keys;
  }

  // The function of scores, what the first product's epilogue does included, with one number for
  // each read; its operands become sources.
  bool take_score(const Step& softmax, const Step& first, ExprId score, Step& fused) {
    const ir::ExprPool& pool = *softmax.meaning.pool;
    const auto rank = static_cast<uint32_t>(softmax.meaning.outputs[0].shape.size());
    const ValueId product = first.dst[0];
    if (!is_pointwise(pool, softmax, score, product, rank)) return false;
    auto meaning = std::make_shared<ir::Meaning>();
    meaning->pool = std::make_unique<ir::ExprPool>();
    meaning->inputs = {{DType::f32, {}}};
    const auto read = [&](ValueId v) {
      auto at = std::find(fused.src.begin(), fused.src.end(), v);
      if (at == fused.src.end()) {
        fused.src.push_back(v);
        meaning->inputs.push_back({d_.values[v].dtype, {}});
        at = fused.src.end() - 1;
      }
      const auto number = static_cast<uint32_t>(at - fused.src.begin());
      return meaning->pool->read(number + 1, d_.values[v].dtype, {});
    };
    Expr result = meaning->pool->read(0, DType::f32, {});
    for (size_t k = scales(first) ? 1 : 0; k < first.post.size(); ++k) {
      const PostOp& op = first.post[k];
      if (op.kind == PostOp::Kind::linear) result = result * op.alpha + op.beta;
      else if (op.kind == PostOp::Kind::tanh) result = tanh(result);
      else if (op.kind == PostOp::Kind::add) result = result + read(first.src[op.operand]);
      else result = result * read(first.src[op.operand]);
    }
    const std::vector<Expr> nowhere(rank, meaning->pool->integer(0));
    const Expr body = meaning->pool->import({const_cast<ir::ExprPool*>(&pool), score}, nowhere,
                                            [&](uint32_t input, DType, std::span<const Expr>) {
                                              const ValueId v = softmax.src[input];
                                              return v == product ? result : read(v);
                                            });
    if (fused.src.size() > most_operands) return false;
    meaning->outputs = {{{}, body}};
    if (body.node().kind != ExprKind::read) fused.score = std::move(meaning);
    return true;
  }

  // Reads at the score's own place and functions of what they read, nothing else.
  bool is_pointwise(const ir::ExprPool& pool, const Step& s, ExprId score, ValueId product,
                    uint32_t rank) const {
    std::set<ExprId> seen;
    bool reads_product = false;
    const auto visit = [&](auto&& self, ExprId id) -> bool {
      if (!seen.insert(id).second) return true;
      const ExprNode& n = pool.node(id);
      if (n.kind == ExprKind::constant) return true;
      if (n.kind == ExprKind::read) {
        const ValueId v = s.src[n.input];
        reads_product = reads_product || v == product;
        const bool whole = v != product || n.args.size() == rank;
        return whole && is_own_place(pool, n, v, rank);
      }
      if (n.kind != ExprKind::primitive && n.kind != ExprKind::cast) return false;
      return std::all_of(n.args.begin(), n.args.end(), [&](ExprId a) { return self(self, a); });
    };
    return visit(visit, score) && reads_product;
  }

  bool is_own_place(const ir::ExprPool& pool, const ExprNode& read, ValueId v,
                    uint32_t rank) const {
    const Value& value = d_.values[v];
    if ((value.dtype != DType::f32 && value.dtype != DType::boolean) || read.args.empty() ||
        read.args.size() > rank)
      return false;
    const auto skip = static_cast<uint32_t>(rank - read.args.size());
    for (uint32_t axis = 0; axis < read.args.size(); ++axis) {
      const ExprNode& i = pool.node(read.args[axis]);
      const bool own =
          i.kind == ExprKind::variable && i.var == ir::Var{ir::Var::Kind::output, axis + skip};
      if (!own && !(i.kind == ExprKind::constant && i.bits == 0 && value.shape[axis] == 1))
        return false;
    }
    return true;
  }

  // An operand [..., queries, keys] as [..., keys, queries], made once for all attentions: now, if
  // it is a constant, else by a step.
  ValueId transposed(ValueId from, std::vector<Step>& steps) {
    const auto known = transposed_.find(from);
    if (known != transposed_.end()) return known->second;
    const Value source = d_.values[from];
    Shape to = source.shape;
    if (to.size() == 1) to.insert(to.begin(), 1);
    std::swap(to[to.size() - 1], to[to.size() - 2]);
    const ValueId result = d_.add_value(source.dtype, to);
    transposed_[from] = result;
    if (source.constant) d_.values[result].constant = transposed_constant(*source.constant, to);
    else steps.push_back(transposition(source, from, result));
    return result;
  }

  static Tensor transposed_constant(const Tensor& from, const Shape& to) {
    const int64_t rows = to.back(), columns = to[to.size() - 2];  // of the source
    Tensor result(from.type(), to);
    const size_t width = size_of(from.type());
    const std::byte* source = from.data();
    std::byte* target = result.mutable_data();
    for (int64_t first = 0; first < from.size(); first += rows * columns)
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c, source += width)
          std::memcpy(target + static_cast<size_t>(first + c * rows + r) * width, source, width);
    return result;
  }

  static Step transposition(const Value& source, ValueId from, ValueId result) {
    Shape to = source.shape;
    if (to.size() == 1) to.insert(to.begin(), 1);
    std::swap(to[to.size() - 1], to[to.size() - 2]);
    Step step;
    step.names = {"transpose"};
    step.nodes = {""};
    step.src = {from};
    step.dst = {result};
    ir::Meaning& m = step.meaning;
    m.pool = std::make_unique<ir::ExprPool>();
    m.inputs = {{source.dtype, ir::Dims(source.shape.begin(), source.shape.end())}};
    Copier copier(*m.pool, to);
    std::vector<Expr> at = copier.outputs();
    std::swap(at[at.size() - 1], at[at.size() - 2]);
    if (source.shape.size() == 1) at.erase(at.begin());
    m.outputs = {{ir::Dims(to.begin(), to.end()), m.pool->read(0, source.dtype, at)}};
    return step;
  }

  Draft& d_;
  std::vector<std::vector<size_t>> consumers_;
  std::map<ValueId, size_t> producer_;
  std::set<ValueId> gone_;
  std::map<ValueId, ValueId> transposed_;
};

}  // namespace

void fuse_attention(Draft& draft, const Refusals& refusals) {
  if (!refusals.operators.contains("attention")) AttentionFusion(draft).run();
}

}  // namespace tessera::plan
