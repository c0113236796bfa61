// SPDX-License-Identifier: Apache-2.0
// Forms of a rule, general to special, and their tests.
#include "synth/generalize.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "base/check.h"
#include "ops/registry.h"
#include "ops/traits.h"
#include "rules/sample.h"
#include "synth/terms.h"

namespace tessera::synth {
namespace {

/// Which freedoms a form takes.
struct Form {
  bool parameters = true;   ///< equal parameters on both sides become variables
  bool whole_sets = false;  ///< … whole sets of parameters at once
  bool any_rank = true;     ///< no conditions on ranks
  bool any_shape = true;    ///< no conditions on shapes either
  bool drawn = false;       ///< random shapes, without a sample clause
};

struct Sides {
  TermPool& pool;
  std::map<int, int> numbering;  ///< pool's variable -> rule's variable
  std::map<std::string, int> parameters;
  std::map<std::string, int> rests;
  std::map<TermId, int> names;
  int next_name = 0;
};

bool is_number(const Variable& v) {
  return v.elements && !v.elements->empty() &&
         std::all_of(v.elements->begin(), v.elements->end(),
                     [&](int64_t e) { return e == v.elements->front(); });
}

// Extents of a split's sizes as dimensions of variables; the first variable that fits.
std::optional<std::vector<std::pair<int, int>>> as_extents(const Sides& s, const ir::Dims& dims,
                                                           int64_t axis) {
  std::vector<std::pair<int, int>> result;
  std::set<int> used;
  for (const sym::Expr& d : dims) {
    bool found = false;
    for (const bool fresh : {true, false}) {
      for (const auto& [own, number] : s.numbering) {
        const ir::Dims& shape = s.pool.variables()[static_cast<size_t>(own)].type.shape;
        const auto at = static_cast<size_t>(axis);
        if (found || at >= shape.size() || shape[at] != d || used.contains(number) == fresh)
          continue;
        result.emplace_back(number, static_cast<int>(axis));
        used.insert(number);
        found = true;
      }
    }
    if (!found) return {};
  }
  return result;
}

PatternNode to_pattern(Sides& s, TermId id, const Form& form, bool left) {
  const Term t = s.pool.term(id);
  PatternNode p;
  if (!t.def) {
    const Variable& v = s.pool.variables()[static_cast<size_t>(t.variable)];
    if (is_number(v)) {
      p.number = static_cast<double>(v.elements->front());
      return p;
    }
    p.variable =
        s.numbering.try_emplace(t.variable, static_cast<int>(s.numbering.size())).first->second;
    return p;
  }
  p.def = t.def;
  p.output = t.output;
  for (TermId a : t.args) p.args.push_back(to_pattern(s, a, form, left));
  const ir::AttrMap attrs = s.pool.attrs(t);
  if (form.whole_sets && t.def->attrs.size() > 2) {
    const std::string key = t.def->name + attributes_text(attrs);
    const auto it = s.rests.find(key);
    if (left || it != s.rests.end()) {
      p.rest = left ? s.rests.try_emplace(key, static_cast<int>(s.rests.size())).first->second
                    : it->second;
      return p;
    }
  }
  const auto axis = attrs.find("axis");
  for (const auto& [name, value] : attrs) {
    ParameterSpec spec;
    spec.value = value;
    const std::string key = name + "=" + attribute_text(value);
    const bool free_kind =
        name == "axis" || name == "perm" || name == "axes" || name == "keepdims" || name == "sizes";
    const bool known = form.parameters && s.parameters.contains(key);
    if (name == "sizes" && !left && !known && axis != attrs.end()) {
      const auto extents =
          as_extents(s, std::get<ir::Dims>(value), std::get<int64_t>(axis->second));
      if (extents) {
        spec.kind = ParameterSpec::Kind::extents;
        spec.extents = *extents;
      }
    } else if (form.parameters && free_kind) {
      const auto it = s.parameters.find(key);
      if (left || it != s.parameters.end()) {
        spec.kind = ParameterSpec::Kind::variable;
        spec.variable =
            left
                ? s.parameters.try_emplace(key, static_cast<int>(s.parameters.size())).first->second
                : it->second;
      }
    }
    p.parameters.emplace_back(name, std::move(spec));
  }
  return p;
}

// Elementwise operands of one shape stay of one shape: otherwise broadcasting comes in.
void require_equal_shapes(Sides& s, PatternNode& p, TermId id, LearnedRule& rule) {
  const Term t = s.pool.term(id);
  if (!t.def) return;
  for (size_t k = 0; k < p.args.size(); ++k) require_equal_shapes(s, p.args[k], t.args[k], rule);
  if (p.args.size() != 2 || !is_pointwise(*t.def, 2)) return;
  const auto which = [&](PatternNode& a) -> std::optional<int> {
    if (a.number) return {};
    if (!a.def) return a.variable;
    if (a.output != 0) return {};
    if (a.name < 0) a.name = s.next_name++;
    return -1 - a.name;
  };
  const Term &x = s.pool.term(t.args[0]), &y = s.pool.term(t.args[1]);
  if (t.args[0] == t.args[1] || x.type.shape != y.type.shape) return;
  const auto a = which(p.args[0]), b = which(p.args[1]);
  if (!a || !b) return;
  auto& known = rule.conditions.equal_shapes;
  const std::pair condition(*a, *b);
  if (std::find(known.begin(), known.end(), condition) == known.end()) known.push_back(condition);
}

/// Extents that the operators force to be equal, as letters.
class Letters {
 public:
  Letters(const TermPool& pool, std::span<const int> variables) : pool_(pool) {
    for (int v : variables) {
      auto& own = symbols_[v];
      for (size_t k = 0; k < pool.variables()[static_cast<size_t>(v)].type.shape.size(); ++k) {
        own.push_back(static_cast<int>(parent_.size()));
        parent_.push_back(own.back());
      }
    }
  }
  void add(TermId id) { (void)shape_of(id); }
  void equal_shapes(TermId a, TermId b) {
    const auto x = shape_of(a), y = shape_of(b);
    if (x && y && x->size() == y->size())
      for (size_t k = 0; k < x->size(); ++k) unify((*x)[k], (*y)[k]);
  }
  std::string dims(int variable) const {
    std::string text;
    for (int s : symbols_.at(variable)) text += (text.empty() ? "" : ",") + letter(s);
    return text;
  }
  std::string letter_at(int variable, size_t axis) const {
    return letter(symbols_.at(variable)[axis]);
  }

 private:
  int root(int s) const {
    while (parent_[static_cast<size_t>(s)] != s) s = parent_[static_cast<size_t>(s)];
    return s;
  }
  std::string letter(int s) const {
    std::vector<int> roots;
    for (size_t k = 0; k < parent_.size(); ++k)
      if (root(static_cast<int>(k)) == static_cast<int>(k)) roots.push_back(static_cast<int>(k));
    const auto at = std::find(roots.begin(), roots.end(), root(s)) - roots.begin();
    return std::string(1, static_cast<char>('a' + at % 26));
  }
  static std::optional<int> symbol(const sym::Expr& e) {
    const auto name = e.as_symbol();
    if (!name) return {};
    return std::stoi(name->substr(1));
  }
  void unify(const sym::Expr& a, const sym::Expr& b) {
    const auto x = symbol(a), y = symbol(b);
    if (!x || !y) return;
    const int p = root(*x), q = root(*y);
    parent_[static_cast<size_t>(std::max(p, q))] = std::min(p, q);
  }
  std::optional<ir::Dims> shape_of(TermId id) {
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
      const ir::Meaning meaning = ops::instantiate(*t.def, refs, pool_.attrs(t));
      for (const ir::Requirement& r : meaning.requirements)
        if (r.kind == ir::Requirement::Kind::equal) unify(r.lhs, r.rhs);
      return meaning.output_type(static_cast<size_t>(t.output)).shape;
    } catch (const UserError&) {
      return {};
    }
  }

  const TermPool& pool_;
  std::map<int, std::vector<int>> symbols_;
  std::vector<int> parent_;
};

void unify_pointwise(const TermPool& pool, Letters& letters, TermId id) {
  const Term& t = pool.term(id);
  for (TermId a : t.args) unify_pointwise(pool, letters, a);
  if (t.args.size() == 2 && is_pointwise(*t.def, 2) &&
      pool.term(t.args[0]).type.shape == pool.term(t.args[1]).type.shape)
    letters.equal_shapes(t.args[0], t.args[1]);
}

/// How the tensors of a sample clause differ from those of the equation: free extents, and one
/// axis more, in front or behind.
enum class Extension : uint8_t { none, leading, trailing };

// A parameter's value when all tensors get one axis more.
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

/// Writes the clauses that say on what a rule is tried.
class SampleWriter {
 public:
  SampleWriter(Sides& sides, std::span<const Equation> equations)
      : s_(sides), variables_(sides.numbering.size()) {
    for (const auto& [own, number] : s_.numbering) variables_[static_cast<size_t>(number)] = own;
    letters_.emplace(s_.pool, variables_);
    for (int round = 0; round < 2; ++round)
      for (const Equation& e : equations)
        for (TermId side : {e.left, e.right}) {
          letters_->add(side);
          unify_pointwise(s_.pool, *letters_, side);
        }
  }
  /// With letters for extents that may differ.
  std::string free(Extension extension) const {
    return shapes(extension, false) + parameters(true, extension) + rests();
  }
  /// With every parameter at other values, on tensors whose extents are all equal as well: there
  /// wrong parameters often fit. Only to refute with.
  std::vector<std::string> adverse() const {
    std::vector<std::string> clauses;
    for (const bool square : {false, true})
      for (const Extension extension : {Extension::none, Extension::leading}) {
        const std::string tensors = shapes(extension, square);
        clauses.push_back(tensors + parameters(true, extension) + rests());
        for (const auto& [key, number] : s_.parameters)
          for (const std::string& value : alternatives(key.substr(0, key.find('='))))
            clauses.push_back(tensors + parameters(true, extension, number, value) + rests());
        for (const auto& [key, number] : s_.rests)
          for (const std::string& other : set_alternatives(key.substr(0, key.find('['))))
            clauses.push_back(tensors + parameters(true, extension) +
                              fmt::format(" ?q{}.{}", number + 1, other) + rests());
      }
    return clauses;
  }
  /// The shapes of the equation.
  std::string found() const {
    std::string text;
    for (size_t k = 0; k < variables_.size(); ++k) {
      std::string dims;
      for (const sym::Expr& d : shape(k)) dims += (dims.empty() ? "" : ",") + d.to_string();
      text += (k == 0 ? "?" : " ?") + variable_name(static_cast<int>(k)) + "[" + dims + "]";
    }
    return text + parameters(false, Extension::none) + rests();
  }

 private:
  const ir::Dims& shape(size_t k) const {
    return s_.pool.variables()[static_cast<size_t>(variables_[k])].type.shape;
  }
  std::string shapes(Extension extension, bool square) const {
    std::string text;
    for (size_t k = 0; k < variables_.size(); ++k) {
      std::string dims = letters_->dims(variables_[k]);
      if (!dims.empty() && extension == Extension::leading) dims = "z," + dims;
      if (!dims.empty() && extension == Extension::trailing) dims += ",z";
      if (square)
        for (char& c : dims) c = c == ',' ? c : 'z';
      text += (k == 0 ? "?" : " ?") + variable_name(static_cast<int>(k)) + "[" + dims + "]";
    }
    return text;
  }
  // One of them may get another value.
  std::string parameters(bool free, Extension extension, int changed = -1,
                         const std::string& other = {}) const {
    std::string text;
    for (const auto& [key, number] : s_.parameters) {
      const std::string name = key.substr(0, key.find('='));
      std::string value = key.substr(key.find('=') + 1);
      if (free && name == "sizes") value = as_letters(value);
      value = number == changed ? other : extended(name, value, extension);
      text += fmt::format(" ?p{}={}", number + 1, value);
    }
    return text;
  }
  // Other values of every parameter of a record, one at a time.
  static std::vector<std::string> set_alternatives(const std::string& record) {
    std::vector<std::string> values;
    for (const ops::AttrDef& def : ops::registry().get(record).attrs) {
      if (def.kind == ir::AttrKind::integer && def.default_value)
        values.push_back(fmt::format("{}={}", def.name, std::get<int64_t>(*def.default_value) + 1));
      if (def.name == "strides" || def.name == "dilations")
        values.insert(values.end(), {def.name + "={2, 2}", def.name + "={1, 2}"});
      if (def.name == "pads") values.push_back("pads={1, 0, 1, 1}");
      if (def.name == "kernel_shape") values.push_back("kernel_shape={2, 1}");
    }
    return values;
  }
  static std::vector<std::string> alternatives(const std::string& parameter) {
    if (parameter == "axis") return {"0", "1", "2"};
    if (parameter == "axes") return {"{0}", "{1}", "{2}", "{0, 1}"};
    if (parameter == "keepdims") return {"0", "1"};
    if (parameter == "perm") return {"{1, 0}", "{0, 2, 1}", "{1, 0, 2}", "{2, 0, 1}", "{1, 2, 0}"};
    if (parameter == "sizes") return {"{1, 2}", "{2, 1}", "{2, 2}", "{1, 3}"};
    return {};
  }
  // Sizes of a split that are extents of variables, as their letters.
  std::string as_letters(const std::string& sizes) const {
    std::string text, digits;
    std::vector<std::string> used;
    for (const char c : sizes) {
      if (c >= '0' && c <= '9') {
        digits += c;
        continue;
      }
      if (!digits.empty()) {
        const auto letter = letter_of(std::stoll(digits), used);
        text += letter.value_or(digits);
        if (letter) used.push_back(*letter);
        digits.clear();
      }
      text += c;
    }
    return text;
  }
  std::optional<std::string> letter_of(int64_t extent, const std::vector<std::string>& used) const {
    std::optional<std::string> again;
    for (size_t k = 0; k < variables_.size(); ++k)
      for (size_t axis = 0; axis < shape(k).size(); ++axis) {
        if (shape(k)[axis] != sym::Expr(extent)) continue;
        const std::string letter = letters_->letter_at(variables_[k], axis);
        if (std::find(used.begin(), used.end(), letter) == used.end()) return letter;
        again = letter;
      }
    return again;
  }
  // "[a=1, b={1, 2}]" of a whole set of parameters as " ?q1.a=1 ?q1.b={1, 2}".
  std::string rests() const {
    std::string text;
    for (const auto& [key, number] : s_.rests) {
      const size_t bracket = key.find('[');
      if (bracket == std::string::npos) continue;
      int depth = 0;
      std::string part;
      for (const char c : key.substr(bracket + 1, key.size() - bracket - 2) + ",") {
        depth += c == '{' ? 1 : c == '}' ? -1 : 0;
        if (c != ',' || depth != 0) {
          part += c;
          continue;
        }
        text += fmt::format(" ?q{}.{}", number + 1, part.substr(part.find_first_not_of(' ')));
        part.clear();
      }
    }
    return text;
  }

  Sides& s_;
  std::vector<int> variables_;
  std::optional<Letters> letters_;
};

std::vector<int> sorted(std::vector<int> v) {
  std::sort(v.begin(), v.end());
  return v;
}

std::optional<LearnedRule> make_form(TermPool& pool, std::span<const Equation> equations,
                                     const Form& form) {
  Sides s{pool, {}, {}, {}, {}, 0};
  LearnedRule rule;
  rule.left_term = equations[0].left;
  rule.right_term = equations[0].right;
  const bool pair = equations.size() > 1;
  rule.left = to_pattern(s, equations[0].left, form, true);
  if (pair) rule.second_left = to_pattern(s, equations[1].left, form, true);
  const size_t left_variables = s.numbering.size();
  rule.right = to_pattern(s, equations[0].right, form, false);
  if (pair) rule.second_right = to_pattern(s, equations[1].right, form, false);
  if (s.numbering.size() > left_variables || !rule.left.def) return {};
  rule.types.resize(s.numbering.size());
  for (const auto& [own, number] : s.numbering)
    rule.types[static_cast<size_t>(number)] = pool.variables()[static_cast<size_t>(own)].type;
  if (!form.any_rank)
    for (size_t k = 0; k < rule.types.size(); ++k)
      rule.conditions.ranks.emplace_back(static_cast<int>(k), rule.types[k].rank());
  if (!form.any_shape) {
    require_equal_shapes(s, rule.left, equations[0].left, rule);
    if (pair) require_equal_shapes(s, *rule.second_left, equations[1].left, rule);
  }
  if (!form.drawn) {
    const SampleWriter writer(s, equations);
    rule.samples = {writer.free(Extension::none), writer.found()};
    rule.adverse = writer.adverse();
    if (form.any_rank) {
      rule.samples.push_back(writer.free(Extension::leading));
      rule.samples.push_back(writer.free(Extension::trailing));
    }
  }
  rule.name = "candidate";
  return rule;
}

// Whether the rule language accepts the rule and random instances agree. A rule without conditions
// on ranks must hold on tensors with an axis more than it was found on, too.
bool holds_on_samples(LearnedRule& rule, int instances) {
  const auto test = [&](const LearnedRule& r, int count) {
    const rules::Rule parsed = rules::parse_rule(r.text(), "learned", 1);
    const rules::SampleReport report =
        rules::check_rule(parsed, {.instances = count, .attempts = 40 * count, .seed = 11});
    rule.instances = report.instances;
    return report.ok && report.instances >= count;
  };
  try {
    if (!rule.adverse.empty()) {
      LearnedRule other = rule;
      other.samples = rule.adverse;
      const rules::Rule parsed = rules::parse_rule(other.text(), "learned", 1);
      const auto report = rules::check_rule(
          parsed,
          {.instances = 60, .attempts = static_cast<int>(12 * rule.adverse.size()), .seed = 5});
      if (!report.ok && report.message.find("differ") != std::string::npos) return false;
    }
    if (rule.samples.size() == 4) {
      LearnedRule larger = rule;
      larger.samples.erase(larger.samples.begin(), larger.samples.begin() + 2);
      if (!test(larger, instances / 2)) return false;
    }
    return test(rule, instances);
  } catch (const UserError&) {
    return false;
  }
}

bool shape_agnostic(const TermPool& pool, TermId id) {
  for (TermId t : pool.subterms(id)) {
    const Term& n = pool.term(t);
    if (is_pointwise(*n.def, n.args.size())) continue;
    const std::string& name = n.def->name;
    if (name != "concat" && name != "transpose") return false;
  }
  return true;
}

// Bits are kept at most by rules that only move elements or exchange moves with functions.
bool may_be_exact(const TermPool& pool, const Equation& e) {
  for (TermId side : {e.left, e.right})
    for (TermId t : pool.subterms(side)) {
      const Term& n = pool.term(t);
      if (!n.def->meaning) return false;
      std::vector<const ir::ValueType*> types;
      for (TermId a : n.args) types.push_back(&pool.term(a).type);
      const ir::Meaning meaning = ops::instantiate(*n.def, types, pool.attrs(n));
      if (!ops::moves_only(meaning) && !is_pointwise(*n.def, n.args.size())) return false;
    }
  return true;
}

}  // namespace

bool is_pointwise(const ops::OpDef& def, size_t inputs) {
  if (!def.meaning || inputs == 0) return false;
  const ir::ValueType type{DType::f32, {2, 3}};
  const std::vector<const ir::ValueType*> types(inputs, &type);
  try {
    const ir::Meaning meaning = ops::instantiate(def, types, {});
    if (meaning.outputs.size() != 1 || meaning.outputs[0].shape != type.shape) return false;
    for (ir::ExprId id = 0; id < meaning.pool->size(); ++id) {
      const ir::ExprNode& n = meaning.pool->node(id);
      if (n.kind == ir::ExprKind::reduce) return false;
      if (n.kind != ir::ExprKind::read) continue;
      for (size_t axis = 0; axis < n.args.size(); ++axis) {
        const ir::ExprNode& index = meaning.pool->node(n.args[axis]);
        if (index.kind != ir::ExprKind::variable || index.var.kind != ir::Var::Kind::output ||
            index.var.number != axis)
          return false;
      }
    }
    return true;
  } catch (const UserError&) {
    return false;
  }
}

std::optional<LearnedRule> Generalizer::most_general(std::span<const Equation> equations,
                                                     bool same_variables) {
  bool agnostic = true, exact = true;
  for (const Equation& e : equations) {
    agnostic = agnostic && shape_agnostic(pool_, e.left) && shape_agnostic(pool_, e.right);
    exact = exact && may_be_exact(pool_, e);
  }
  std::vector<Form> forms;
  if (agnostic && equations.size() == 1) {
    forms.push_back({.any_rank = true, .any_shape = true, .drawn = true});
    forms.push_back({.any_rank = true, .any_shape = false, .drawn = true});
  }
  forms.push_back({.any_rank = true, .any_shape = false});
  forms.push_back({.whole_sets = true, .any_rank = false, .any_shape = false});
  forms.push_back({.any_rank = false, .any_shape = false});
  forms.push_back({.parameters = false, .any_rank = false, .any_shape = false});
  for (const Form& form : forms) {
    auto rule = make_form(pool_, equations, form);
    if (!rule) continue;
    // A bare variable on the right has no operator to match from.
    const bool reversible = same_variables && rule->right.def && !rule->second_left;
    for (const bool both : {true, false}) {
      if (both && !reversible) continue;
      rule->both_ways = both;
      if (exact && passes(*rule, true, 24)) return rule;
      if (passes(*rule, false, 16)) return rule;
    }
  }
  return {};
}

bool Generalizer::passes(LearnedRule& rule, bool exact, int instances) {
  rule.exact = exact;
  const std::string statement = rule.statement() + (exact ? " exact" : " real");
  if (const auto it = passed_.find(statement); it != passed_.end()) {
    rule.instances = it->second;
    return true;
  }
  const std::string text = rule.text();
  if (failed_.contains(text)) return false;
  if (!holds_on_samples(rule, instances)) {
    failed_.insert(text);
    return false;
  }
  passed_[statement] = rule.instances;
  return true;
}

std::optional<LearnedRule> Generalizer::one(const Equation& equation) {
  Equation e = equation;
  const auto left = sorted(pool_.variables_of(e.left)), right = sorted(pool_.variables_of(e.right));
  if (!std::includes(left.begin(), left.end(), right.begin(), right.end())) {
    if (!std::includes(right.begin(), right.end(), left.begin(), left.end())) return {};
    std::swap(e.left, e.right);
  }
  return most_general(std::span(&e, 1), left == right);
}

std::optional<LearnedRule> Generalizer::pair(const Equation& first, const Equation& second) {
  const Equation all[] = {first, second};
  return most_general(all, false);
}

}  // namespace tessera::synth
