// SPDX-License-Identifier: Apache-2.0
// Affine forms, intervals and bounds proofs of index expressions.
#include "ops/index_analysis.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::ops {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

int64_t saturate(__int128 v) {
  if (v > Interval::far) return Interval::far;
  if (v < -Interval::far) return -Interval::far;
  return static_cast<int64_t>(v);
}

Interval sum(Interval a, Interval b) {
  return {a.low <= -Interval::far || b.low <= -Interval::far
              ? -Interval::far
              : saturate(static_cast<__int128>(a.low) + b.low),
          a.high >= Interval::far || b.high >= Interval::far
              ? Interval::far
              : saturate(static_cast<__int128>(a.high) + b.high)};
}

Interval product(Interval a, Interval b) {
  const __int128 corners[] = {
      static_cast<__int128>(a.low) * b.low, static_cast<__int128>(a.low) * b.high,
      static_cast<__int128>(a.high) * b.low, static_cast<__int128>(a.high) * b.high};
  return {saturate(*std::min_element(std::begin(corners), std::end(corners))),
          saturate(*std::max_element(std::begin(corners), std::end(corners)))};
}

Interval range_of(DType type) {
  if (type == DType::boolean) return {0, 1};
  if (is_float(type) || type == DType::u64 || type == DType::i64)
    return {-Interval::far, Interval::far};
  return {min_integer(type), max_integer(type)};
}

}  // namespace

Affine operator+(const Affine& a, const Affine& b) {
  Affine result;
  result.constant =
      static_cast<int64_t>(static_cast<uint64_t>(a.constant) + static_cast<uint64_t>(b.constant));
  auto x = a.terms.begin(), y = b.terms.begin();
  while (x != a.terms.end() || y != b.terms.end()) {
    if (y == b.terms.end() || (x != a.terms.end() && x->first < y->first)) {
      result.terms.push_back(*x++);
    } else if (x == a.terms.end() || y->first < x->first) {
      result.terms.push_back(*y++);
    } else {
      if (x->second + y->second != 0) result.terms.emplace_back(x->first, x->second + y->second);
      ++x, ++y;
    }
  }
  return result;
}

Affine operator*(const Affine& a, int64_t factor) {
  if (factor == 0) return {};
  Affine result = a;
  result.constant =
      static_cast<int64_t>(static_cast<uint64_t>(a.constant) * static_cast<uint64_t>(factor));
  for (auto& term : result.terms) term.second *= factor;
  return result;
}

IndexAnalysis::IndexAnalysis(const ir::ExprPool& pool, std::vector<ExprId> roots,
                             std::span<const int64_t> output_shape)
    : pool_(pool),
      roots_(std::move(roots)),
      output_shape_(output_shape.begin(), output_shape.end()) {
  // The pool may hold more than the roots need.
  const ExprId last = *std::max_element(roots_.begin(), roots_.end());
  reads_.resize(last + 1);
  used_.resize(last + 1);
  for (ExprId root : roots_) used_[root] = true;
  for (ExprId id = 0; id <= last; ++id) {
    const ExprNode& n = pool.node(id);
    reads_[id] = n.kind == ExprKind::read;
    for (ExprId a : n.args) reads_[id] = reads_[id] || reads_[a];
  }
  // Outer reductions come after inner ones, but an extent may use an outer variable: downwards.
  for (ExprId id = last + 1; id-- > 0;) {
    const ExprNode& n = pool.node(id);
    if (!used_[id]) continue;
    for (ExprId a : n.args) used_[a] = true;
    if (n.kind == ExprKind::primitive && n.prim == Prim::floor_div)
      quotients_.emplace(std::pair(n.args[0], n.args[1]), id);
    if (n.kind != ExprKind::reduce) continue;
    interval_.clear();
    affine_.clear();
    int64_t& extent = bound_extent_[n.var.number];
    extent = std::max(extent, interval(n.args[0]).high);
  }
  interval_.clear();
  affine_.clear();
}

const Affine& IndexAnalysis::affine(ExprId id) {
  const auto at = affine_.find(id);
  if (at != affine_.end()) return at->second;
  Affine made = make_affine(id);
  return affine_.emplace(id, std::move(made)).first->second;
}

Affine IndexAnalysis::make_affine(ExprId id) {
  const ExprNode& n = pool_.node(id);
  const Affine atom{0, {{id, 1}}};
  TESSERA_CHECK(n.type == DType::i64, "affine form of a node of type {}", to_string(n.type));
  if (n.kind == ExprKind::constant) return {n.bits, {}};
  if (n.kind == ExprKind::size) {
    const auto value = pool_.sizes()[n.size].constant();
    TESSERA_USER_CHECK(value.has_value(), "the size {} is unbound",
                       pool_.sizes()[n.size].to_string());
    return {*value, {}};
  }
  if (n.kind == ExprKind::variable) {
    const Interval range = make_interval(id);
    return range.low == range.high ? Affine{range.low, {}} : atom;
  }
  if (n.kind != ExprKind::primitive) return atom;
  switch (n.prim) {
    case Prim::add: return affine(n.args[0]) + affine(n.args[1]);
    case Prim::sub: return affine(n.args[0]) + affine(n.args[1]) * -1;
    case Prim::neg: return affine(n.args[0]) * -1;
    case Prim::mul:
      if (affine(n.args[1]).terms.empty()) return affine(n.args[0]) * affine(n.args[1]).constant;
      if (affine(n.args[0]).terms.empty()) return affine(n.args[1]) * affine(n.args[0]).constant;
      return atom;
    case Prim::floor_div:
    case Prim::mod: return divided(id, n);
    case Prim::min:
    case Prim::max: {
      const Interval difference = interval(affine(n.args[0]) + affine(n.args[1]) * -1);
      const bool is_min = n.prim == Prim::min;
      if (difference.high <= 0) return affine(n.args[is_min ? 0 : 1]);
      if (difference.low >= 0) return affine(n.args[is_min ? 1 : 0]);
      return atom;
    }
    default: return atom;
  }
}

// ⌊(c·q + r) / c⌋ = q + ⌊r / c⌋, and the remainder is r mod c; both are affine when ⌊r / c⌋ is one
// number for every r that can occur.
Affine IndexAnalysis::divided(ExprId id, const ExprNode& n) {
  const Affine atom{0, {{id, 1}}};
  if (!affine(n.args[1]).terms.empty()) return atom;
  const int64_t c = affine(n.args[1]).constant;
  if (c <= 0) return atom;
  const Affine& value = affine(n.args[0]);
  Affine quotient, rest{sym::modulo(value.constant, c), {}};
  quotient.constant = sym::floor_div(value.constant, c);
  for (const auto& [term, coefficient] : value.terms) {
    if (coefficient % c == 0) quotient.terms.emplace_back(term, coefficient / c);
    else rest.terms.emplace_back(term, coefficient);
  }
  const Interval range = interval(rest);
  if (!range.bounded()) return atom;
  const int64_t low = sym::floor_div(range.low, c);
  if (low != sym::floor_div(range.high, c)) return atom;
  if (n.prim == Prim::floor_div) return quotient + Affine{low, {}};
  return rest + Affine{-low * c, {}};
}

Affine IndexAnalysis::joined(Affine sum) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [term, coefficient] : sum.terms) {
      const ExprNode& n = pool_.node(term);
      if (n.kind != ExprKind::primitive || n.prim != Prim::mod) continue;
      const auto at = quotients_.find({n.args[0], n.args[1]});
      const Affine& divisor = affine(n.args[1]);
      if (at == quotients_.end() || !divisor.terms.empty() || divisor.constant <= 0) continue;
      const Affine quotient{0, {{at->second, coefficient * divisor.constant}}};
      const bool has_quotient = std::any_of(sum.terms.begin(), sum.terms.end(),
                                            [&](const auto& t) { return t == quotient.terms[0]; });
      if (!has_quotient) continue;
      const Affine remainder{0, {{term, coefficient}}};
      sum = sum + quotient * -1 + remainder * -1 + affine(n.args[0]) * coefficient;
      changed = true;
      break;
    }
  }
  return sum;
}

Affine IndexAnalysis::offset(const ExprNode& read, const Shape& shape) {
  Affine sum;
  for (size_t axis = 0; axis < read.args.size(); ++axis)
    sum = sum * shape[axis] + affine(read.args[axis]);
  return joined(std::move(sum));
}

Interval IndexAnalysis::interval(const Affine& affine) {
  Interval total{saturate(affine.constant), saturate(affine.constant)};
  for (const auto& [term, coefficient] : affine.terms)
    total = sum(total, product(make_interval(term), {coefficient, coefficient}));
  return total;
}

Interval IndexAnalysis::interval(ExprId id) {
  const auto at = interval_.find(id);
  if (at != interval_.end()) return at->second;
  const Interval made =
      pool_.node(id).type == DType::i64 ? interval(affine(id)) : make_interval(id);
  interval_.emplace(id, made);
  return made;
}

// Of an atom; of sums the affine form knows more.
Interval IndexAnalysis::make_interval(ExprId id) {
  const ExprNode& n = pool_.node(id);
  const Interval all = range_of(n.type);
  switch (n.kind) {
    case ExprKind::constant:
      return is_float(n.type) ? all : Interval{saturate(n.bits), saturate(n.bits)};
    case ExprKind::variable: {
      if (n.var.kind == ir::Var::Kind::output)
        return {0, std::max<int64_t>(0, output_shape_[n.var.number] - 1)};
      const auto at = bound_extent_.find(n.var.number);
      return {0, at == bound_extent_.end() ? Interval::far : std::max<int64_t>(0, at->second - 1)};
    }
    case ExprKind::cast: {
      const DType from = pool_.node(n.args[0]).type;
      if (is_float(from)) return all;
      const Interval source = interval(n.args[0]);
      return source.bounded() && source.within(all.low, all.high) ? source : all;
    }
    case ExprKind::primitive: break;
    case ExprKind::size:
    case ExprKind::read:
    case ExprKind::reduce: return all;
  }
  if (is_float(n.type)) return all;
  if (n.prim == Prim::select || n.prim == Prim::min || n.prim == Prim::max) {
    const size_t first = n.prim == Prim::select ? 1 : 0;
    const Interval a = interval(n.args[first]), b = interval(n.args[first + 1]);
    if (n.prim == Prim::min) return {std::min(a.low, b.low), std::min(a.high, b.high)};
    if (n.prim == Prim::max) return {std::max(a.low, b.low), std::max(a.high, b.high)};
    return {std::min(a.low, b.low), std::max(a.high, b.high)};
  }
  if (n.type != DType::i64) return all;
  if (n.prim == Prim::mul) {
    const Interval a = interval(n.args[0]), b = interval(n.args[1]);
    return a.bounded() && b.bounded() ? product(a, b) : all;
  }
  if (n.prim == Prim::floor_div || n.prim == Prim::mod) {
    const Interval a = interval(n.args[0]), b = interval(n.args[1]);
    if (b.low != b.high || b.low <= 0) return all;
    if (n.prim == Prim::mod) return a.within(0, b.low - 1) ? a : Interval{0, b.low - 1};
    return a.bounded() ? Interval{sym::floor_div(a.low, b.low), sym::floor_div(a.high, b.low)}
                       : all;
  }
  return all;
}

void IndexAnalysis::add_facts(ExprId condition, bool holds, Facts& facts) {
  const ExprNode& n = pool_.node(condition);
  if (n.kind != ExprKind::primitive) return;
  if (n.prim == Prim::logical_not) return add_facts(n.args[0], !holds, facts);
  if (n.prim == Prim::logical_and || n.prim == Prim::logical_or) {
    if (holds != (n.prim == Prim::logical_and)) return;
    add_facts(n.args[0], holds, facts);
    add_facts(n.args[1], holds, facts);
    return;
  }
  if (!gives_boolean(n.prim) || pool_.node(n.args[0]).type != DType::i64) return;
  const Affine a = affine(n.args[0]), b = affine(n.args[1]);
  const Affine difference = b + a * -1, minus_one{-1, {}};
  if (n.prim == Prim::lt) facts.push_back(holds ? difference + minus_one : difference * -1);
  if (n.prim == Prim::le) facts.push_back(holds ? difference : difference * -1 + minus_one);
  if ((n.prim == Prim::eq && holds) || (n.prim == Prim::ne && !holds)) {
    facts.push_back(difference);
    facts.push_back(difference * -1);
  }
}

bool IndexAnalysis::not_negative(const Affine& value, const Facts& facts) {
  if (interval(value).low >= 0) return true;
  if (std::any_of(facts.begin(), facts.end(),
                  [&](const Affine& fact) { return interval(value + fact * -1).low >= 0; }))
    return true;
  // A flat offset is a sum of positions along axes, of which each has a fact of its own.
  constexpr size_t most_facts = 24;
  constexpr int most_axes = 4;
  return facts.size() <= most_facts && is_combination(value, facts, 0, most_axes);
}

// Whether the value is a sum of something not negative and of facts, each taken a positive number
// of times, so that one of its terms vanishes. Facts that may wrap around do not scale.
bool IndexAnalysis::is_combination(const Affine& value, const Facts& facts, size_t first,
                                   int depth) {
  if (interval(value).low >= 0) return true;
  if (depth == 0) return false;
  for (size_t k = first; k < facts.size(); ++k) {
    if (!interval(facts[k]).bounded()) continue;
    for (const auto& [term, coefficient] : facts[k].terms)
      for (const auto& [other, wanted] : value.terms) {
        if (other != term || wanted % coefficient != 0) continue;
        const int64_t times = wanted / coefficient;
        if (times < 1 || times > INT32_MAX) continue;
        if (is_combination(value + facts[k] * -times, facts, k + 1, depth - 1)) return true;
      }
  }
  return false;
}

void IndexAnalysis::visit(ExprId id, const Facts& facts, int context,
                          std::span<const Shape> inputs) {
  if (!reads_[id] || !visited_.emplace(id, context).second) return;
  const ExprNode& n = pool_.node(id);
  const auto visit_with = [&](ExprId condition, bool holds, ExprId branch) {
    if (!reads_[branch]) return;
    Facts more = facts;
    add_facts(condition, holds, more);
    const int inner = more.size() == facts.size() ? context : ++contexts_;
    visit(branch, more, inner, inputs);
  };
  const bool is_primitive = n.kind == ExprKind::primitive;
  if (is_primitive && n.prim == Prim::select) {
    visit(n.args[0], facts, context, inputs);
    visit_with(n.args[0], true, n.args[1]);
    visit_with(n.args[0], false, n.args[2]);
    return;
  }
  if (is_primitive && (n.prim == Prim::logical_and || n.prim == Prim::logical_or)) {
    visit(n.args[0], facts, context, inputs);
    visit_with(n.args[0], n.prim == Prim::logical_and, n.args[1]);
    return;
  }
  for (ExprId a : n.args) visit(a, facts, context, inputs);
  if (n.kind != ExprKind::read) return;
  for (size_t axis = 0; axis < n.args.size(); ++axis) {
    const Affine& index = affine(n.args[axis]);
    const Affine room = index * -1 + Affine{inputs[n.input][axis] - 1, {}};
    if (!not_negative(index, facts) || !not_negative(room, facts)) unproven_.insert(id);
  }
}

std::set<ExprId> IndexAnalysis::unproven_reads(std::span<const Shape> inputs) {
  visited_.clear();
  unproven_.clear();
  contexts_ = 0;
  for (ExprId root : roots_) visit(root, {}, 0, inputs);
  return unproven_;
}

}  // namespace tessera::ops
