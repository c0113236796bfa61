// SPDX-License-Identifier: Apache-2.0
// tessera optimize: the faster program, and the evidence.
#include "api/optimize.h"

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/derivation.h"
#include "api/kernels.h"
#include "api/load.h"
#include "api/plan_file.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "cli/command.h"
#include "cli/kernels.h"
#include "cli/precision.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "report/optimize_report.h"

namespace tessera::cli {
namespace {

constexpr double default_budget_seconds = 60;

struct OptimizeArguments : ModelOptions {
  std::string output, plan, report, derivation;
  int opset = 0;
};

int total(const std::map<std::string, int>& counts) {
  int sum = 0;
  for (const auto& [name, count] : counts) sum += count;
  return sum;
}

std::vector<Row> operator_rows(const api::OptimizeReport& r) {
  const auto show = [](int n) { return n == 0 ? std::string("-") : std::to_string(n); };
  std::vector<Row> rows{{"operators", "before", "after"}};
  for (const auto& [op, counts] : api::operators_by_type(r))
    rows.push_back({"  " + op, show(counts.before), show(counts.after)});
  rows.push_back({"  all", std::to_string(total(r.operators_before)),
                  std::to_string(total(r.operators_after))});
  return rows;
}

std::vector<Row> figure_rows(const api::OptimizeReport& r) {
  std::vector<Row> rows{{"", "before", "after", "ratio"}};
  const auto ratio = [](double after, double before) {
    return before > 0 ? fmt::format("{:.2f}", after / before) : std::string();
  };
  rows.push_back({"predicted ms", show_number(r.predicted_before_ms),
                  show_number(r.predicted_after_ms),
                  ratio(r.predicted_after_ms, r.predicted_before_ms)});
  if (!r.timing) return rows;
  const api::Timing &a = r.timing->first, &b = r.timing->second;
  rows.push_back({"measured ms, median", show_number(a.median_ms), show_number(b.median_ms),
                  fmt::format("{:.2f}", r.timing->ratio)});
  rows.push_back({"  10th to 90th percentile",
                  show_number(a.p10_ms) + " to " + show_number(a.p90_ms),
                  show_number(b.p10_ms) + " to " + show_number(b.p90_ms),
                  fmt::format("[{:.2f}, {:.2f}]", r.timing->ratio_low, r.timing->ratio_high)});
  rows.push_back(
      {"peak memory", show_bytes(r.peak_bytes_before), show_bytes(r.peak_bytes_after),
       ratio(static_cast<double>(r.peak_bytes_after), static_cast<double>(r.peak_bytes_before))});
  return rows;
}

void print(const api::OptimizeReport& r, const std::string& model, int threads) {
  std::cout << model << '\n' << format_table(operator_rows(r)) << '\n';
  std::vector<Row> rules{{"rules used", "times"}};
  for (const auto& [rule, count] : r.rules_used)
    rules.push_back({"  " + rule, std::to_string(count)});
  if (r.rules_used.empty()) std::cout << "no rule applied\n\n";
  else std::cout << format_table(rules) << '\n';
  std::cout << format_table(figure_rows(r)) << '\n';
  if (!r.kernels.empty()) std::cout << show_kernels(r.kernels) << '\n';
  if (r.timing)
    std::cout << fmt::format(
        "measured by turns, {} runs each, {} threads; ratio with its 95 % "
        "interval\n",
        r.timing->first.runs, threads);
  else if (!r.not_measured.empty()) std::cout << "not measured: " << r.not_measured << '\n';
  if (r.checked && !r.checked->outputs.empty()) {
    const api::CheckedOutput& worst = r.checked->outputs[r.checked->worst_output];
    std::cout << fmt::format(
        "worst error against the float64 reference on fresh inputs: {:.1e} (output '{}'; as "
        "imported {:.1e}, allowed {:.0e})\n",
        worst.error, worst.name, worst.error_of_first, worst.tolerance);
  }
  if (r.precision) std::cout << describe(*r.precision);
  std::cout << fmt::format("search: {} after {:.1f} s\n", r.stop_reason, r.search_seconds);
  if (!r.kept_input.empty())
    std::cout << "the model is returned as it was: " << r.kept_input << '\n';
}

nlohmann::ordered_json to_json(const api::Timing& t) {
  return {{"median_ms", t.median_ms},
          {"p10_ms", t.p10_ms},
          {"p90_ms", t.p90_ms},
          {"p99_ms", t.p99_ms},
          {"runs", t.runs}};
}

nlohmann::ordered_json to_json(const api::OptimizeReport& r, int threads) {
  nlohmann::ordered_json json{
      {"operators", {{"before", r.operators_before}, {"after", r.operators_after}}},
      {"rules_used", r.rules_used},
      {"predicted_ms", {{"before", r.predicted_before_ms}, {"after", r.predicted_after_ms}}},
      {"peak_bytes", {{"before", r.peak_bytes_before}, {"after", r.peak_bytes_after}}},
      {"stop_reason", r.stop_reason},
      {"search_seconds", r.search_seconds},
      {"threads", threads}};
  if (r.timing) {
    json["measured"] = {{"before", to_json(r.timing->first)},
                        {"after", to_json(r.timing->second)},
                        {"ratio", r.timing->ratio},
                        {"ratio_low", r.timing->ratio_low},
                        {"ratio_high", r.timing->ratio_high}};
  } else {
    json["not_measured"] = r.not_measured;
  }
  if (r.checked && !r.checked->outputs.empty()) {
    const api::CheckedOutput& worst = r.checked->outputs[r.checked->worst_output];
    json["worst_error"] = {{"output", worst.name},
                           {"error", worst.error},
                           {"as_imported", worst.error_of_first},
                           {"tolerance", worst.tolerance}};
  }
  if (!r.kernels.empty()) json["kernels"] = kernels_json(r.kernels);
  if (r.precision) json["precision"] = precision_json(*r.precision);
  if (!r.kept_input.empty()) json["kept_input"] = r.kept_input;
  return json;
}

void write_text(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void optimize_model(const OptimizeArguments& o, Shell& shell) {
  api::Options options = o.options(shell);
  TESSERA_USER_CHECK(o.target == "cpu", "optimize --target {}: only cpu", o.target);
  options.budget_seconds = o.seconds(default_budget_seconds);
  options.allow_barriers = true;
  api::OptimizeSettings settings;
  settings.tolerance = o.relative_tolerance();
  api::report_progress(options, "reading " + o.model);
  const ir::Graph graph = api::load_model(o.model, options);
  const api::OptimizeReport report = api::optimize(graph, options, settings);
  if (!o.output.empty()) {
    api::report_progress(options, "writing " + o.output);
    api::save_model(report.graph, o.output, o.opset);
  }
  if (!o.plan.empty()) {
    const auto& precision = report.precision;
    api::write_plan(report.graph, o.plan, api::with_chosen_kernels(options, report.kernels),
                    precision ? precision->reduced : plan::ReducedLaunches());
  }
  const int threads = api::thread_count(options);
  if (!o.derivation.empty())
    write_text(o.derivation, api::derivation_text(graph, report.derivation, options, o.opset));
  if (!o.report.empty()) write_text(o.report, report::optimize_page(report, o.model, threads));
  end_progress();
  if (o.json) std::cout << to_json(report, threads).dump() << '\n';
  else print(report, o.model, threads);
}

}  // namespace

void add_optimize(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<OptimizeArguments>();
  CLI::App& command =
      *app.add_subcommand("optimize", "find a faster program for the same function");
  o->add_model(command);
  command.add_option("-o,--output", o->output, "write the faster model, .onnx or .tsr");
  command.add_option("--opset", o->opset, "operator set of the output (default: the input's)")
      ->check(CLI::Range(7, 100));
  command.add_option("--plan", o->plan, "write OUT.plan, which run and bench take as it is");
  command.add_option("--report", o->report, "write the evidence as an HTML page");
  command.add_option("--derivation", o->derivation, "write the steps, for check --derivation");
  o->add_budget(command, "time to search for (default 60s)");
  o->add_tolerance(command);
  o->add_rules(command);
  o->add_engine(command);
  o->add_kernels(command);
  o->add_output(command);
  command.callback([o, &shell] { optimize_model(*o, shell); });
}

}  // namespace tessera::cli
