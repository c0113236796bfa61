// SPDX-License-Identifier: Apache-2.0
// Legality and equality of one pair of graphs.
#include "prove/problem.h"

#include <algorithm>

#include "base/check.h"
#include "ops/builder.h"
#include "ops/registry.h"
#include "prove/decide.h"
#include "prove/lower.h"
#include "rules/bindings.h"

namespace tessera::prove {
namespace {

Facts facts_of(const Problem& p) {
  Facts facts;
  for (const Guard& g : p.hypotheses) facts.assume(g);
  for (const Index& size : p.sizes) facts.assume({size - Index(p.least), false});
  return facts;
}

bool follows(const Facts& facts, const Guard& g, const SolverLimits& limits) {
  return facts.implies(g) || can_fail(facts.guards(), g, limits) == Answer::unsatisfiable;
}

// Whether every element exists that an output of a node reads.
std::string illegal_read(const ir::Graph& graph, ir::NodeId id, const ir::Meaning& meaning,
                         const ir::MeaningOutput& output, const Facts& facts,
                         const SolverLimits& limits, const std::optional<Mutation>& mutation) {
  OutputRanges ranges(output.shape);
  for (;;) {
    Algebra algebra(Domain::bits);
    Facts inside = facts;
    ranges.assume_in(inside);
    std::string problem;
    std::vector<Index> places;
    Lowering lowering(algebra, inside, ranges.variables(), ranges.indices());
    lowering.on_read = [&](uint32_t input, std::vector<Index> at, const Facts& known) {
      const ir::Dims& shape = meaning.inputs[input].shape;
      if (mutation && mutation->node == id && mutation->input == static_cast<int>(input))
        at[mutation->axis] = at[mutation->axis] + Index(1);
      for (size_t k = 0; k < at.size() && problem.empty(); ++k)
        if (!follows(known, {at[k], false}, limits) ||
            !follows(known, {shape[k] - Index(1) - at[k], false}, limits))
          problem = fmt::format("{} may read outside of its input {} along axis {}",
                                graph.node(id).op, input, k);
      places.insert(places.end(), at.begin(), at.end());
    };
    lowering.value(output.body);
    const auto is_split = [&](const Index& place) { return ranges.split(place, facts); };
    if (problem.empty() || std::none_of(places.begin(), places.end(), is_split)) return problem;
  }
}

std::string illegal_read(const ir::Graph& graph, const Facts& facts, const SolverLimits& limits,
                         const std::optional<Mutation>& mutation) {
  const Composer composer(graph);
  for (ir::NodeId id = 0; id < graph.node_count(); ++id)
    if (const ir::Meaning* m = composer.meaning(id))
      for (const ir::MeaningOutput& o : m->outputs)
        if (std::string s = illegal_read(graph, id, *m, o, facts, limits, mutation); !s.empty())
          return s;
  return {};
}

Sum parameter(Algebra& algebra, double value) {
  ir::ExprPool pool;
  Lowering lowering(algebra, {}, 0);
  return lowering.value(pool.real(value, DType::f64));
}

// The skeletons of the divisors met, as they are and simplified.
std::set<std::string> take_divisors(Algebra& algebra, const Facts& facts) {
  const auto met = algebra.divisors();
  for (const auto& [text, atom] : met) {
    Term t;
    t.factors = {{atom, 1}};
    algebra.inverse(algebra.simplified({{t}}, facts), facts);
  }
  std::set<std::string> all;
  for (const auto& [text, atom] : algebra.divisors()) all.insert(text);
  algebra.forget_divisors();
  return all;
}

// A divisor of the right side that neither is one of the left side nor simplifies to such.
std::string new_divisor(const std::set<std::string>& left, Algebra& algebra, const Facts& facts) {
  const auto met = algebra.divisors();
  for (const auto& [text, atom] : met) {
    if (left.contains(text)) continue;
    algebra.forget_divisors();
    Term t;
    t.factors = {{atom, 1}};
    algebra.inverse(algebra.simplified({{t}}, facts), facts);
    for (const auto& [simple, part] : algebra.divisors())
      if (!left.contains(simple)) return simple;
  }
  return {};
}

class Decider {
 public:
  Decider(const Problem& p, const ProveOptions& options)
      : p_(p),
        options_(options),
        left_(expanded(p.left)),
        right_(expanded(p.right)),
        facts_(facts_of(p)) {}

  Outcome run() {
    if (left_.outputs().size() != right_.outputs().size())
      return {Outcome::Kind::unknown, "the sides have different numbers of outputs", ""};
    if (left_.inputs().size() != right_.inputs().size())
      return unknown("the sides have different numbers of inputs");
    for (size_t k = 0; k < left_.inputs().size(); ++k)
      if (!(left_.node(left_.inputs()[k]).outputs == right_.node(right_.inputs()[k]).outputs))
        return unknown(fmt::format("input {} has two types", k));
    Composer right(right_, p_.mutation);
    right.literals = p_.literals;
    right.parameters = p_.parameters;
    if (options_.check_legality) {
      for (const ir::Requirement& r : right.requirements()) {
        const Guard g{r.lhs - r.rhs, r.kind == ir::Requirement::Kind::equal};
        if (!follows(facts_, g, options_.limits))
          return unknown(fmt::format("legality: {} ({} {} {})", r.message, r.lhs.to_string(),
                                     g.equal ? "=" : ">=", r.rhs.to_string()));
      }
      if (std::string s = illegal_read(right_, facts_, options_.limits, p_.mutation); !s.empty())
        return unknown("legality: " + s);
    }
    Composer left(left_);
    left.literals = p_.literals;
    left.parameters = p_.parameters;
    std::string how;
    for (size_t k = 0; k < left_.outputs().size(); ++k) {
      const Outcome o = output(left, right, k);
      if (o.kind != Outcome::Kind::proved) return o;
      if (step_rank(o.how) > step_rank(how)) how = o.how;
    }
    return {Outcome::Kind::proved, "", how};
  }

 private:
  static Outcome unknown(std::string reason) {
    return {Outcome::Kind::unknown, std::move(reason), ""};
  }

  Outcome output(Composer& left, Composer& right, size_t k) {
    const ir::Value a = left_.outputs()[k].value, b = right_.outputs()[k].value;
    const ir::ValueType &ta = left_.type(a), &tb = right_.type(b);
    if (ta.dtype != tb.dtype || ta.rank() != tb.rank())
      return unknown(fmt::format("types {} and {}", ta.to_string(), tb.to_string()));
    for (int axis = 0; axis < ta.rank(); ++axis)
      if (!follows(facts_, {ta.shape[axis] - tb.shape[axis], true}, options_.limits))
        return unknown(fmt::format("shapes {} and {}", ta.to_string(), tb.to_string()));
    ir::ExprPool pool;
    const ir::Expr x = left.compose(a, pool), y = right.compose(b, pool);
    // Where indices are divided, digits of them first, and all without a solver.
    OutputRanges ranges(ta.shape);
    for (;;) {
      OutputRanges digits = ranges;
      const Outcome o = equal(x, y, ranges, &digits);
      const bool more = digits.variables() > ranges.variables();
      if (o.kind == Outcome::Kind::proved || (!more && ranges.indices().empty())) return o;
      if (!more) break;
      ranges = digits;
    }
    const Outcome o = equal(x, y, ranges);
    return o.kind == Outcome::Kind::proved ? o : equal(x, y, OutputRanges(ta.shape));
  }

  // Splits `digits` where indices are divided; the solver is for later then.
  Outcome equal(ir::Expr x, ir::Expr y, const OutputRanges& ranges,
                OutputRanges* digits = nullptr) {
    Facts facts = facts_;
    ranges.assume_in(facts);
    Algebra algebra(p_.domain);
    std::vector<Sum> nonnegative;
    int number = 0;
    for (const double value : p_.parameters)
      algebra.parameters.emplace(value, fmt::format("${}", number++));
    for (const auto& [low, high] : p_.at_most)
      nonnegative.push_back(
          algebra.add(parameter(algebra, high), algebra.scale(parameter(algebra, low), -1)));
    if (p_.domain == Domain::reals)
      for (const Sum& s : nonnegative) algebra.assume_nonnegative(s);
    Lowering one(algebra, facts, ranges.variables(), ranges.indices());
    const Sum l = one.value(x);
    const std::set<std::string> divisors = take_divisors(algebra, facts);
    const std::set<std::string> demands = algebra.take_demands(facts);
    algebra.end_of_assumptions();
    Lowering other(algebra, facts, 0, ranges.indices());
    const Sum r = other.value(y);
    if (p_.domain == Domain::reals && options_.check_legality) {
      if (std::string d = new_divisor(divisors, algebra, facts); !d.empty())
        return unknown("legality: the right side divides by " + d.substr(0, 200));
      if (std::string d = algebra.new_demand(demands, facts); !d.empty())
        return unknown("legality: the right side is not defined everywhere: " + d.substr(0, 200));
    }
    const Sum difference = algebra.add(l, algebra.scale(r, -1));
    if (digits) visit_indices(difference, [&](const Index& e) { digits->split(e, facts); });
    SolverLimits limits = options_.limits;
    if (digits && !digits->indices().empty()) limits.steps = 0;
    const Decision decision = decide_zero(algebra, difference, facts, nonnegative, limits);
    if (decision.kind == Decision::Kind::zero) return {Outcome::Kind::proved, "", decision.how};
    return unknown(decision.how);
  }

  const Problem& p_;
  const ProveOptions& options_;
  ir::Graph left_, right_;
  Facts facts_;
};

}  // namespace

void assume_requirements(Problem& p) {
  const ir::Graph left = expanded(p.left);
  const Composer composer(left);
  for (const ir::Requirement& r : composer.requirements())
    p.hypotheses.push_back({r.lhs - r.rhs, r.kind == ir::Requirement::Kind::equal});
  for (const ir::Node& n : left.nodes())  // no extent is negative
    for (const ir::ValueType& t : n.outputs)
      for (const Index& d : t.shape) {
        const Guard g{d, false};
        const bool known =
            d.is_constant() || is_never_negative(d) ||
            std::find(p.hypotheses.begin(), p.hypotheses.end(), g) != p.hypotheses.end();
        if (!known && n.op == "pad") p.hypotheses.push_back(g);
      }
}

namespace {

// Sizes; one number where the record asks for a number.
ir::AttrValue count_or_sizes(const std::string& op, const std::string& attr, const ir::Dims& dims) {
  for (const ops::AttrDef& def : ops::registry().get(op).attrs)
    if (def.name == attr && def.kind == ir::AttrKind::integer && dims[0].constant())
      return *dims[0].constant();
  return dims;
}

}  // namespace

ir::Graph resized(const ir::Graph& graph, const Substitution& sizes,
                  const std::map<double, double>& numbers) {
  ops::Builder builder(graph.name());
  std::vector<std::vector<ops::Val>> values(graph.node_count());
  const auto replaced = [&](const ir::Dims& dims) {
    ir::Dims r;
    for (const Index& d : dims) r.push_back(d.substitute(sizes));
    return r;
  };
  std::map<ir::NodeId, ops::Val> inputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::Node& n = graph.node(id);
    ir::ValueType type = n.outputs[0];
    type.shape = replaced(type.shape);
    values[id] = {builder.input(n.name, type)};
  }
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") continue;
    if (const Tensor* t = graph.constant({id, 0})) {
      const bool single = is_float(t->type()) && t->size() == 1;
      const auto other = single ? numbers.find(t->float_at(0)) : numbers.end();
      if (other == numbers.end()) {
        values[id] = {builder.constant(*t, n.name)};
        continue;
      }
      Tensor changed(t->type(), t->shape());
      changed.set_float(0, other->second);
      values[id] = {builder.constant(std::move(changed), n.name)};
      continue;
    }
    std::vector<ops::Val> operands;
    for (ir::Value v : n.inputs)
      operands.push_back(v.present() ? values[v.node][v.index] : ops::Val{});
    ir::AttrMap attrs = n.attrs;
    for (auto& [name, value] : attrs) {
      if (auto* dims = std::get_if<ir::Dims>(&value))
        value = count_or_sizes(n.op, name, replaced(*dims));
      else if (auto* real = std::get_if<double>(&value); real && numbers.contains(*real))
        *real = numbers.at(*real);
    }
    values[id] = builder.op_n(n.op, operands, attrs, n.regions, n.name);
  }
  for (const ir::GraphOutput& o : graph.outputs())
    builder.output(o.name, values[o.value.node][o.value.index]);
  return std::move(builder).finish();
}

bool solve(const Index& e, std::string& name, Index& value) {
  constexpr int64_t largest_divisor = 8;
  std::map<std::string, Index> names;
  e.collect_symbols(names);
  // n mod d = 0: n is d times another size.
  for (const sym::Term& t : e.terms())
    for (const sym::Atom& a : t.factors) {
      const auto n = a.args.empty() ? std::nullopt : a.args[0].as_symbol();
      if (!n || a.args[1].is_constant() || mentions(a.args[1], *n)) continue;
      const Index rest = sym::modulo(a.args[0], a.args[1]);
      if (!(e == rest) && !(e == -rest)) continue;
      name = *n;
      value = a.args[1] * Index::symbol(*n + "_q");
      return true;
    }
  for (const auto& [n, symbol] : names)
    for (int64_t c = 2; c <= largest_divisor; ++c) {
      const Index rest = sym::modulo(symbol, c);
      if (!(e == rest) && !(e == -rest)) continue;
      name = n;
      value = Index(c) * Index::symbol(fmt::format("{}_{}", n, c));
      return true;
    }
  for (const auto& [n, symbol] : names) {
    Index c, rest;
    if (is_variable(n) || !split_linear(e, n, c, rest)) continue;
    if (!(c == Index(1)) && !(c == Index(-1))) continue;
    name = n;
    value = c == Index(1) ? -rest : rest;
    return true;
  }
  return false;
}

namespace {

// The equation without a size that all its terms have as a factor.
std::optional<Index> without_common_size(const Index& e) {
  if (e.constant_part() != 0 || e.terms().size() < 2) return std::nullopt;
  for (const sym::Atom& f : e.terms()[0].factors) {
    if (f.kind != sym::AtomKind::symbol || is_variable(f.name)) continue;
    Index rest(0);
    bool common = true;
    for (sym::Term t : e.terms()) {
      const auto at = std::find(t.factors.begin(), t.factors.end(), f);
      common &= at != t.factors.end();
      if (!common) break;
      t.factors.erase(at);
      rest = rest + term_value(t);
    }
    if (common) return rest;
  }
  return std::nullopt;
}

// A product of sizes that is 1.
bool is_unit_product(const Index& e, std::string& name, Index& value) {
  if (e.terms().size() != 1 || e.constant_part() != -e.terms()[0].coefficient) return false;
  for (const sym::Atom& f : e.terms()[0].factors)
    if (f.kind != sym::AtomKind::symbol || is_variable(f.name)) return false;
  name = e.terms()[0].factors[0].name;
  value = Index(1);
  return true;
}

}  // namespace

Solution solve_one(const std::vector<Index>& equations, std::string& name, Index& value,
                   bool& divided) {
  for (const Index& given : equations) {
    Index e = given;
    if (const auto c = e.constant()) {
      if (*c != 0) return Solution::never;
      continue;
    }
    bool found = solve(e, name, value);
    for (auto rest = without_common_size(e); !found && rest; rest = without_common_size(e)) {
      e = *rest;
      found = solve(e, name, value);
      divided |= found;
    }
    if (!found && !is_unit_product(e, name, value)) continue;
    if (const auto c = value.constant(); c && *c < 1) return Solution::never;
    return Solution::one;
  }
  return Solution::none;
}

bool unify(Problem& p) {
  for (int round = 0; round < 40; ++round) {
    Problem all = p;
    assume_requirements(all);
    std::vector<Index> equations;
    for (const Guard& g : all.hypotheses)
      if (g.equal) equations.push_back(g.value);
    std::string name;
    Index value;
    const Solution solution = solve_one(equations, name, value, p.divided);
    if (solution != Solution::one) return solution == Solution::none;
    const Substitution by{{name, value}};
    p.left = resized(p.left, by);
    p.right = resized(p.right, by);
    p.hypotheses = substitute(p.hypotheses, by);
    std::erase_if(p.hypotheses, [](const Guard& g) { return g.equal && g.value == Index(0); });
    for (Index& size : p.sizes) size = size.substitute(by);
    if (!value.as_symbol() && !value.constant()) p.sizes.push_back(value);
  }
  return true;
}

std::string describe(const ir::Graph& left) {
  std::string text;
  for (ir::NodeId id : left.inputs())
    text += (text.empty() ? "" : ", ") + left.node(id).outputs[0].to_string();
  for (const ir::Node& n : left.nodes())
    for (const auto& [attr, v] : n.attrs)
      if (const auto term = rules::to_term_value(v))
        if (const auto* sizes = std::get_if<std::vector<Index>>(&*term))
          text += fmt::format(" {}.{}={}", n.op, attr, sym::to_string(*sizes));
  return text;
}

Domain domain_of(const ir::Graph& graph, rules::Mode mode) {
  bool floats = false, integers = false;
  for (const ir::Node& n : graph.nodes())
    for (const ir::ValueType& t : n.outputs) {
      floats |= is_float(t.dtype);
      integers |= is_integer(t.dtype);
    }
  if (floats) return mode == rules::Mode::real ? Domain::reals : Domain::bits;
  return integers ? Domain::integers : Domain::booleans;
}

std::optional<Problem> with_empty_tensors(const Problem& problem) {
  Substitution by;
  for (ir::NodeId id : problem.left.inputs())
    for (const Index& extent : problem.left.node(id).outputs[0].shape) {
      if (extent.is_constant()) continue;
      const auto name = extent.as_symbol();
      if (!name) return std::nullopt;
      by.emplace(*name, extent - Index(1));
    }
  Problem p = problem;
  p.least = 0;
  p.left = resized(p.left, by);
  p.right = resized(p.right, by);
  p.hypotheses = substitute(p.hypotheses, by);
  for (Index& size : p.sizes) size = size.substitute(by);
  return p;
}

Outcome decide(Problem problem, const ProveOptions& options) {
  try {
    assume_requirements(problem);
    return Decider(problem, options).run();
  } catch (const Undecided& u) {
    return {Outcome::Kind::unknown, u.reason, ""};
  } catch (const UserError& e) {
    return {Outcome::Kind::unknown, e.what(), ""};
  }
}

}  // namespace tessera::prove
