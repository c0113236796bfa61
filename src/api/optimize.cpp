// SPDX-License-Identifier: Apache-2.0
// Search, then measurement and the check against the reference, which decide what is returned.
#include "api/optimize.h"

#include <chrono>

#include "api/load.h"
#include "base/check.h"
#include "rules/rule_set.h"
#include "search/optimize.h"

namespace tessera::api {
namespace {

constexpr double quick_budget_seconds = 5;

search::OptimizeResult search_for(const ir::Graph& graph, const Options& options, double budget) {
  const rules::RuleSet rules = rules::load_rules(rules_folder(options));
  for (const std::string& name : rules.left_out())
    warn(options, fmt::format("rule {} is left out: it has no valid certificate", name));
  search::OptimizeOptions searching;
  searching.mode = options.exact ? rules::Mode::exact : rules::Mode::real;
  searching.progress = options.progress;
  searching.budget_seconds = budget;
  searching.disabled = options.disabled_rules;
  searching.threads = thread_count(options);
  return search::optimize(graph, rules, searching);
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

void measure_both(const ir::Graph& before, OptimizeReport& report, const Options& options,
                  double seconds) {
  report_progress(options, "compiling before and after");
  const auto first = compile(before, options), second = compile(report.graph, options);
  report.peak_bytes_before = first->peak_bytes();
  report.peak_bytes_after = second->peak_bytes();
  report_progress(options, "measuring before and after by turns");
  report.timing = measure_pair(*first, *second, random_inputs(before, 1), seconds);
  if (report.timing->ratio_low > 1)
    report.kept_input =
        fmt::format("what the search found measured slower ({:.2f} times)", report.timing->ratio);
}

void check_both(const ir::Graph& before, OptimizeReport& report, const Options& options,
                const OptimizeSettings& settings) {
  CheckOptions checking;
  checking.seeds = 1;
  checking.first_seed = 1001;  // not the inputs that were measured
  checking.tolerance = settings.tolerance;
  report.checked = check(before, report.graph, options, checking);
  if (report.checked->same) return;
  const CheckedOutput& worst = report.checked->outputs[report.checked->worst_output];
  report.kept_input =
      fmt::format("output '{}' of what the search found is off by {:.1e}, more than {:.1e}",
                  worst.name, worst.error, worst.tolerance);
  warn(options, report.kept_input);
}

}  // namespace

std::map<std::string, int> count_operators(const ir::Graph& graph) {
  std::map<std::string, int> counts;
  for (const ir::Node& node : graph.nodes())
    if (node.op != "input" && node.op != "constant") ++counts[node.op];
  return counts;
}

ir::Graph optimize_quickly(const ir::Graph& graph, const Options& options) {
  report_progress(options, "rewriting");
  return search_for(graph, options, std::min(quick_budget_seconds, options.budget_seconds)).graph;
}

OptimizeReport optimize(const ir::Graph& graph, const Options& options,
                        const OptimizeSettings& settings) {
  OptimizeReport report;
  report_progress(options, "searching");
  const auto start = std::chrono::steady_clock::now();
  search::OptimizeResult found = search_for(graph, options, options.budget_seconds);
  report.search_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.graph = std::move(found.graph);
  report.rules_used = std::move(found.rules_used);
  report.predicted_before_ms = 1e3 * found.cost_before;
  report.predicted_after_ms = 1e3 * found.cost_after;
  report.stop_reason = search::to_string(found.stop);
  report.operators_before = count_operators(graph);
  report.not_measured = obstacle(graph);
  if (report.not_measured.empty()) {
    if (settings.check) check_both(graph, report, options, settings);
    if (settings.measure) measure_both(graph, report, options, settings.measure_seconds);
  }
  if (!report.kept_input.empty()) {
    report.graph = graph;
    report.peak_bytes_after = report.peak_bytes_before;
  }
  report.operators_after = count_operators(report.graph);
  return report;
}

}  // namespace tessera::api
