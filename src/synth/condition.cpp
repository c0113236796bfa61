// SPDX-License-Identifier: Apache-2.0
// One function for each kind of condition.
#include "synth/condition.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "synth/pattern.h"

namespace tessera::synth {
namespace {

constexpr size_t most_candidates = 60;  // one bit each

std::string name_of(int which) {
  return which < 0 ? fmt::format("?t{}", -which) : "?" + variable_name(which);
}

const ir::Dims* shape_of(const TermPool& pool, const Match& match, int which) {
  if (which < 0) {
    const auto it = match.nodes.find(-1 - which);
    return it == match.nodes.end() ? nullptr : &pool.term(it->second).type.shape;
  }
  const auto bound = match.variables[static_cast<size_t>(which)];
  return bound ? &pool.term(*bound).type.shape : nullptr;
}

Condition equal_shapes(int a, int b) {
  return {fmt::format("(= (shape {}) (shape {}))", name_of(a), name_of(b)),
          [=](const TermPool& pool, const Match& m) {
            const ir::Dims *x = shape_of(pool, m, a), *y = shape_of(pool, m, b);
            return !x || !y || *x == *y;
          }};
}

Condition rank_is(int a, int rank) {
  return {fmt::format("(= (rank {}) {})", name_of(a), rank),
          [=](const TermPool& pool, const Match& m) {
            const ir::Dims* x = shape_of(pool, m, a);
            return !x || static_cast<int>(x->size()) == rank;
          }};
}

Condition equal_ranks(int a, int b) {
  return {fmt::format("(= (rank {}) (rank {}))", name_of(a), name_of(b)),
          [=](const TermPool& pool, const Match& m) {
            const ir::Dims *x = shape_of(pool, m, a), *y = shape_of(pool, m, b);
            return !x || !y || x->size() == y->size();
          }};
}

// An extent: along a fixed axis (≥ 0), or along the axis that parameter −1 − axis says.
struct Extent {
  int variable = 0, axis = 0;
  std::string text() const {
    return fmt::format("(dim {} {})", name_of(variable),
                       axis < 0 ? fmt::format("?p{}", -axis) : std::to_string(axis));
  }
  // Nothing if it is not bound or there is no such axis.
  std::optional<sym::Expr> of(const TermPool& pool, const Match& m) const {
    const ir::Dims* shape = shape_of(pool, m, variable);
    int64_t at = axis;
    if (axis < 0) {
      const auto it = m.parameters.find(-1 - axis);
      const auto* value = it == m.parameters.end() ? nullptr : std::get_if<int64_t>(&it->second);
      if (!value) return {};
      at = *value;
    }
    if (!shape) return {};
    if (at < 0) at += static_cast<int64_t>(shape->size());
    if (at < 0 || at >= static_cast<int64_t>(shape->size())) return {};
    return (*shape)[static_cast<size_t>(at)];
  }
};

Condition equal_extents(Extent a, Extent b) {
  return {fmt::format("(= {} {})", a.text(), b.text()), [=](const TermPool& pool, const Match& m) {
            const auto x = a.of(pool, m), y = b.of(pool, m);
            return x && y && *x == *y;
          }};
}

Condition extent_is_one(Extent a) {
  return {fmt::format("(= {} 1)", a.text()), [=](const TermPool& pool, const Match& m) {
            const auto x = a.of(pool, m);
            return x && *x == sym::Expr(1);
          }};
}

Condition parameter_is(int p, const ir::AttrValue& value) {
  return {fmt::format("(= ?p{} {})", p + 1, attribute_text(value)),
          [=](const TermPool&, const Match& m) {
            const auto it = m.parameters.find(p);
            return it == m.parameters.end() || ir::operator_equal(it->second, value);
          },
          p};
}

Condition length_is(int p, size_t length) {
  return {fmt::format("(= (len ?p{}) {})", p + 1, length), [=](const TermPool&, const Match& m) {
            const auto it = m.parameters.find(p);
            const auto* dims =
                it == m.parameters.end() ? nullptr : std::get_if<ir::Dims>(&it->second);
            return !dims || dims->size() == length;
          }};
}

Condition inverts_itself(int p) {
  return {fmt::format("(= ?p{} (inverse ?p{}))", p + 1, p + 1),
          [=](const TermPool&, const Match& m) {
            const auto it = m.parameters.find(p);
            const auto* perm =
                it == m.parameters.end() ? nullptr : std::get_if<std::vector<int64_t>>(&it->second);
            if (!perm) return true;
            for (size_t k = 0; k < perm->size(); ++k)
              if ((*perm)[static_cast<size_t>((*perm)[k])] != static_cast<int64_t>(k)) return false;
            return true;
          }};
}

Condition sizes_are(int p, const std::vector<Extent>& extents) {
  std::string list;
  for (const Extent& e : extents) list += (list.empty() ? "" : ", ") + e.text();
  return {fmt::format("(= ?p{} {{{}}})", p + 1, list), [=](const TermPool& pool, const Match& m) {
            const auto it = m.parameters.find(p);
            const auto* dims =
                it == m.parameters.end() ? nullptr : std::get_if<ir::Dims>(&it->second);
            if (!dims || dims->size() != extents.size()) return !dims;
            for (size_t k = 0; k < dims->size(); ++k)
              if (extents[k].of(pool, m) != (*dims)[k]) return false;
            return true;
          }};
}

// Parameters that are variables, by number, as they were in the instance.
using Parameters = std::map<int, std::pair<std::string, ir::AttrValue>>;
void collect(const PatternNode& p, Parameters& found) {
  for (const auto& [name, spec] : p.parameters)
    if (spec.kind == ParameterSpec::Kind::variable)
      found.try_emplace(spec.variable, name, spec.value);
  for (const PatternNode& a : p.args) collect(a, found);
}

class Candidates {
 public:
  explicit Candidates(const LearnedRule& rule) : rule_(rule) {
    collect(rule.left, parameters_);
    if (rule.second_left) collect(*rule.second_left, parameters_);
  }

  std::vector<Condition> all(const std::vector<std::pair<int, int>>& shapes) {
    for (const auto& [a, b] : shapes) add(equal_shapes(a, b));
    pairs([&](int a, int b) {
      if (shape(a) == shape(b) && !shape(a).empty()) add(equal_shapes(a, b));
    });
    for (int v = 0; v < count(); ++v) add(rank_is(v, rank(v)));
    pairs([&](int a, int b) {
      if (rank(a) == rank(b)) add(equal_ranks(a, b));
    });
    for (const auto& [p, named] : parameters_) along(p, named.second);
    for (const auto& [p, named] : parameters_) of_parameter(p, named.first, named.second);
    extents();
    if (found_.size() > most_candidates) found_.resize(most_candidates);
    return std::move(found_);
  }

 private:
  int count() const { return static_cast<int>(rule_.types.size()); }
  const ir::Dims& shape(int v) const { return rule_.types[static_cast<size_t>(v)].shape; }
  int rank(int v) const { return rule_.types[static_cast<size_t>(v)].rank(); }
  void pairs(const std::function<void(int, int)>& each) const {
    for (int a = 0; a < count(); ++a)
      for (int b = a + 1; b < count(); ++b) each(a, b);
  }
  void add(Condition c) {
    const bool known = std::any_of(found_.begin(), found_.end(),
                                   [&](const Condition& other) { return other.text == c.text; });
    if (!known) found_.push_back(std::move(c));
  }

  void along(int p, const ir::AttrValue& value) {
    const auto* axis = std::get_if<int64_t>(&value);
    if (!axis || parameters_.at(p).first != "axis") return;
    const auto extent = [&](int v) -> std::optional<sym::Expr> {
      const int64_t at = *axis < 0 ? *axis + rank(v) : *axis;
      if (at < 0 || at >= rank(v)) return {};
      return shape(v)[static_cast<size_t>(at)];
    };
    pairs([&](int a, int b) {
      if (extent(a) && extent(a) == extent(b)) add(equal_extents({a, -1 - p}, {b, -1 - p}));
    });
    for (const auto& [q, named] : parameters_) {
      const auto* sizes = std::get_if<ir::Dims>(&named.second);
      if (!sizes || sizes->size() != 2) continue;
      for (int a = 0; a < count(); ++a)
        for (int b = 0; b < count(); ++b)
          if (a != b && extent(a) == (*sizes)[0] && extent(b) == (*sizes)[1])
            add(sizes_are(q, {{a, -1 - p}, {b, -1 - p}}));
    }
  }

  void of_parameter(int p, const std::string& name, const ir::AttrValue& value) {
    if (name == "perm") add(inverts_itself(p));
    if (const auto* dims = std::get_if<ir::Dims>(&value)) add(length_is(p, dims->size()));
    add(parameter_is(p, value));
  }

  void extents() {
    for (int v = 0; v < count(); ++v)
      for (int k = 0; k < rank(v); ++k)
        if (shape(v)[static_cast<size_t>(k)] == sym::Expr(1)) add(extent_is_one({v, k}));
    pairs([&](int a, int b) {
      for (int k = 0; k < std::min(rank(a), rank(b)); ++k)
        if (shape(a)[static_cast<size_t>(k)] == shape(b)[static_cast<size_t>(k)])
          add(equal_extents({a, k}, {b, k}));
    });
  }

  const LearnedRule& rule_;
  Parameters parameters_;
  std::vector<Condition> found_;
};

}  // namespace

std::vector<Condition> candidate_conditions(const LearnedRule& rule,
                                            const std::vector<std::pair<int, int>>& shapes) {
  return Candidates(rule).all(shapes);
}

}  // namespace tessera::synth
