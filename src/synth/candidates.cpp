// SPDX-License-Identifier: Apache-2.0
// Equations and their pruning.
#include "synth/candidates.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "synth/shard_files.h"

namespace tessera::synth {

Terms::Terms(const Bank& bank, TermPool& pool) : bank_(bank), pool_(pool) {
  ValueId id = 0;
  int group = static_cast<int>(pool.variables().size());
  for (const InputClass& cls : bank.vocabulary().inputs) {
    for (int k = 0; k < cls.count; ++k, ++id) {
      Variable v{.name = bank.input_name(id), .type = bank.input_types()[id]};
      if (cls.count > 1) v.group = group;
      if (cls.is_constant()) {
        const Residues& r = bank.values()[id].residues;
        v.elements.emplace();
        for (int64_t i = 0; i < r.size; ++i) v.elements->push_back(field_to_integer(r.data[i]));
      }
      known_[id] = pool.add_variable(std::move(v));
    }
    ++group;
  }
}

TermId Terms::of(const Record& record) {
  const Recipe r = Recipe::unpack(record.recipe);
  return r.tmpl == bank_template ? of_value(r.a) : of_application(r.tmpl, r.a, r.b, r.output);
}

TermId Terms::of_value(ValueId id) {
  if (const auto it = known_.find(id); it != known_.end()) return it->second;
  const Value& v = bank_.values()[id];
  const Node& n = bank_.node(v.node);
  const TermId result = of_application(n.tmpl, n.a, n.b, v.output);
  known_[id] = result;
  return result;
}

TermId Terms::of_application(uint16_t tmpl, ValueId a, ValueId b, int output) {
  const Template& t = bank_.vocabulary().templates[tmpl];
  std::vector<TermId> args{of_value(a)};
  std::vector<ir::ValueType> types{bank_.type(bank_.values()[a])};
  if (b != none) {
    args.push_back(of_value(b));
    types.push_back(bank_.type(bank_.values()[b]));
  }
  const auto term = pool_.apply(*t.def, t.attributes(types).value(), output, std::move(args));
  TESSERA_CHECK(term.has_value(), "{} was legal when it was enumerated", t.to_string());
  return *term;
}

Equation canonical(TermPool& pool, const Equation& equation) {
  std::map<int, std::vector<int>> groups;  // of interchangeable variables that occur
  std::set<int> seen;
  for (TermId side : {equation.left, equation.right})
    for (int v : pool.variables_of(side))
      if (const int g = pool.variables()[static_cast<size_t>(v)].group;
          g >= 0 && seen.insert(v).second)
        groups[g].push_back(v);
  // Every renaming sends the variables that occur to the first ones of their group.
  std::vector<std::map<TermId, TermId>> renamings{{}};
  for (auto& [g, used] : groups) {
    std::sort(used.begin(), used.end());
    std::vector<int> targets;
    for (size_t v = 0; v < pool.variables().size() && targets.size() < used.size(); ++v)
      if (pool.variables()[v].group == g) targets.push_back(static_cast<int>(v));
    std::vector<std::map<TermId, TermId>> extended;
    do {
      for (const auto& r : renamings) {
        auto more = r;
        for (size_t k = 0; k < used.size(); ++k)
          more[pool.variables()[static_cast<size_t>(used[k])].term] =
              pool.variables()[static_cast<size_t>(targets[k])].term;
        extended.push_back(std::move(more));
      }
    } while (std::next_permutation(targets.begin(), targets.end()));
    renamings = std::move(extended);
  }
  Equation best = equation;
  bool first = true;
  for (const auto& renaming : renamings) {
    Equation e{pool.replace(equation.left, renaming).value_or(equation.left),
               pool.replace(equation.right, renaming).value_or(equation.right)};
    const auto key = [&](const Equation& q) {
      return std::tuple(std::max(q.left, q.right), std::min(q.left, q.right));
    };
    if (first || key(e) < key(best)) best = e;
    first = false;
  }
  return best;
}

Equation without_common_subgraphs(TermPool& pool, Equation equation) {
  for (bool changed = true; changed;) {
    changed = false;
    const auto left = pool.subterms(equation.left);
    // Larger subterms first.
    for (size_t k = left.size(); k-- > 0 && !changed;) {
      const TermId shared = left[k];
      if (shared == equation.left) continue;
      // One fresh variable for each type and number of uses is enough; it is found again by name.
      const std::string name = fmt::format("v{}", pool.term(shared).type.to_string());
      std::optional<TermId> variable;
      for (const Variable& v : pool.variables())
        if (v.name == name && pool.replace(equation.left, {{v.term, shared}}) == equation.left &&
            pool.replace(equation.right, {{v.term, shared}}) == equation.right)
          variable = v.term;
      if (!variable) variable = pool.add_variable({.name = name, .type = pool.term(shared).type});
      const auto l = pool.replace(equation.left, {{shared, *variable}});
      const auto r = pool.replace(equation.right, {{shared, *variable}});
      if (!l || !r || *l == *r || !pool.equal(*l, *r, 4)) continue;
      equation = {*l, *r};
      changed = true;
    }
  }
  return equation;
}

bool is_congruence(TermPool& pool, const Equation& equation) {
  const Term l = pool.term(equation.left), r = pool.term(equation.right);
  if (!l.def || l.def != r.def || l.attrs != r.attrs || l.output != r.output ||
      l.args.size() != r.args.size())
    return false;
  const auto equal = [&](bool swapped) {
    for (size_t k = 0; k < l.args.size(); ++k)
      if (!pool.equal(l.args[k], r.args[swapped ? l.args.size() - 1 - k : k], 2)) return false;
    return true;
  };
  return equal(false) || (l.args.size() == 2 &&
                          std::find(l.def->traits.begin(), l.def->traits.end(),
                                    ops::Trait::commutative) != l.def->traits.end() &&
                          equal(true));
}

}  // namespace tessera::synth
