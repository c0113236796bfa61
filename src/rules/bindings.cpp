// SPDX-License-Identifier: Apache-2.0
// Evaluation of terms: variables, lists, repetition; the functions are in term_functions.cpp.
#include "rules/bindings.h"

#include "rules/term_functions.h"

namespace tessera::rules {

bool Binding::operator==(const Binding& o) const {
  if (kind != o.kind) return false;
  switch (kind) {
    case Kind::unset: return true;
    case Kind::value: return value == o.value;
    case Kind::term: return term == o.term;
    case Kind::list: return list == o.list;
    case Kind::attrs: break;
  }
  return attrs.size() == o.attrs.size() &&
         std::equal(attrs.begin(), attrs.end(), o.attrs.begin(), [](const auto& a, const auto& b) {
           return a.first == b.first && ir::operator_equal(a.second, b.second);
         });
}

std::optional<TermValue> to_term_value(const ir::AttrValue& value) {
  switch (ir::kind_of(value)) {
    case ir::AttrKind::integer: return sym::Expr(std::get<int64_t>(value));
    case ir::AttrKind::real: return std::get<double>(value);
    case ir::AttrKind::string: return std::get<std::string>(value);
    case ir::AttrKind::integers: {
      const auto& v = std::get<std::vector<int64_t>>(value);
      return std::vector<sym::Expr>(v.begin(), v.end());
    }
    case ir::AttrKind::reals: return std::get<std::vector<double>>(value);
    case ir::AttrKind::dtype: return std::get<DType>(value);
    case ir::AttrKind::dims: return std::get<ir::Dims>(value);
    case ir::AttrKind::strings:
    case ir::AttrKind::tensor: break;
  }
  return std::nullopt;
}

std::optional<ir::AttrValue> to_attribute(const TermValue& value, ir::AttrKind kind) {
  const auto* size = std::get_if<sym::Expr>(&value);
  const auto* sizes = std::get_if<std::vector<sym::Expr>>(&value);
  switch (kind) {
    case ir::AttrKind::integer:
      if (const auto* flag = std::get_if<bool>(&value)) return ir::AttrValue{int64_t{*flag}};
      if (size && size->constant()) return ir::AttrValue{*size->constant()};
      if (size) return ir::AttrValue{ir::Dims{*size}};  // records that count by it accept it
      break;
    case ir::AttrKind::real:
      if (const auto* real = std::get_if<double>(&value)) return ir::AttrValue{*real};
      if (size && size->constant()) return ir::AttrValue{static_cast<double>(*size->constant())};
      break;
    case ir::AttrKind::integers:
      if (!sizes) break;
      if (auto constants = sym::constants(*sizes)) return ir::AttrValue{std::move(*constants)};
      return ir::AttrValue{*sizes};  // records that read sizes accept them
    case ir::AttrKind::dims:
      if (sizes) return ir::AttrValue{*sizes};
      break;
    case ir::AttrKind::string:
      if (const auto* s = std::get_if<std::string>(&value)) return ir::AttrValue{*s};
      break;
    case ir::AttrKind::dtype:
      if (const auto* t = std::get_if<DType>(&value)) return ir::AttrValue{*t};
      break;
    case ir::AttrKind::reals:
      if (const auto* v = std::get_if<std::vector<double>>(&value)) return ir::AttrValue{*v};
      break;
    case ir::AttrKind::strings:
    case ir::AttrKind::tensor: break;
  }
  return std::nullopt;
}

namespace {

int list_length(int slot, const TermContext& c) {
  if (slot < 0 || !c.rule.is_list[slot]) return -1;
  const Binding& b = c.bindings[slot];
  return b.kind == Binding::Kind::list ? static_cast<int>(b.list.size()) : -1;
}

std::optional<TermValue> value_of(int slot, const TermContext& c) {
  const Binding* b = &c.bindings[slot];
  if (b->kind == Binding::Kind::list) {
    if (c.repetition < 0 || c.repetition >= static_cast<int>(b->list.size())) return std::nullopt;
    b = &b->list[c.repetition];
  }
  if (b->kind == Binding::Kind::value) return b->value;
  if (b->kind == Binding::Kind::term) return b->term;
  return std::nullopt;
}

// (map t): the list of t's values; (all t): whether t holds for every repetition.
std::optional<TermValue> repeat(const Term& term, const TermContext& c) {
  const int count = repetitions(term.args.at(0), c);
  if (count < 0) return std::nullopt;
  std::vector<sym::Expr> sizes;
  for (int k = 0; k < count; ++k) {
    const auto v = evaluate(term.args[0], {c.graph, c.rule, c.bindings, k});
    if (term.name == "all") {
      if (!v || !std::holds_alternative<bool>(*v)) return std::nullopt;
      if (!std::get<bool>(*v)) return false;
    } else {
      if (!v || !std::holds_alternative<sym::Expr>(*v)) return std::nullopt;
      sizes.push_back(std::get<sym::Expr>(*v));
    }
  }
  if (term.name == "all") return true;
  return sizes;
}

}  // namespace

int repetitions(const Term& term, const TermContext& c) {
  if (term.kind == Term::Kind::variable) return list_length(term.slot, c);
  int count = -1;
  for (const Term& a : term.args) count = std::max(count, repetitions(a, c));
  return count;
}

int repetitions(const Pattern& p, const TermContext& c) {
  int count = std::max(list_length(p.slot, c), list_length(p.rest, c));
  if (p.kind == Pattern::Kind::scalar) count = std::max(count, repetitions(p.term, c));
  for (const AttrPattern& a : p.attrs) count = std::max(count, repetitions(a.term, c));
  for (const Pattern& a : p.args) count = std::max(count, repetitions(a, c));
  return count;
}

std::optional<TermValue> evaluate(const Term& term, const TermContext& c) {
  switch (term.kind) {
    case Term::Kind::integer: return sym::Expr(term.integer);
    case Term::Kind::real: return term.real;
    case Term::Kind::variable: return value_of(term.slot, c);
    case Term::Kind::symbol:
      if (term.name == "true" || term.name == "false") return term.name == "true";
      if (const auto type = dtype_from_string(term.name)) return *type;
      return term.name;
    case Term::Kind::call: break;
  }
  if (term.name == "map" || term.name == "all") return repeat(term, c);
  if (term.name == "and" || term.name == "or") {
    for (const Term& a : term.args)
      if (holds(a, c) != (term.name == "and")) return term.name == "or";
    return term.name == "and";
  }
  std::vector<TermValue> args;
  for (const Term& a : term.args) {
    auto v = evaluate(a, c);
    if (!v) return std::nullopt;
    args.push_back(std::move(*v));
  }
  return call_function(term.name, args, c.graph);
}

bool holds(const Term& condition, const TermContext& c) {
  const auto v = evaluate(condition, c);
  return v && std::holds_alternative<bool>(*v) && std::get<bool>(*v);
}

std::optional<double> uniform_value(const WorkGraph& graph, ir::Value v) {
  // Repeating an element changes nothing, also where sizes are symbolic.
  while (v.present() && graph.def(v.node).name == "expand") v = graph.inputs(v.node)[0];
  const Tensor* t = graph.tensor(v);
  if (!t || t->size() == 0) return std::nullopt;
  const auto at = [&](int64_t i) {
    return is_float(t->type()) ? t->float_at(i) : static_cast<double>(t->integer_at(i));
  };
  const double first = at(0);
  for (int64_t i = 1; i < t->size(); ++i)
    if (!(at(i) == first)) return std::nullopt;
  return first;
}

}  // namespace tessera::rules
