// SPDX-License-Identifier: Apache-2.0
// Shapes in terms of symbols, and clauses.
#include "synth/samples.h"

#include "base/check.h"
#include "ops/registry.h"

namespace tessera::synth {

std::optional<ir::Dims> Letters::shape_of(TermId id) {
  const Term& t = pool_.term(id);
  if (!t.def) {
    ir::Dims dims;
    const auto it = symbols_.find(t.variable);
    if (it == symbols_.end()) return t.type.shape;
    for (int s : it->second) dims.push_back(sym::Expr::symbol(fmt::format("D{}", root(s))));
    return dims;
  }
  std::vector<ir::ValueType> types;
  for (TermId a : t.args) {
    const auto dims = shape_of(a);
    if (!dims) return {};
    types.push_back({pool_.term(a).type.dtype, *dims});
  }
  ops::InputTypes refs;
  for (const ir::ValueType& type : types) refs.push_back(&type);
  if (!t.def->meaning) return {};
  try {
    ir::AttrMap attrs = pool_.attrs(t);
    for (const ops::AttrDef& def : t.def->attrs)
      if (group_ != 0 && def.name == "group") attrs["group"] = group_;
    const ir::Meaning meaning = ops::instantiate(*t.def, refs, attrs);
    for (const ir::Requirement& r : meaning.requirements)
      if (r.kind == ir::Requirement::Kind::equal) unify(r.lhs, r.rhs);
    return meaning.output_type(static_cast<size_t>(t.output)).shape;
  } catch (const UserError&) {
    return {};
  }
}

std::optional<std::vector<std::pair<int, int>>> Letters::summands(const sym::Expr& extent) const {
  std::vector<int> wanted;
  if (extent.constant_part() != 0) return {};
  for (const sym::Term& t : extent.terms()) {
    if (t.factors.size() != 1 || t.factors[0].kind != sym::AtomKind::symbol) return {};
    for (int64_t k = 0; k < t.coefficient; ++k)
      wanted.push_back(std::stoi(t.factors[0].name.substr(1)));
  }
  std::vector<std::pair<int, int>> result;
  for (int v : order_) {
    const auto& own = symbols_.at(v);
    for (size_t axis = 0; axis < own.size(); ++axis) {
      const auto it = std::find(wanted.begin(), wanted.end(), root(own[axis]));
      if (it == wanted.end()) continue;
      result.emplace_back(v, static_cast<int>(axis));
      wanted.erase(it);
    }
  }
  if (!wanted.empty()) return {};
  return result;
}

void unify_pointwise(const TermPool& pool, Letters& letters, TermId id) {
  const Term& t = pool.term(id);
  for (TermId a : t.args) unify_pointwise(pool, letters, a);
  if (t.args.size() == 2 && is_pointwise(*t.def, 2) &&
      pool.term(t.args[0]).type.shape == pool.term(t.args[1]).type.shape)
    letters.equal_shapes(t.args[0], t.args[1]);
}

std::string extended(const std::string& name, const std::string& value, Extension extension) {
  if (extension == Extension::none || name == "sizes") return value;
  std::vector<int64_t> numbers;
  std::string digits;
  for (const char c : value + ",") {
    if (c == '-' || (c >= '0' && c <= '9')) digits += c;
    else if (!digits.empty()) numbers.push_back(std::stoll(std::exchange(digits, {})));
  }
  const bool leading = extension == Extension::leading;
  if (name != "keepdims" && leading)
    for (int64_t& n : numbers) n += n >= 0;
  if (name == "perm") {
    if (leading) numbers.insert(numbers.begin(), 0);
    else numbers.push_back(static_cast<int64_t>(numbers.size()));
  }
  std::string text;
  for (const int64_t n : numbers) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return value.starts_with('{') ? "{" + text + "}" : text;
}

std::vector<std::string> SampleWriter::adverse(bool any_rank, bool own_ranks) const {
  std::vector<std::string> clauses;
  for (const bool square : {false, true})
    for (const Extension extension : {Extension::none, Extension::leading}) {
      if (extension != Extension::none && !any_rank) continue;
      const std::string tensors = shapes(extension, square);
      clauses.push_back(tensors + parameters(true, extension) + rests());
      for (const auto& [key, number] : s_.parameters)
        for (const std::string& value : alternatives(key.substr(0, key.find('='))))
          clauses.push_back(tensors + parameters(true, extension, number, value) + rests());
      for (const auto& [key, number] : s_.rests) {
        const auto others = set_alternatives(key.substr(0, key.find('[')));
        for (size_t k = 0; k < others.size(); ++k) {
          const std::string one = fmt::format(" ?q{}.{}", number + 1, others[k]);
          clauses.push_back(tensors + parameters(true, extension) + one + rests());
          for (size_t m = k + 1; m < others.size() && !square; ++m)
            clauses.push_back(tensors + parameters(true, extension) + one +
                              fmt::format(" ?q{}.{}", number + 1, others[m]) + rests());
        }
      }
    }
  add_grouped(clauses, false);
  // Without conditions on ranks each tensor alone may have an axis more or less.
  for (size_t k = 0; own_ranks && k < variables_.size(); ++k)
    for (const int change : {-1, 1})
      clauses.push_back(shapes(Extension::none, false, static_cast<int>(k), change) +
                        parameters(true, Extension::none) + rests());
  return clauses;
}

void SampleWriter::add_grouped(std::vector<std::string>& clauses, bool once) const {
  for (const auto& [key, number] : s_.parameters) {
    if (!key.starts_with("group=")) continue;
    std::string tensors;
    for (size_t k = 0; k < variables_.size(); ++k)
      tensors += (k == 0 ? "?" : " ?") + variable_name(static_cast<int>(k)) + "[" +
                 grouped_->dims(variables_[k]) + "]";
    clauses.push_back(tensors + parameters(false, Extension::none, number, "2") + rests());
    if (once) continue;
    clauses.push_back(tensors + parameters(false, Extension::none, number, "2"));
    for (const auto& [parameter, p] : s_.parameters)
      for (const std::string& value : alternatives(parameter.substr(0, parameter.find('='))))
        if (p != number)
          clauses.push_back(tensors + parameters(false, Extension::none, p, value) +
                            fmt::format(" ?p{}=2", number + 1) + rests());
  }
}

}  // namespace tessera::synth
