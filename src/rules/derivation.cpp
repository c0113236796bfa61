// SPDX-License-Identifier: Apache-2.0
// Replay: the small checker of derivations.
#include "rules/derivation.h"

#include <sstream>

#include "base/check.h"
#include "rules/matcher.h"

namespace tessera::rules {

bool take_step(WorkGraph& graph, const RuleSet& rules, const Step& step) {
  if (step.rule == "fold-constants") {
    fold_large_constants(graph, fold_growth);
    return true;
  }
  if (const Pass* pass = find_pass(step.rule))
    return pass->run && step.root < graph.node_limit() && graph.alive(step.root) &&
           graph.def(step.root).name == pass->root && pass->run(graph, step.root);
  const Rule* rule = rules.find(step.rule);
  if (!rule || step.root >= graph.node_limit()) return false;
  std::optional<Match> match;
  find_matches(graph, *rule, step.root, [&](const Match& m) {
    if (m.ordinal == step.ordinal) match = m;
    return !match;
  });
  return match && apply(graph, *match);
}

ir::Graph replay(const ir::Graph& graph, const Derivation& derivation, const RuleSet& rules,
                 const WorkOptions& options) {
  WorkGraph work(graph, options);
  for (size_t k = 0; k < derivation.size(); ++k) {
    const Step& s = derivation[k];
    TESSERA_USER_CHECK(rules.find(s.rule) || find_pass(s.rule), "step {}: unknown rule '{}'", k + 1,
                       s.rule);
    TESSERA_USER_CHECK(take_step(work, rules, s), "step {}: rule '{}' does not apply at node {}",
                       k + 1, s.rule, s.root);
  }
  return work.to_graph();
}

std::string to_text(const Derivation& derivation) {
  std::string text;
  for (const Step& s : derivation)
    text += fmt::format("{} {} {} {}\n", s.rule, s.root, s.ordinal, s.nodes);
  return text;
}

Derivation derivation_from_text(std::string_view text) {
  Derivation result;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    Step s;
    fields >> s.rule >> s.root >> s.ordinal;
    TESSERA_USER_CHECK(!fields.fail(), "malformed derivation line '{}'", line);
    std::getline(fields >> std::ws, s.nodes);
    result.push_back(std::move(s));
  }
  return result;
}

}  // namespace tessera::rules
