// SPDX-License-Identifier: Apache-2.0
// Left sides with symbolic sizes.
#include "prove/instance.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/check.h"
#include "ops/builder.h"
#include "prove/choices.h"
#include "prove/conditions.h"
#include "prove/domain.h"
#include "rules/matcher.h"

namespace tessera::prove {
namespace {

using rules::Pattern;
using rules::Rule;
using RuleTerm = rules::Term;
using rules::TermValue;

struct Unfit {};  // these choices make no instance

class Maker {
 public:
  Maker(const Rule& rule, std::vector<std::pair<int, int>>& choices, const Substitution& sizes,
        int level)
      : rule_(rule),
        questions_(rule),
        choices_(choices),
        sizes_(sizes),
        free_(level == Instances::free_sizes),
        shared_(level >= Instances::shared_sizes),
        literal_(level >= Instances::sample_sizes),
        builder_(rule.name),
        bindings_(rule.variables.size()) {}

  /// The left side; `equations` holds what must be 0 for this to be an instance.
  Instance make(std::vector<Index>& equations) {
    if (!rule_.samples.empty())
      sample_ = &rule_.samples[choices_.choose(static_cast<int>(rule_.samples.size()))];
    dtype_ = draw_dtype();
    if (!sample_ || has_free_tensors()) draw_common();
    copies_ = has_lists() ? 2 + choices_.choose(2) : 2;
    std::vector<ops::Val> roots;
    const int count = rule_.is_group() ? copies_ : 1;
    for (int i = 0; i < count; ++i)
      for (const Pattern& p : rule_.lhs)
        roots.push_back(value(p, rule_.is_group() ? i : -1, dtype_));
    return finish(roots, equations);
  }

 private:
  bool has_lists() const {
    return std::find(rule_.is_list.begin(), rule_.is_list.end(), true) != rule_.is_list.end();
  }
  const rules::SampleSpec* spec(int slot, bool tensor) const {
    if (sample_)
      for (const rules::SampleSpec& s : *sample_)
        if (s.slot == slot && s.is_tensor == tensor && s.attr.empty()) return &s;
    return nullptr;
  }
  bool has_free_tensors() const {
    for (int slot : questions_.tensors)
      if (!spec(slot, true)) return true;
    return false;
  }

  DType draw_dtype() {
    if (rule_.mode == rules::Mode::real) return DType::f32;
    static constexpr DType types[] = {DType::f32, DType::i32, DType::u8, DType::boolean};
    return types[choices_.choose(4)];
  }

  void draw_common() {
    const bool permuted = questions_.permutations;
    const int rank = choices_.choose(permuted ? 5 : 4);
    for (int k = 0; k < rank; ++k) common_.push_back(named(std::string(1, "nmkj"[k])));
  }

  Index named(const std::string& name) { return Index::symbol(name).substitute(sizes_); }

  // A size of a sample clause. A number above 1 stands for any size, each place for its own; so
  // does a name where it occurs again, as far as sizes are free.
  Index size(const std::string& name, int slot, size_t axis, int repetition) {
    if (!std::isdigit(static_cast<unsigned char>(name[0]))) {
      std::string symbol = name;
      if (name.ends_with('*'))
        symbol = fmt::format("{}_{}", name.substr(0, name.size() - 1), repetition);
      const std::string place =
          fmt::format("{}{}_d{}", rule_.variables[slot], std::max(repetition, 0), axis);
      if (places_.emplace(symbol, place).first->second == place) return named(symbol);
      if (free_) return named(place);
      same_sizes_ = true;
      return named(symbol);
    }
    const int64_t number = std::stoll(name);
    if (number <= 1) return number;
    if (literal_) {
      fixed_ = true;
      return number;
    }
    const std::string of =
        rule_.variables[slot] +
        (rule_.is_list[slot] && !shared_ ? std::to_string(std::max(repetition, 0)) : "");
    return named(fmt::format("{}{}", of, axis));
  }

  // A term of the sample clause. Numbers among dimensions become sizes of their own.
  TermValue constant_term(const RuleTerm& t, int slot, const std::string& attr, bool dims,
                          bool from_zero) {
    rules::Bindings bindings(rule_.variables.size());
    Rule extended = rule_;
    std::map<std::string, int> slots;
    RuleTerm copy = t;
    int place = 0;
    bool negative = false;
    const std::function<void(RuleTerm&, bool)> rename = [&](RuleTerm& part, bool element) {
      const bool is_integer = part.kind == RuleTerm::Kind::integer;
      const bool is_size = part.kind == RuleTerm::Kind::symbol && part.name.size() == 1;
      const bool is_literal = element && dims && !literal_ &&
                              (is_integer ? from_zero || part.integer > (free_ ? 1 : 0) : free_);
      if (part.kind == RuleTerm::Kind::integer && element && dims && literal_) fixed_ = true;
      // An end far behind every axis means the axis' own.
      if (is_literal && is_integer && part.integer >= 100 && choices_.choose(2) == 1) {
        part.integer = std::numeric_limits<int32_t>::max();
        return;
      }
      Index value;
      if (is_literal) {
        const std::string own = fmt::format("{}{}{}", rule_.variables[slot], attr, place++);
        // Where one is negative, any may be: the difference of two sizes.
        value = named(own) - (negative ? named(own + "_less") : Index(from_zero ? 1 : 0));
      } else if (is_size) value = named(part.name), same_sizes_ = true;
      if (is_size || is_literal) {
        part.kind = RuleTerm::Kind::variable;
        part.slot = static_cast<int>(bindings.size());
        rules::Binding b;
        b.kind = rules::Binding::Kind::term;
        b.term = value;
        bindings.push_back(b);
        extended.variables.push_back("");
        extended.is_list.push_back(false);
        return;
      }
      const bool list = part.kind == RuleTerm::Kind::call && part.name == "list";
      for (RuleTerm& a : part.args) rename(a, list);
    };
    for (const RuleTerm& a : t.args) negative |= any_sign_ && a.integer < 0;
    rename(copy, false);
    static const rules::WorkGraph empty{ir::Graph{}};
    const auto v = rules::evaluate(copy, {empty, extended, bindings});
    if (!v) throw Unfit{};
    return *v;
  }

  double parameter() {
    // Any number without a short spelling will do; positive, as most parameters are.
    // Single precision holds it exactly, so that constants and attributes agree.
    const double v = static_cast<double>(
        static_cast<float>(0.7310585786 + 0.0417022004 * static_cast<double>(parameters_.size())));
    parameters_.insert(v);
    return v;
  }

  ir::Dims tensor_shape(int slot, int repetition) {
    ir::Dims shape;
    if (const rules::SampleSpec* s = spec(slot, true)) {
      for (size_t k = 0; k < s->dims.size(); ++k)
        shape.push_back(size(s->dims[k], slot, k, repetition));
      return shape;
    }
    const size_t rank = common_.size();
    if (rank == 0 || questions_.tensors.size() == 1) return common_;
    const int pattern = choices_.choose(rank == 2 ? 5 : rank == 1 ? 3 : 2);
    if (pattern == 0) return common_;
    if (pattern == 1) return {};
    if (rank == 1) return {Index(1)};
    if (pattern == 2) return {common_[1]};
    shape = common_;
    shape[pattern - 3] = Index(1);
    return shape;
  }

  ops::Val tensor(int slot, int repetition) {
    const bool list = rule_.is_list[slot];
    auto& known = tensors_[{slot, list ? repetition : -1}];
    if (known.present()) return known;
    const rules::SampleSpec* s = spec(slot, true);
    const DType type = s && s->dtype ? *s->dtype : dtype_;
    const ir::Dims shape = tensor_shape(slot, list ? repetition : -1);
    const bool uniform = questions_.values.contains(slot) || (s && s->value);
    if (s && s->eye && shape.size() == 2)
      return known = builder_.op("eye_like", {ops::expand(builder_.scalar(0, type), shape)});
    if (s && (s->eye || s->blocks)) return known = known_elements(slot, {type, shape});
    if (s && s->twice) {
      ir::Dims half = shape;
      half.back() = named(rule_.variables[slot] + "h");
      const ops::Val h = builder_.input(rule_.variables[slot], {type, half});
      equations_.push_back(shape.back() - Index(2) * half.back());
      return known = ops::concat({h, h}, -1);
    }
    if (!uniform) {
      const std::string name = fmt::format("{}{}{}", rule_.variables[slot], tensors_.size(),
                                           s && s->positive ? "+" : "");
      known = builder_.input(name, {type, shape});
      // Every positive tensor is the exponential of one, and that says that it is positive.
      return known = questions_.positive.contains(slot) ? ops::exp(known) : known;
    }
    double value = s && s->value ? *s->value : 0;
    if (!(s && s->value)) {
      if (is_float(type)) value = parameter();
      else value = choices_.choose(3), fixed_ = true;
    }
    known = builder_.scalar(value, type);
    if (!shape.empty()) known = ops::expand(known, shape);
    return known;
  }

  ops::Val known_elements(int slot, const ir::ValueType& type) {
    const std::string& name = rule_.variables[slot];
    const Naming naming = [&](const std::string& symbol) { return named(symbol); };
    if (questions_.blocks.contains(slot)) {
      const BlockDiagonal made = block_diagonal(builder_, name, type, naming, equations_);
      blocks_.emplace(slot, made.blocks);
      return made.value;
    }
    const UnitKernel kernel = unit_kernel(builder_, name, type, naming);
    equations_.push_back(type.shape[0] - kernel.copies * type.shape[1]);
    return kernels_.emplace(slot, kernel).first->second.value;
  }

  // Any value of an attribute that the patterns leave open.
  TermValue drawn_attribute(const ops::OpDef& op, const ops::AttrDef& def, int slot, int rank) {
    if (!literal_ || !spec(slot, false)) {
      const auto domain = finite_domain(op, def, rank);
      if (!domain.empty()) return domain[choices_.choose(static_cast<int>(domain.size()))];
      if (is_counted(def)) return named(rule_.variables[slot] + "_" + def.name);
    }
    const rules::SampleSpec* given_value = spec(slot, false);
    if (def.name == "steps" && !literal_) return steps(given_value, slot);
    if (const rules::SampleSpec* s = given_value) {
      const bool any_real = def.kind == ir::AttrKind::real && !questions_.asked.contains(slot);
      if (any_real) return parameter();
      const bool dims = is_list_of_sizes(def);
      any_sign_ = def.name == "pads";
      if (!dims && !questions_.near.contains(slot)) fixed_attributes_.insert(rule_.variables[slot]);
      return constant_term(*s->term, slot, "", dims, counts_from_zero(def));
    }
    if (def.kind == ir::AttrKind::real) return parameter();
    const auto fallback =
        def.default_value ? rules::to_term_value(*def.default_value) : std::nullopt;
    if (!fallback) throw Unfit{};
    return *fallback;
  }

  ir::AttrMap attributes(const Pattern& p, int rank) {
    ir::AttrMap attrs;
    for (const rules::AttrPattern& a : p.attrs) {
      const auto def = std::find_if(p.def->attrs.begin(), p.def->attrs.end(),
                                    [&](const ops::AttrDef& d) { return d.name == a.name; });
      TermValue v;
      if (a.term.kind == RuleTerm::Kind::variable) {
        auto& known = attrs_[a.term.slot];
        if (!known) known = drawn_attribute(*p.def, *def, a.term.slot, rank);
        v = *known;
        rules::Binding& b = bindings_[a.term.slot];
        b.kind = rules::Binding::Kind::term;
        b.term = v;
      } else {
        v = constant_term(a.term, 0, "", false, false);
      }
      const auto attr = rules::to_attribute(v, def->kind);
      if (!attr) throw Unfit{};
      if (!def->default_value || !ir::operator_equal(*attr, *def->default_value))
        attrs[a.name] = *attr;
    }
    if (p.rest >= 0)
      for (const auto& [name, v] : rest(p, rank)) attrs[name] = v;
    return attrs;
  }

  // Attributes that the rule does not name.
  const ir::AttrMap& rest(const Pattern& p, int rank) {
    rules::Binding& b = bindings_[p.rest];
    if (b.kind == rules::Binding::Kind::attrs) return b.attrs;
    b.kind = rules::Binding::Kind::attrs;
    std::vector<const ops::AttrDef*> open;
    for (const ops::AttrDef& def : p.def->attrs)
      if (std::none_of(p.attrs.begin(), p.attrs.end(),
                       [&](const rules::AttrPattern& a) { return a.name == def.name; }))
        open.push_back(&def);
    if (!given(p.rest)) b.attrs = of_family(*p.def, open);
    for (const ops::AttrDef* def : open) {
      std::optional<ir::AttrValue> v;
      const rules::SampleSpec* s = given(p.rest, def->name);
      const auto domain =
          literal_ && s ? std::vector<TermValue>{} : finite_domain(*p.def, *def, rank);
      if (!domain.empty())
        v = rules::to_attribute(domain[choices_.choose(static_cast<int>(domain.size()))],
                                def->kind);
      else if (def->kind == ir::AttrKind::real) v = parameter();
      else if (def->name == "steps" && !literal_)
        v = rules::to_attribute(steps(s, p.rest), def->kind);
      else if (is_counted(*def) && !literal_)
        v = ir::Dims{named(rule_.variables[p.rest] + "_" + def->name)};
      else if (is_window(def->name) && !literal_) v = window(def->name, p.rest, rank - 2);
      else if (s)
        v = rules::to_attribute(constant_term(*s->term, p.rest, "_" + def->name,
                                              is_list_of_sizes(*def), counts_from_zero(*def)),
                                def->kind);
      else continue;
      if (!v) throw Unfit{};
      const bool held = domain.empty() && def->name != "steps" && !is_list_of_sizes(*def) &&
                        !is_counted(*def) && def->kind != ir::AttrKind::real;
      if (s && held) fixed_attributes_.insert(rule_.variables[p.rest] + "." + def->name);
      if (def->default_value && ir::operator_equal(*v, *def->default_value))
        b.attrs.erase(def->name);
      else b.attrs[def->name] = *v;
    }
    return b.attrs;
  }

  // What the sample clause says of one attribute of a `*?a` variable, or of any.
  const rules::SampleSpec* given(int slot, const std::string& name = "") const {
    if (sample_)
      for (const rules::SampleSpec& s : *sample_)
        if (s.slot == slot && !s.attr.empty() && (name.empty() || s.attr == name)) return &s;
    return nullptr;
  }

  ir::AttrMap of_family(const ops::OpDef& op, const std::vector<const ops::AttrDef*>& open) {
    std::vector<ir::AttrMap> family(1);
    for (const ops::Sample& s : op.samples) {
      ir::AttrMap map;
      for (const ops::AttrDef* def : open) {
        const auto at = s.attrs.find(def->name);
        const bool symbolic = is_window(def->name) || is_counted(*def);
        if (at != s.attrs.end() && (literal_ || !symbolic)) map.insert(*at);
      }
      family_of_attributes_ |= literal_ && !map.empty();
      if (!map.empty()) family.push_back(map);
    }
    return family[choices_.choose(static_cast<int>(family.size()))];
  }

  // Any steps of a slice along as many axes as the sample clause has: none stated, ones, any up,
  // any down.
  TermValue steps(const rules::SampleSpec* s, int slot) {
    const size_t count = s && s->term ? std::max<size_t>(s->term->args.size(), 1) : 1;
    std::vector<Index> all;
    const int kind = choices_.choose(5);
    for (size_t k = 0; k < (kind == 0 ? 0 : count); ++k) {
      const Index any = named(fmt::format("{}_step{}", rule_.variables[slot], k));
      all.push_back(kind == 1 ? Index(1) : kind == 2 ? Index(-1) : kind == 3 ? any : -any);
    }
    return all;
  }

  // Any strides, dilations, kernels (from 1) or pads (from 0).
  ir::AttrValue window(const std::string& name, int slot, int axes) {
    ir::Dims dims;
    const bool pads = name == "pads";
    for (int k = 0; k < (pads ? 2 * axes : axes); ++k)
      dims.push_back(named(fmt::format("{}_{}{}", rule_.variables[slot], name, k)) -
                     Index(pads ? 1 : 0));
    return dims;
  }

  ops::Val name(const Pattern& p, ops::Val v) {
    if (p.slot >= 0) tensors_[{p.slot, -1}] = v;
    return v;
  }

  ops::Val value(const Pattern& p, int repetition, DType literal_type) {
    switch (p.kind) {
      case Pattern::Kind::variable: return tensor(p.slot, repetition);
      case Pattern::Kind::number: return builder_.scalar(p.number, literal_type);
      case Pattern::Kind::scalar: throw Unfit{};
      default: break;
    }
    if (p.slot >= 0 && tensors_[{p.slot, -1}].present()) return tensors_[{p.slot, -1}];
    if (p.kind == Pattern::Kind::any)
      return name(p, value(p.args[choices_.choose(static_cast<int>(p.args.size()))], repetition,
                           literal_type));
    std::vector<std::vector<ops::Val>> operands(p.args.size());
    DType type = literal_type;
    int rank = 0;
    for (const bool literals : {false, true})
      for (size_t k = 0; k < p.args.size(); ++k) {
        const Pattern& a = p.args[k];
        if ((a.kind == Pattern::Kind::number) != literals) continue;
        for (int i = 0; i < (a.repeated ? copies_ : 1); ++i)
          operands[k].push_back(value(a, a.repeated ? i : repetition, type));
        if (literals || operands[k].empty()) continue;
        type = operands[k].back().dtype();
        if (rank == 0) rank = operands[k].back().rank();
      }
    std::vector<ops::Val> inputs;
    for (auto& group : operands) inputs.insert(inputs.end(), group.begin(), group.end());
    const auto results = builder_.op_n(p.def->name, inputs, attributes(p, rank));
    size_t output = static_cast<size_t>(p.output);
    if (p.output_slot >= 0) {
      output = static_cast<size_t>(choices_.choose(static_cast<int>(results.size())));
      rules::Binding& b = bindings_[p.output_slot];
      b.kind = rules::Binding::Kind::term;
      b.term = Index(static_cast<int64_t>(output));
    }
    if (output >= results.size()) throw Unfit{};
    return name(p, results[output]);
  }

  // The graph, its conditions, and the right side beside it.
  Instance finish(const std::vector<ops::Val>& roots, std::vector<Index>& equations);
  void bind(const rules::WorkGraph& graph, const std::vector<std::pair<int, int>>& order,
            size_t first);

  const Rule& rule_;
  Questions questions_;
  Choices choices_;
  const Substitution& sizes_;
  bool free_, shared_, literal_;
  ops::Builder builder_;
  rules::Bindings bindings_;
  const rules::RuleSample* sample_ = nullptr;
  std::map<std::pair<int, int>, ops::Val> tensors_;
  std::map<int, std::optional<TermValue>> attrs_;
  std::set<double> parameters_;
  std::vector<Index> equations_;
  std::map<int, UnitKernel> kernels_;
  std::map<int, Index> blocks_;  // on the diagonals of tensors
  DType dtype_ = DType::f32;
  ir::Dims common_;
  int copies_ = 2;
  std::map<std::string, std::string> places_;  // where a name of the sample clause was met first
  bool any_sign_ = false;                      // pads may be negative
  bool fixed_ = false, same_sizes_ = false, family_of_attributes_ = false;
  std::set<std::string> fixed_attributes_;  // variables with one value, the sample clause's
};

void Maker::bind(const rules::WorkGraph& graph, const std::vector<std::pair<int, int>>& order,
                 size_t first) {
  for (size_t k = 0; k < order.size(); ++k) {
    const auto& [slot, repetition] = order[k];
    rules::Binding own;
    own.kind = rules::Binding::Kind::value;
    own.value = graph.results()[first + k].value;
    rules::Binding& b = bindings_[slot];
    if (repetition < 0) {
      b = own;
    } else {
      b.kind = rules::Binding::Kind::list;
      b.list.push_back(own);  // repetitions come in order
    }
  }
}

Instance Maker::finish(const std::vector<ops::Val>& roots, std::vector<Index>& equations) {
  for (size_t k = 0; k < roots.size(); ++k) builder_.output(fmt::format("y{}", k), roots[k]);
  std::vector<std::pair<int, int>> order;
  for (const auto& [key, v] : tensors_) {
    if (!v.present()) continue;
    order.push_back(key);
    builder_.output(fmt::format("v{}", order.size()), v);
  }
  rules::WorkGraph graph(std::move(builder_).finish(),
                         {.fold_constants = false, .symbolic_counts = true});
  bind(graph, order, roots.size());
  for (const auto& [slot, count] : blocks_) graph.assume_blocks(bindings_[slot].value, count);
  Instance instance;
  Problem& p = instance.problem;
  std::vector<ir::GraphOutput> outputs(graph.results().begin(),
                                       graph.results().begin() + static_cast<long>(roots.size()));
  p.left = ir::without_dead_nodes(graph.to_graph(outputs));
  equations = equations_;
  Conditions conditions(rule_, graph, bindings_);
  conditions.kernels = kernels_;
  for (const auto& [slot, kernel] : kernels_)
    p.hypotheses.insert(p.hypotheses.end(), kernel.facts.begin(), kernel.facts.end());
  if (!conditions.collect(equations, p)) throw Unfit{};
  p.parameters = parameters_;
  if (rule_.mode == rules::Mode::real)
    for (const double v : questions_.numbers)
      p.literals.emplace(static_cast<double>(static_cast<float>(v)), v);
  p.domain = domain_of(p.left, rule_.mode);
  p.description = describe(p.left);
  rules::Match match;
  match.rule = &rule_;
  match.bindings = bindings_;
  for (const ir::GraphOutput& o : outputs) match.roots.push_back(o.value);
  // While equations are open the right side may not exist yet.
  const bool open = std::any_of(equations.begin(), equations.end(),
                                [](const Index& e) { return !(e == Index(0)); });
  const auto results = rules::add_right_side(graph, match);
  if (!results) {
    if (!open) throw Unfit{};
    return instance;
  }
  // A rewrite that would change a type is never applied: equal types are a condition of every rule.
  for (size_t k = 0; k < outputs.size(); ++k) {
    const ir::ValueType a = graph.type(outputs[k].value), b = graph.type((*results)[k]);
    if (!open && (a.dtype != b.dtype || a.rank() != b.rank())) throw Unfit{};
    for (int axis = 0; axis < std::min(a.rank(), b.rank()); ++axis)
      equations.push_back(a.shape[axis] - b.shape[axis]);
    outputs[k].value = (*results)[k];
  }
  p.right = ir::without_dead_nodes(graph.to_graph(outputs));
  // Nor is one whose right side breaks an equation between sizes (rules::apply).
  equations = required_equations(p.right, std::move(equations));
  const auto limited = [&instance](const std::string& what) {
    instance.bound += (instance.bound.empty() ? "" : ", ") + what;
  };
  if (fixed_) limited("sizes and bounds as in the sample clause");
  for (const std::string& name : fixed_attributes_)
    limited("?" + name + " as in the sample clause");
  if (same_sizes_) limited("sizes equal as in the sample clause");
  if (family_of_attributes_) limited("attributes of windows as in the records' samples");
  return instance;
}

// All equations solved, one after the other.
std::optional<Instance> solved(const Rule& rule, std::vector<std::pair<int, int>>& choices,
                               int level) {
  Substitution sizes;
  bool divided = false;
  for (int round = 0; round < 40; ++round) {
    std::vector<Index> equations;
    std::optional<Instance> instance;
    try {
      instance = Maker(rule, choices, sizes, level).make(equations);
      equations = required_equations(instance->problem.left, std::move(equations));
    } catch (const Unfit&) {
      return std::nullopt;
    } catch (const UserError&) {
      return std::nullopt;
    }
    std::string name;
    Index value;
    const Solution solution = solve_one(equations, name, value, divided);
    if (solution == Solution::never) return std::nullopt;
    if (solution == Solution::none) {
      if (instance->problem.right.outputs().empty()) return std::nullopt;
      instance->problem.divided = divided;
      for (const Index& e : equations)
        if (!e.is_constant()) instance->problem.hypotheses.push_back({e, true});
      for (const auto& [n, v] : sizes)
        if (!v.is_constant() && !v.as_symbol()) instance->problem.sizes.push_back(v);
      return instance;
    }
    for (auto& [n, v] : sizes) v = v.substitute({{name, value}});
    sizes.emplace(name, value);
  }
  return std::nullopt;
}

}  // namespace

// Sample clauses that have no instance at one level are tried at the next.
std::optional<Instance> Instances::next() {
  const auto clauses = static_cast<int>(std::max<size_t>(rule_.samples.size(), 1));
  while (level_ <= sample_sizes) {
    if (made_ >= most_) {
      cut_off_ = true;
      return std::nullopt;
    }
    std::optional<Instance> found;
    if (!ended_) {
      found = solved(rule_, choices_, level_);
      current_ = choices_;
      const int clause = clauses > 1 && !choices_.empty() ? choices_[0].first : 0;
      if (found && earlier_.contains(clause)) found.reset();
      if (found) fitted_.insert(clause);
      while (!choices_.empty() && choices_.back().first + 1 == choices_.back().second)
        choices_.pop_back();
      if (choices_.empty()) ended_ = true;
      else ++choices_.back().first;
    } else {
      ++level_;
      earlier_ = fitted_;
      if (static_cast<int>(earlier_.size()) == clauses) break;
      ended_ = false;
    }
    if (!found) continue;
    ++made_;
    return found;
  }
  level_ = sample_sizes + 1;
  return std::nullopt;
}

std::optional<Instance> Instances::weaker(int level) const {
  if (level <= level_) return std::nullopt;
  auto choices = current_;
  return solved(rule_, choices, level);
}

}  // namespace tessera::prove
