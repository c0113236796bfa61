// SPDX-License-Identifier: Apache-2.0
// Lowers a meaning to a Kernel: the expression of every element is expanded at its concrete indices
// into a polynomial of degree two at most over reads, constants and temporaries.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "synth/kernel.h"

namespace tessera::synth {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using ir::Scalar;

class Lowering {
 public:
  Lowering(const ir::Meaning& meaning, size_t k, Kernel& kernel)
      : meaning_(meaning),
        pool_(*meaning.pool),
        body_(meaning.outputs[k].body.id),
        kernel_(kernel) {
    for (const ir::ValueType& type : meaning.inputs)
      shapes_.push_back(type.opaque ? Shape{} : type.concrete_shape());
    shape_ = meaning.output_type(k).concrete_shape();
  }
  void run();

 private:
  using Ref = Kernel::Ref;
  struct Term {
    Number coefficient;
    std::vector<Ref> factors;  // two at most
  };
  /// An index (or a condition on indices), or a polynomial, or ±∞ where a maximum starts.
  struct Item {
    bool is_index = false;
    int64_t index = 0;
    std::vector<Term> terms;
    int infinite = 0;
  };

  static Item of_index(int64_t i) { return {true, i, {}, 0}; }
  static Item of_terms(std::vector<Term> terms) { return {false, 0, std::move(terms), 0}; }
  static Item of_number(Number n) {
    return n.residue == 0 ? of_terms({}) : of_terms({Term{n, {}}});
  }
  [[noreturn]] static void refuse(const char* what) {
    fail_user(ErrorKind::unsupported, "the fingerprint does not cover {}", what);
  }

  Item eval(ExprId id);
  Item read(const ExprNode& n);
  Item convert(const ExprNode& n);
  Item primitive(const ExprNode& n);
  Item select(const ExprNode& n);
  Item reduce(const ExprNode& n);
  Item combine(Prim prim, DType type, Item a, Item b);
  Item multiply(const Item& a, const Item& b);
  Item extremum(Prim prim, Item a, Item b);
  Item instruction(Prim prim, Ref a, Ref b);

  int64_t index_of(ExprId id) {
    const Item item = eval(id);
    if (!item.is_index) refuse("indices that depend on data");
    return item.index;
  }
  Item as_polynomial(Item item) const {
    if (item.infinite != 0) refuse("arithmetic with infinities");
    return item.is_index ? of_number(number_of(item.index)) : std::move(item);
  }
  Ref constant(Number n);
  Ref emit(const Kernel::Instruction& instruction);
  Ref materialize(const Item& item);
  Kernel::Product product_of(const Term& term);
  void append_weights();
  void finish(const std::vector<Item>& elements);

  const ir::Meaning& meaning_;
  const ir::ExprPool& pool_;
  ExprId body_;
  Kernel& kernel_;
  std::vector<Shape> shapes_;
  Shape shape_;
  std::vector<int64_t> output_;
  std::unordered_map<uint32_t, int64_t> bound_;
  std::map<std::tuple<Prim, Ref, Ref>, Ref> known_;
};

Lowering::Item Lowering::eval(ExprId id) {
  const ExprNode& n = pool_.node(id);
  switch (n.kind) {
    case ExprKind::constant: {
      if (!is_float(n.type)) return of_index(n.bits);
      const double value = ir::real_value(n);
      if (std::isnan(value)) refuse("NaN");
      if (std::isinf(value)) return {false, 0, {}, value > 0 ? 1 : -1};
      return of_number(number_of(value));
    }
    case ExprKind::size: {
      const auto value = pool_.sizes()[n.size].constant();
      TESSERA_CHECK(value.has_value(), "unbound size");
      return of_index(*value);
    }
    case ExprKind::variable:
      return of_index(n.var.kind == ir::Var::Kind::output ? output_[n.var.number]
                                                          : bound_.at(n.var.number));
    case ExprKind::read: return read(n);
    case ExprKind::cast: return convert(n);
    case ExprKind::primitive: return primitive(n);
    case ExprKind::reduce: return reduce(n);
  }
  return {};
}

Lowering::Item Lowering::read(const ExprNode& n) {
  int64_t offset = 0;
  for (size_t axis = 0; axis < n.args.size(); ++axis) {
    const int64_t i = index_of(n.args[axis]), extent = shapes_[n.input][axis];
    TESSERA_CHECK(i >= 0 && i < extent, "read of input {} at {} outside axis {} of extent {}",
                  n.input, i, axis, extent);
    offset = offset * extent + i;
  }
  if (n.input >= Kernel::max_inputs) refuse("operators of so many inputs");
  return of_terms(
      {Term{number_of(int64_t{1}), {Kernel::ref(n.input, static_cast<size_t>(offset))}}});
}

Lowering::Item Lowering::convert(const ExprNode& n) {
  const DType from = pool_.node(n.args[0]).type;
  Item item = eval(n.args[0]);
  if (item.is_index) {
    const Scalar value = ir::convert(Scalar::of_integer(item.index), from, n.type);
    return is_float(n.type) ? of_number(number_of(value.real)) : of_index(value.integer);
  }
  if (is_float(n.type) && (is_float(from) || from == DType::boolean)) return item;
  if (n.type == DType::boolean) return instruction(Prim::ne, materialize(item), constant(Number{}));
  refuse("casts of values to integers");
}

Lowering::Item Lowering::select(const ExprNode& n) {
  Item condition = eval(n.args[0]);
  if (condition.is_index) return eval(n.args[condition.index ? 1 : 2]);
  const Item c = as_polynomial(condition);
  const Item a = as_polynomial(eval(n.args[1])), b = as_polynomial(eval(n.args[2]));
  const Item inverse = combine(Prim::sub, n.type, of_number(number_of(int64_t{1})), c);
  return combine(Prim::add, n.type, multiply(c, a), multiply(inverse, b));
}

Lowering::Item Lowering::primitive(const ExprNode& n) {
  if (n.prim == Prim::select) return select(n);
  Item a = eval(n.args[0]);
  if (n.prim == Prim::logical_and && a.is_index) return a.index ? eval(n.args[1]) : a;
  if (n.prim == Prim::logical_or && a.is_index) return a.index ? a : eval(n.args[1]);
  Item b = n.args.size() > 1 ? eval(n.args[1]) : of_index(0);
  return combine(n.prim, pool_.node(n.args[0]).type, std::move(a), std::move(b));
}

Lowering::Item Lowering::combine(Prim prim, DType type, Item a, Item b) {
  const bool single = ir::arity(prim) == 1;
  if (a.is_index && (single || b.is_index) && !is_float(type)) {
    const Scalar r =
        ir::apply(prim, type, Scalar::of_integer(a.index), Scalar::of_integer(b.index));
    return of_index(r.integer);
  }
  if (!is_float(type) && type != DType::boolean) refuse("arithmetic on integers");
  if (prim == Prim::max || prim == Prim::min) return extremum(prim, std::move(a), std::move(b));
  a = as_polynomial(std::move(a));
  if (!single) b = as_polynomial(std::move(b));
  const Number minus_one = number_of(int64_t{-1});
  switch (prim) {
    case Prim::add: a.terms.insert(a.terms.end(), b.terms.begin(), b.terms.end()); return a;
    case Prim::sub:
      return combine(Prim::add, type, std::move(a), multiply(of_number(minus_one), b));
    case Prim::neg: return multiply(of_number(minus_one), a);
    case Prim::mul: return multiply(a, b);
    case Prim::div:
      if (b.terms.size() == 1 && b.terms[0].factors.empty())
        return multiply(a, of_number(apply_number(Prim::div, number_of(int64_t{1}),
                                                  b.terms[0].coefficient, 0)));
      break;
    default: break;
  }
  if (!has_number_form(prim)) refuse("operations on bits");
  return instruction(prim, materialize(a), single ? constant(Number{}) : materialize(b));
}

Lowering::Item Lowering::extremum(Prim prim, Item a, Item b) {
  const int neutral = prim == Prim::max ? -1 : 1;
  if (a.infinite == neutral) return b;
  if (b.infinite == neutral) return a;
  a = as_polynomial(std::move(a));
  b = as_polynomial(std::move(b));
  return instruction(prim, materialize(a), materialize(b));
}

// Stays a polynomial when one side is a constant or both are single terms.
Lowering::Item Lowering::multiply(const Item& a, const Item& b) {
  const auto degree = [](const Item& item) {
    size_t most = 0;
    for (const Term& t : item.terms) most = std::max(most, t.factors.size());
    return most;
  };
  if (a.terms.empty() || b.terms.empty()) return of_terms({});
  const bool scaled = degree(a) == 0 || degree(b) == 0;
  const bool single = a.terms.size() == 1 && b.terms.size() == 1 && degree(a) + degree(b) <= 2;
  if (!scaled && !single) {
    const Term t{number_of(int64_t{1}), {materialize(a), materialize(b)}};
    return of_terms({t});
  }
  std::vector<Term> terms;
  for (const Term& s : a.terms)
    for (const Term& t : b.terms) {
      Term p{apply_number(Prim::mul, s.coefficient, t.coefficient, 0), s.factors};
      p.factors.insert(p.factors.end(), t.factors.begin(), t.factors.end());
      terms.push_back(std::move(p));
    }
  return of_terms(std::move(terms));
}

Lowering::Item Lowering::reduce(const ExprNode& n) {
  const int64_t extent = index_of(n.args[0]);
  const Prim prim = ir::combiner(n.reduction);
  const Scalar start = ir::identity(n.reduction, n.type);
  Item total = !is_float(n.type)        ? of_index(start.integer)
               : std::isinf(start.real) ? Item{false, 0, {}, start.real > 0 ? 1 : -1}
                                        : of_number(number_of(start.real));
  for (int64_t i = 0; i < extent; ++i) {
    bound_[n.var.number] = i;
    total = combine(prim, n.type, std::move(total), eval(n.args[1]));
  }
  return total;
}

Kernel::Ref Lowering::constant(Number n) {
  auto& all = kernel_.constants_;
  for (size_t k = 0; k < all.size(); ++k)
    if (all[k].residue == n.residue) return Kernel::ref(Kernel::constant_space, k);
  all.push_back(n);
  return Kernel::ref(Kernel::constant_space, all.size() - 1);
}

Kernel::Ref Lowering::emit(const Kernel::Instruction& instruction) {
  kernel_.program_.push_back(instruction);
  return Kernel::ref(Kernel::temporary_space, kernel_.program_.size() - 1);
}

Lowering::Item Lowering::instruction(Prim prim, Ref a, Ref b) {
  const auto [it, added] = known_.try_emplace({prim, a, b}, 0);
  if (added) it->second = emit({false, prim, a, b});
  return of_terms({Term{number_of(int64_t{1}), {it->second}}});
}

Kernel::Product Lowering::product_of(const Term& term) {
  const Ref factor = constant(term.coefficient);
  if (term.factors.empty()) return {factor, constant(number_of(int64_t{1}))};
  if (term.factors.size() == 1) return {term.factors[0], factor};
  if (term.coefficient.residue == 1) return {term.factors[0], term.factors[1]};
  const Item scaled = instruction(Prim::mul, term.factors[0], factor);
  return {scaled.terms[0].factors[0], term.factors[1]};
}

Kernel::Ref Lowering::materialize(const Item& item) {
  const Item p = as_polynomial(item);
  if (p.terms.empty()) return constant(Number{});
  if (p.terms.size() == 1) {
    const Term& t = p.terms[0];
    if (t.factors.empty()) return constant(t.coefficient);
    if (t.factors.size() == 1 && t.coefficient.residue == 1) return t.factors[0];
  }
  std::vector<Kernel::Product> products;
  for (const Term& t : p.terms) products.push_back(product_of(t));
  const auto first = static_cast<Ref>(kernel_.inner_.size());
  kernel_.inner_.insert(kernel_.inner_.end(), products.begin(), products.end());
  return emit({true, Prim::add, first, static_cast<Ref>(kernel_.inner_.size())});
}

void Lowering::run() {
  int64_t size = 1;
  for (int64_t extent : shape_) size *= extent;
  kernel_.size_ = size;
  output_.assign(shape_.size(), 0);
  std::vector<Item> elements;
  for (int64_t i = 0; i < size; ++i) {
    elements.push_back(as_polynomial(eval(body_)));
    for (size_t axis = shape_.size(); axis-- > 0;) {
      if (++output_[axis] < shape_[axis]) break;
      output_[axis] = 0;
    }
  }
  finish(elements);
}

void Lowering::finish(const std::vector<Item>& elements) {
  bool moves = true, sums = true;
  for (const Item& e : elements) {
    moves = moves && e.terms.size() <= 1;
    for (const Term& t : e.terms)
      sums = sums && (t.factors.empty() || (t.factors.size() == 1 && t.coefficient.residue == 1));
  }
  for (const Item& e : elements) {
    kernel_.begins_.push_back(static_cast<uint32_t>(kernel_.products_.size()));
    for (const Term& t : e.terms) kernel_.products_.push_back(product_of(t));
    if (moves && sums && e.terms.empty())
      kernel_.products_.push_back({constant(Number{}), constant(number_of(int64_t{1}))});
  }
  kernel_.begins_.push_back(static_cast<uint32_t>(kernel_.products_.size()));
  if (!kernel_.program_.empty()) kernel_.kind_ = Kernel::Kind::program;
  else if (sums) kernel_.kind_ = moves ? Kernel::Kind::move : Kernel::Kind::sum;
  else kernel_.kind_ = Kernel::Kind::products;
  if (sums && kernel_.program_.empty())
    for (const Kernel::Product& p : kernel_.products_) kernel_.moves_.push_back(p.a);
  for (const Number& n : kernel_.constants_) kernel_.residues_.push_back(n.residue);
  append_weights();
}

void Lowering::append_weights() {
  const auto space = [](Ref r) { return r >> 24; };
  const auto size = [&](Ref r) {
    if (space(r) != Kernel::constant_space) return 1.0;
    const Number n = kernel_.constants_[r & 0xffffff];
    return n.whole ? std::abs(static_cast<double>(field_to_integer(n.residue)))
                   : std::numeric_limits<double>::infinity();
  };
  std::map<std::pair<Ref, Ref>, double> most;
  for (size_t e = 0; e + 1 < kernel_.begins_.size(); ++e) {
    std::map<std::pair<Ref, Ref>, double> own;
    for (uint32_t k = kernel_.begins_[e]; k < kernel_.begins_[e + 1]; ++k) {
      const Kernel::Product& p = kernel_.products_[k];
      own[{space(p.a), space(p.b)}] += size(p.a) * size(p.b);
    }
    for (const auto& [pair, total] : own) most[pair] = std::max(most[pair], total);
  }
  for (const auto& [pair, total] : most)
    kernel_.weights_.push_back({pair.first, pair.second, total});
}

Kernel::Kernel(const ir::Meaning& meaning, size_t k) { Lowering(meaning, k, *this).run(); }

Kernel::Kernel(std::span<const Number> elements)
    : size_(static_cast<int64_t>(elements.size())), constants_(elements.begin(), elements.end()) {
  double largest = 0;
  for (size_t k = 0; k < elements.size(); ++k) {
    moves_.push_back(ref(constant_space, k));
    residues_.push_back(elements[k].residue);
    const double size = std::abs(static_cast<double>(field_to_integer(elements[k].residue)));
    largest = std::max(largest, elements[k].whole ? size : std::numeric_limits<double>::infinity());
  }
  weights_.push_back({constant_space, constant_space, largest});
}

}  // namespace tessera::synth
