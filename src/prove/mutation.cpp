// SPDX-License-Identifier: Apache-2.0
// Wrong meanings and dropped conditions.
#include "prove/mutation.h"

#include <cmath>

#include "base/check.h"
#include "ops/evaluate.h"
#include "prove/instance.h"
#include "rules/sample.h"

namespace tessera::prove {
namespace {

ir::Meaning composed(const ir::Graph& graph, std::optional<Mutation> mutation) {
  Composer composer(graph, mutation);
  ir::Meaning m;
  m.pool = std::make_unique<ir::ExprPool>();
  for (ir::NodeId id : graph.inputs()) m.inputs.push_back(graph.node(id).outputs[0]);
  for (const ir::GraphOutput& o : graph.outputs())
    m.outputs.push_back({graph.type(o.value).shape, composer.compose(o.value, *m.pool)});
  return m;
}

// Whether the reference sees that the mutated right side differs, at random small sizes.
bool differs(const Problem& p, const ProveOptions& options) {
  Rng rng(options.seed + 7);
  std::map<std::string, Index> names;
  for (const ir::Node& n : p.left.nodes())
    for (const ir::ValueType& t : n.outputs)
      for (const Index& d : t.shape) d.collect_symbols(names);
  int tried = 0;
  for (int draw = 0; draw < 200 && tried < 8; ++draw) {
    Substitution sizes;
    for (const auto& [name, value] : names) sizes.emplace(name, Index(rng.integer(1, 4)));
    try {
      const ir::Graph left = expanded(resized(p.left, sizes));
      const ir::Graph right = expanded(resized(p.right, sizes));
      const auto inputs = rules::random_inputs(left, rng, false);
      const ir::Meaning good = composed(left, {}), bad = composed(right, p.mutation);
      const bool wide = p.domain == Domain::reals;
      const auto a = ops::tree_evaluate(good, inputs, wide);
      ++tried;
      std::vector<Tensor> b;
      try {
        b = ops::tree_evaluate(bad, inputs, wide);
      } catch (const std::exception&) {
        return true;  // reads outside of a tensor
      }
      for (size_t k = 0; k < a.size(); ++k)
        for (int64_t i = 0; i < a[k].size(); ++i) {
          const double x = is_float(a[k].type()) ? a[k].float_at(i) : a[k].integer_at(i);
          const double y = is_float(b[k].type()) ? b[k].float_at(i) : b[k].integer_at(i);
          if (!std::isnan(x) && !(std::abs(x - y) <= 1e-7 * std::max(1.0, std::abs(x))))
            return true;
        }
    } catch (const UserError&) {
      continue;
    }
  }
  return false;
}

std::vector<Mutation> mutations_of(const ir::Graph& right) {
  std::vector<Mutation> all;
  const Composer composer(right);
  for (ir::NodeId id = 0; id < right.node_count(); ++id) {
    const ir::Meaning* m = composer.meaning(id);
    if (!m) continue;
    all.push_back({id, -1, 0});
    for (size_t k = 0; k < m->inputs.size(); ++k)
      for (int axis = 0; axis < m->inputs[k].rank(); ++axis)
        if (!m->inputs[k].opaque && !right.constant(right.node(id).inputs[k]))
          all.push_back({id, static_cast<int>(k), axis});
  }
  return all;
}

void mutate_conditions(const rules::Rule& rule, const ProveOptions& options,
                       MutationReport& report) {
  for (size_t k = 0; k < rule.conditions.size(); ++k) {
    const rules::Term& c = rule.conditions[k];
    const bool about_place = c.name == "const" || c.name == "uses" ||
                             (c.name == "=" && !c.args.empty() && c.args[0].name == "uses");
    if (about_place) continue;
    rules::Rule without = rule;
    without.conditions.erase(without.conditions.begin() + static_cast<long>(k));
    ++report.mutants;
    if (!prove(without, options).holds()) {
      ++report.detected;
      continue;
    }
    const rules::SampleReport sampled =
        rules::check_rule(without, {.instances = 60, .attempts = 3000, .seed = 5});
    if (sampled.ok) ++report.equivalent;
    else report.missed.push_back(fmt::format("{} without condition {}", rule.name, k + 1));
  }
}

}  // namespace

MutationReport mutate(const rules::Rule& rule, int instances, const ProveOptions& options) {
  MutationReport report;
  Instances all(rule, options.most_instances);
  int used = 0;
  while (used < instances) {
    auto next = all.next();
    if (!next) break;
    if (decide(next->problem, options).kind != Outcome::Kind::proved) continue;
    ++used;
    const ir::Graph right = expanded(next->problem.right);
    for (const Mutation& m : mutations_of(right)) {
      Problem wrong = next->problem;
      wrong.mutation = m;
      ++report.mutants;
      if (decide(wrong, options).kind != Outcome::Kind::proved) {
        ++report.detected;
      } else if (!differs(wrong, options)) {
        ++report.equivalent;
      } else {
        report.missed.push_back(fmt::format("{}: {} of node {} ({}) [{}]", rule.name,
                                            m.input < 0 ? "outputs times 3" : "an index shifted",
                                            m.node, right.node(m.node).op,
                                            next->problem.description));
      }
    }
  }
  if (used > 0) mutate_conditions(rule, options, report);
  return report;
}

}  // namespace tessera::prove
