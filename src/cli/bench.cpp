// SPDX-License-Identifier: Apache-2.0
// tessera bench: latency of a model.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/engine.h"
#include "api/load.h"
#include "api/optimize.h"
#include "api/plan_file.h"
#include "cli/command.h"
#include "cli/kernels.h"
#include "cli/precision.h"
#include "cli/progress.h"

namespace tessera::cli {
namespace {

constexpr double default_seconds = 5;

void bench_model(const ModelOptions& o, Shell& shell) {
  const double seconds = o.seconds(default_seconds);
  api::Options options = api::options_for(o.model, o.options(shell));
  ir::Graph graph = api::load_model(o.model, options);
  const std::vector<Tensor> inputs = api::random_inputs(graph, 1);
  if (!o.no_optimize && !api::is_plan(o.model)) graph = api::optimize_quickly(graph, options);
  const auto precision = reduce_precision(o, graph, options);
  api::report_progress(options, "compiling");
  const auto program = api::compile(std::move(graph), options);
  api::report_progress(options, fmt::format("measuring for {:g} s", seconds));
  const api::Timing t = api::measure(*program, inputs, seconds);
  end_progress();
  const int threads = api::thread_count(options);
  if (o.json) {
    nlohmann::ordered_json json{{"median_ms", t.median_ms}, {"p10_ms", t.p10_ms},
                                {"p90_ms", t.p90_ms},       {"p99_ms", t.p99_ms},
                                {"runs", t.runs},           {"target", options.target},
                                {"threads", threads},       {"peak_bytes", program->peak_bytes()}};
    if (!options.kernels.empty()) json["kernels"] = kernels_json(program->kernels());
    if (precision) json["precision"] = precision_json(*precision);
    std::cout << json.dump() << '\n';
    return;
  }
  std::cout << fmt::format(
      "{} ms (10th to 90th percentile {} to {}, 99th {}), {} runs, {} threads, {}, peak {}\n",
      show_number(t.median_ms), show_number(t.p10_ms), show_number(t.p90_ms), show_number(t.p99_ms),
      t.runs, threads, options.target, show_bytes(program->peak_bytes()));
  std::cout << show_kernels(program->kernels());
  if (precision) std::cout << describe(*precision);
}

}  // namespace

void add_bench(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<ModelOptions>();
  CLI::App& command = *app.add_subcommand("bench", "measure a model's latency");
  o->add_model(command, "a model, .onnx or .tsr, or a .plan of optimize");
  o->add_budget(command, "time to measure for (default 5s)");
  o->add_no_optimize(command);
  o->add_tolerance(command);
  o->add_engine(command);
  o->add_kernels(command);
  o->add_rules(command);
  o->add_output(command);
  command.callback([o, &shell] { bench_model(*o, shell); });
}

}  // namespace tessera::cli
