// SPDX-License-Identifier: Apache-2.0
// The pool of terms.
#include "synth/term.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/check.h"
#include "base/rng.h"
#include "ops/registry.h"

namespace tessera::synth {
namespace {

template <typename List, typename F>
std::string list_text(const List& list, F&& element) {
  std::string text;
  for (const auto& e : list) text += (text.empty() ? "" : ", ") + element(e);
  return "{" + text + "}";
}

bool commutes(const ops::OpDef& def) {
  return std::find(def.traits.begin(), def.traits.end(), ops::Trait::commutative) !=
         def.traits.end();
}

// Nodes of a term: outputs of one application are one node.
void collect_nodes(const TermPool& pool, TermId id, std::set<TermId>& seen,
                   std::set<std::tuple<std::string, uint32_t, std::vector<TermId>>>& nodes) {
  const Term& t = pool.term(id);
  if (!t.def || !seen.insert(id).second) return;
  nodes.insert({t.def->name, t.attrs, t.args});
  for (TermId a : t.args) collect_nodes(pool, a, seen, nodes);
}

}  // namespace

int64_t element_count(const ir::ValueType& type) {
  int64_t size = 1;
  for (int64_t d : type.concrete_shape()) size *= d;
  return size;
}

TermId TermPool::add_variable(Variable v) {
  Term t;
  t.variable = static_cast<int>(variables_.size());
  t.type = v.type;
  v.term = static_cast<TermId>(terms_.size());
  terms_.push_back(std::move(t));
  variables_.push_back(std::move(v));
  return variables_.back().term;
}

uint32_t TermPool::intern_attrs(const ir::AttrMap& attrs) {
  const auto [it, added] =
      attr_index_.try_emplace(attributes_text(attrs), static_cast<uint32_t>(attr_sets_.size()));
  if (added) attr_sets_.push_back(attrs);
  return it->second;
}

std::optional<TermId> TermPool::apply(const ops::OpDef& def, const ir::AttrMap& attrs, int output,
                                      std::vector<TermId> args) {
  if (args.size() == 2 && commutes(def) && args[1] < args[0]) std::swap(args[0], args[1]);
  const uint32_t set = intern_attrs(attrs);
  Key key{def.name, set, output, args};
  if (const auto it = index_.find(key); it != index_.end()) return it->second;
  std::optional<TermId> result;
  try {
    ops::InputTypes types;
    for (TermId a : args) types.push_back(&terms_[a].type);
    const auto types_out = ops::infer(def, types, attrs);
    if (static_cast<size_t>(output) < types_out.size()) {
      Term t;
      t.def = &def;
      t.attrs = set;
      t.output = output;
      t.args = std::move(args);
      t.type = types_out[static_cast<size_t>(output)];
      result = static_cast<TermId>(terms_.size());
      terms_.push_back(std::move(t));
      std::set<TermId> seen;
      std::set<std::tuple<std::string, uint32_t, std::vector<TermId>>> nodes;
      collect_nodes(*this, *result, seen, nodes);
      terms_.back().operators = static_cast<int>(nodes.size());
    }
  } catch (const UserError&) {
    // Not legal: remembered as such.
  }
  index_.emplace(std::move(key), result);
  return result;
}

std::optional<TermId> TermPool::replace(TermId id, const std::map<TermId, TermId>& by) {
  if (const auto it = by.find(id); it != by.end()) return it->second;
  const Term t = terms_[id];
  if (!t.def) return id;
  std::vector<TermId> args;
  for (TermId a : t.args) {
    const auto arg = replace(a, by);
    if (!arg) return {};
    args.push_back(*arg);
  }
  if (args == t.args) return id;
  const ir::AttrMap attributes = attr_sets_[t.attrs];
  return apply(*t.def, attributes, t.output, std::move(args));
}

std::vector<TermId> TermPool::subterms(TermId id) const {
  std::vector<TermId> result;
  std::set<TermId> seen;
  const auto visit = [&](auto&& self, TermId t) -> void {
    if (!terms_[t].def || !seen.insert(t).second) return;
    for (TermId a : terms_[t].args) self(self, a);
    result.push_back(t);
  };
  visit(visit, id);
  return result;
}

std::vector<int> TermPool::variables_of(TermId id) const {
  std::vector<int> result;
  const auto visit = [&](auto&& self, TermId t) -> void {
    const int v = terms_[t].variable;
    if (v >= 0 && std::find(result.begin(), result.end(), v) == result.end()) result.push_back(v);
    for (TermId a : terms_[t].args) self(self, a);
  };
  visit(visit, id);
  return result;
}

std::string TermPool::text(TermId id) const {
  const Term& t = terms_[id];
  if (!t.def) return "?" + variables_[static_cast<size_t>(t.variable)].name;
  std::string result = "(" + t.def->name + attributes_text(attr_sets_[t.attrs]);
  for (TermId a : t.args) result += " " + text(a);
  return result + ")" + (t.output > 0 ? fmt::format(".{}", t.output) : "");
}

const Instance& TermPool::instance(const Term& t) {
  std::string key = fmt::format("{} {}", t.def->name, t.attrs);
  std::vector<ir::ValueType> types;
  for (TermId a : t.args) {
    types.push_back(terms_[a].type);
    key += " " + types.back().to_string();
  }
  auto& known = instances_[key];
  if (!known) known = std::make_unique<Instance>(*t.def, attr_sets_[t.attrs], types);
  return *known;
}

const TermPool::Evaluated& TermPool::evaluated(TermId id, uint64_t seed) {
  if (const auto it = values_.find({seed, id}); it != values_.end()) return it->second;
  const Term t = terms_[id];
  const int64_t size = element_count(t.type);
  Evaluated result;
  result.elements.resize(static_cast<size_t>(lanes * size));
  if (!t.def) {
    const Variable& v = variables_[static_cast<size_t>(t.variable)];
    Rng rng(mix_bits(seed) ^ mix_bits(static_cast<uint64_t>(t.variable) + 77));
    for (int64_t i = 0; i < lanes * size; ++i) {
      const int64_t element =
          v.elements ? (*v.elements)[static_cast<size_t>(i % size)] : rng.integer(-65536, 65536);
      result.elements[static_cast<size_t>(i)] = field_from_integer(element);
      result.bound = std::max(result.bound, std::abs(static_cast<double>(element)));
    }
  } else {
    std::vector<Residues> operands;
    for (TermId a : t.args) {
      const Evaluated& e = evaluated(a, seed);
      operands.push_back({e.elements.data(), element_count(terms_[a].type), e.bound});
    }
    result.bound = instance(t).run(operands, static_cast<size_t>(t.output), mix_bits(seed),
                                   result.elements.data(), scratch_);
  }
  return values_.emplace(std::pair{seed, id}, std::move(result)).first->second;
}

const std::vector<uint64_t>& TermPool::evaluate(TermId term, uint64_t seed) {
  return evaluated(term, seed).elements;
}

bool TermPool::is_zero(TermId term) {
  const auto& elements = evaluate(term, 1000);
  return std::all_of(elements.begin(), elements.end(), [](uint64_t e) { return e == 0; });
}

int TermPool::tree_size(TermId id) const {
  const Term& t = terms_[id];
  int size = t.def ? 1 : 0;
  for (TermId a : t.args) size += tree_size(a);
  return size;
}

bool TermPool::equal(TermId a, TermId b, int seeds) {
  if (a == b) return true;
  if (terms_[a].type != terms_[b].type) return false;
  for (int s = 0; s < seeds; ++s)
    if (evaluate(a, 1000 + static_cast<uint64_t>(s)) !=
        evaluate(b, 1000 + static_cast<uint64_t>(s)))
      return false;
  return true;
}

std::string attribute_text(const ir::AttrValue& value) {
  if (const auto* v = std::get_if<int64_t>(&value)) return std::to_string(*v);
  if (const auto* v = std::get_if<double>(&value)) return fmt::format("{}", *v);
  if (const auto* v = std::get_if<std::string>(&value)) return *v;
  if (const auto* v = std::get_if<DType>(&value)) return std::string(to_string(*v));
  if (const auto* v = std::get_if<std::vector<int64_t>>(&value))
    return list_text(*v, [](int64_t i) { return std::to_string(i); });
  if (const auto* v = std::get_if<ir::Dims>(&value))
    return list_text(*v, [](const sym::Expr& d) { return d.to_string(); });
  fail_user(ErrorKind::unsupported, "an attribute of this kind has no text in the rule language");
}

std::string attributes_text(const ir::AttrMap& attrs) {
  std::string text;
  for (const auto& [name, value] : attrs)
    text += (text.empty() ? "" : ", ") + name + "=" + attribute_text(value);
  return text.empty() ? "" : "[" + text + "]";
}

}  // namespace tessera::synth
