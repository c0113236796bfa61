// SPDX-License-Identifier: Apache-2.0
// Search, then measurement and the check against the reference, which decide what is returned.
#include "api/optimize.h"

#include <chrono>

#include "api/known_rewrites.h"
#include "api/load.h"
#include "base/check.h"
#include "rules/rule_set.h"
#include "search/optimize.h"

namespace tessera::api {
namespace {

constexpr double quick_budget_seconds = 5;

// A candidate replaces the input only if its measured ratio is no more than this: pairs of equal
// programs scatter by about so much.
constexpr double slower = 1.01;

rules::RuleSet load_rules(const Options& options) {
  rules::RuleSet rules;
  if (options.proved_rules) {
    rules::add_rules(rules, rules_folder(options), {.least = rules::Status::proved});
    rules::add_rules(rules, learned_rules_folder(options), {.least = rules::Status::proved});
  } else {
    rules = rules::load_rules(rules_folder(options));
  }
  for (const std::string& name : rules.left_out())
    warn(options, fmt::format("rule {} is left out: it has no valid certificate", name));
  return rules;
}

search::OptimizeOptions search_options(const Options& options, double budget) {
  search::OptimizeOptions searching;
  searching.mode = options.exact ? rules::Mode::exact : rules::Mode::real;
  searching.progress = options.progress;
  searching.budget_seconds = budget;
  searching.disabled = options.disabled_rules;
  searching.threads = thread_count(options);
  return searching;
}

search::OptimizeResult search_for(const ir::Graph& graph, const rules::RuleSet& rules,
                                  const Options& options, double budget) {
  return search::optimize(graph, rules, search_options(options, budget));
}

// Why the graph cannot be run, or nothing.
std::string obstacle(const ir::Graph& graph) {
  for (const ir::Node& node : graph.nodes())
    if (node.op == "barrier")
      return fmt::format("node '{}' is an operator that Tessera cannot interpret", node.name);
  try {
    require_concrete(graph);
  } catch (const UserError& e) {
    return e.what();
  }
  return {};
}

// Why the candidate may not replace the input, or nothing. Fills in what was measured.
std::string objection(const ir::Graph& before, OptimizeReport& candidate, const Options& options,
                      const OptimizeSettings& settings) {
  if (settings.tolerance)
    candidate.precision = choose_precision(candidate.graph, options, *settings.tolerance);
  Options reduced = options;
  if (candidate.precision) reduced.reduced = candidate.precision->reduced;
  if (settings.check) {
    CheckOptions checking;
    checking.seeds = 1;
    checking.first_seed = 1001;  // not the inputs that are measured
    checking.tolerance = settings.tolerance;
    checking.reduced = reduced.reduced;
    candidate.checked = check(before, candidate.graph, options, checking);
    if (!candidate.checked->same) {
      const CheckedOutput& worst = candidate.checked->outputs[candidate.checked->worst_output];
      return fmt::format("output '{}' of what the search found is off by {:.1e}, more than {:.1e}",
                         worst.name, worst.error, worst.tolerance);
    }
  }
  if (!settings.measure) return {};
  report_progress(options, "compiling before and after");
  Options without = options;
  without.kernels.clear();
  without.exact = true;  // as it was imported
  const auto first = compile(before, without), second = compile(candidate.graph, reduced);
  candidate.kernels = second->kernels();
  candidate.peak_bytes_before = first->peak_bytes();
  candidate.peak_bytes_after = second->peak_bytes();
  report_progress(options, "measuring before and after by turns");
  candidate.timing =
      measure_pair(*first, *second, random_inputs(before, 1), settings.measure_seconds);
  if (candidate.timing->ratio_low <= 1 && candidate.timing->ratio <= slower) return {};
  return fmt::format("what the search found measured slower ({:.2f} times)",
                     candidate.timing->ratio);
}

// The input itself in reduced precision, where that is faster and inside the tolerance.
void reduce_input(const ir::Graph& graph, OptimizeReport& report, const Options& options,
                  const OptimizeSettings& settings) {
  OptimizeReport same;
  same.graph = graph;
  const std::string problem = objection(graph, same, options, settings);
  report.precision = problem.empty() ? same.precision : std::nullopt;
  if (!problem.empty()) return;
  report.checked = same.checked;
  report.timing = same.timing;
  report.peak_bytes_after = same.peak_bytes_after;
}

// What a search found, not yet judged.
OptimizeReport candidate_from(const ir::Graph& graph, const rules::RuleSet& rules,
                              const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  search::OptimizeResult found = search_for(graph, rules, options, options.budget_seconds);
  OptimizeReport report;
  report.search_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.graph = std::move(found.graph);
  report.rules_used = std::move(found.rules_used);
  report.derivation = std::move(found.derivation);
  report.predicted_before_ms = 1e3 * found.cost_before;
  report.predicted_after_ms = 1e3 * found.cost_after;
  report.stop_reason = search::to_string(found.stop);
  return report;
}

// The rules of a candidate that only the predicted cost speaks for.
std::set<std::string> speculative_rules(const OptimizeReport& candidate,
                                        const rules::RuleSet& rules) {
  std::set<std::string> names;
  for (const auto& [name, count] : candidate.rules_used)
    if (const rules::Rule* rule = rules.find(name); rule && rule->when_cheaper) names.insert(name);
  return names;
}

}  // namespace

std::map<std::string, int> count_operators(const ir::Graph& graph) {
  std::map<std::string, int> counts;
  for (const ir::Node& node : graph.nodes())
    if (node.op != "input" && node.op != "constant") ++counts[node.op];
  return counts;
}

std::map<std::string, OperatorCounts> operators_by_type(const OptimizeReport& report) {
  std::map<std::string, OperatorCounts> both;
  for (const auto& [op, count] : report.operators_before) both[op].before = count;
  for (const auto& [op, count] : report.operators_after) both[op].after = count;
  return both;
}

ir::Graph optimize_quickly(const ir::Graph& graph, const Options& options) {
  report_progress(options, "rewriting");
  const double budget = std::min(quick_budget_seconds, options.budget_seconds);
  std::vector<std::string> folders{rules_folder(options)};
  if (options.proved_rules) folders.push_back(learned_rules_folder(options));
  const rules::RuleSet rules = load_rules(options);
  KnownRewrites known(graph, options, budget, folders);
  const rules::WorkOptions work = search::work_options(search_options(options, budget));
  if (auto replayed = known.replay(graph, rules, work)) return std::move(*replayed);
  search::OptimizeResult found = search_for(graph, rules, options, budget);
  // (What was returned unchanged would be changed by a replay: equal nodes are merged.)
  if (found.stop == search::StopReason::saturated || found.stop == search::StopReason::node_limit)
    known.keep(found.derivation, found.graph);
  return std::move(found.graph);
}

OptimizeReport optimize(const ir::Graph& graph, const Options& options,
                        const OptimizeSettings& settings) {
  const rules::RuleSet rules = load_rules(options);
  report_progress(options, "searching");
  OptimizeReport report = candidate_from(graph, rules, options);
  report.not_measured = obstacle(graph);
  if (report.not_measured.empty()) {
    report.kept_input = objection(graph, report, options, settings);
    const std::set<std::string> speculative = speculative_rules(report, rules);
    if (!report.kept_input.empty() && !speculative.empty()) {
      report_progress(options, report.kept_input + "; searching with fewer rules");
      Options fewer = options;
      fewer.disabled_rules.insert(speculative.begin(), speculative.end());
      fewer.budget_seconds = std::max(1.0, options.budget_seconds - report.search_seconds);
      OptimizeReport cautious = candidate_from(graph, rules, fewer);
      cautious.kept_input = objection(graph, cautious, options, settings);
      cautious.search_seconds += report.search_seconds;
      if (cautious.kept_input.empty()) report = std::move(cautious);
    }
  }
  if (!report.kept_input.empty()) {
    if (report.checked && !report.checked->same) warn(options, report.kept_input);
    report.graph = graph;
    report.kernels.clear();
    report.derivation.clear();
    report.peak_bytes_after = report.peak_bytes_before;
    if (settings.tolerance) reduce_input(graph, report, options, settings);
  }
  report.operators_before = count_operators(graph);
  report.operators_after = count_operators(report.graph);
  return report;
}

}  // namespace tessera::api
