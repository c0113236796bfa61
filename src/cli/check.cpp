// SPDX-License-Identifier: Apache-2.0
// tessera check: are two models the same function?
#include "api/check.h"

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/derivation.h"
#include "api/load.h"
#include "base/atomic_file.h"
#include "cli/command.h"
#include "cli/progress.h"

namespace tessera::cli {
namespace {

struct CheckArguments : ModelOptions {
  std::string other, derivation;
  int seeds = 2;
};

nlohmann::ordered_json to_json(const api::CheckReport& report) {
  nlohmann::ordered_json json{
      {"same", report.same}, {"seeds", report.seeds}, {"target", report.target}};
  json["worst"] = report.outputs.empty() ? "" : report.outputs[report.worst_output].name;
  for (const api::CheckedOutput& out : report.outputs)
    json["outputs"].push_back({{"name", out.name},
                               {"error", out.error},
                               {"error_of_first", out.error_of_first},
                               {"tolerance", out.tolerance},
                               {"seed", out.seed},
                               {"worst_index", out.worst.worst_index},
                               {"expected", out.worst.expected},
                               {"found", out.worst.found}});
  return json;
}

void print(const api::CheckReport& report) {
  if (report.outputs.empty()) {
    std::cout << "same: the models have no outputs\n";
    return;
  }
  const api::CheckedOutput& worst = report.outputs[report.worst_output];
  std::cout << fmt::format(
      "{}: worst output '{}', error {:.1e} of the difference between two inputs' outputs "
      "(allowed {:.0e};\nthe first model's own rounding gives {:.1e}); {} inputs drawn, {} against "
      "the float64 reference\n",
      report.same ? "same" : "DIFFERENT", worst.name, worst.error, worst.tolerance,
      worst.error_of_first, report.seeds, report.target);
  if (!report.same)
    std::cout << fmt::format("seed {}, element {}: expected {:.9g}, found {:.9g}\n", worst.seed,
                             worst.worst.worst_index, worst.worst.expected, worst.worst.found);
}

nlohmann::ordered_json to_json(const api::Replay& replay) {
  return {
      {"derived", replay.problem.empty()}, {"steps", replay.steps}, {"problem", replay.problem}};
}

void print(const api::Replay& replay) {
  if (replay.problem.empty())
    std::cout << fmt::format("derived: {} steps lead from the first model to the second\n",
                             replay.steps);
  else std::cout << "NOT derived: " << replay.problem << '\n';
}

void check_models(const CheckArguments& o, Shell& shell) {
  api::Options options = o.options(shell);
  options.allow_barriers = !o.derivation.empty();
  api::CheckOptions checking;
  checking.seeds = o.seeds;
  checking.tolerance = o.relative_tolerance();
  const auto [a, b] = api::load_models(o.model, o.other, options);
  if (!o.derivation.empty()) {
    const api::Replay replay = api::replay(a, b, o.other, read_file(o.derivation), options);
    end_progress();
    if (o.json) std::cout << to_json(replay).dump() << '\n';
    else print(replay);
    shell.status = replay.problem.empty() ? exit_done : exit_no;
    return;
  }
  const api::CheckReport report = api::check(a, b, options, checking);
  end_progress();
  if (o.json) std::cout << to_json(report).dump() << '\n';
  else print(report);
  shell.status = report.same ? exit_done : exit_no;
}

}  // namespace

void add_check(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<CheckArguments>();
  CLI::App& command =
      *app.add_subcommand("check", "are two models the same function? (exit code 0 or 1)");
  command.add_option("A", o->model, "a model, .onnx or .tsr")->required();
  command.add_option("B", o->other, "another")->required();
  command.add_option("--seeds", o->seeds, "how many inputs to draw")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--derivation", o->derivation,
                     "replay what optimize --derivation wrote, instead of comparing numbers");
  o->add_tolerance(command);
  o->add_engine(command);
  o->add_kernels(command);
  o->add_output(command);
  command.callback([o, &shell] { check_models(*o, shell); });
}

}  // namespace tessera::cli
