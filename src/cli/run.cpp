// SPDX-License-Identifier: Apache-2.0
// tessera run: a model on given or random inputs.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/engine.h"
#include "api/load.h"
#include "api/optimize.h"
#include "api/plan_file.h"
#include "base/check.h"
#include "cli/command.h"
#include "cli/kernels.h"
#include "cli/precision.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace tessera::cli {
namespace {

struct RunOptions : ModelOptions {
  std::string inputs, outputs;
  std::optional<uint64_t> seed;
};

// For people: what the output looks like, without its thousands of numbers.
Row summary(const std::string& name, const Tensor& t) {
  double low = 0, high = 0, sum = 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    const double v = is_float(t.type()) ? t.float_at(i) : static_cast<double>(t.integer_at(i));
    low = i == 0 ? v : std::min(low, v);
    high = i == 0 ? v : std::max(high, v);
    sum += v;
  }
  const double mean = t.size() > 0 ? sum / static_cast<double>(t.size()) : 0;
  return {name, std::string(to_string(t.type())) + shape_to_string(t.shape()), show_number(mean),
          show_number(low), show_number(high)};
}

void run_model(const RunOptions& o, Shell& shell) {
  TESSERA_USER_CHECK(o.inputs.empty() != !o.seed.has_value(),
                     "run needs either --inputs IN.npz or --random SEED");
  api::Options options = api::options_for(o.model, o.options(shell));
  const api::NamedTensors given =
      o.inputs.empty() ? api::NamedTensors{} : api::read_inputs(o.inputs);
  ir::Graph graph = api::load_model(o.model, options, given);
  const std::vector<Tensor> inputs =
      o.seed ? api::random_inputs(graph, *o.seed) : api::arrange_inputs(graph, given);
  if (!o.no_optimize && !api::is_plan(o.model)) graph = api::optimize_quickly(graph, options);
  const auto precision = reduce_precision(o, graph, options);
  api::report_progress(options, "compiling");
  const auto program = api::compile(graph, options);
  api::report_progress(options, "running");
  std::vector<Tensor> values = program->run(inputs);
  for (size_t k = 0; k < values.size(); ++k) {  // the reference computes in float64
    const DType declared = graph.type(graph.outputs()[k].value).dtype;
    if (values[k].type() != declared) values[k] = values[k].converted(declared);
  }
  const api::NamedTensors results = api::name_outputs(graph, values);
  end_progress();
  if (!o.outputs.empty()) api::write_outputs(o.outputs, results);
  if (o.json) {
    nlohmann::ordered_json json;
    json["outputs"] = nlohmann::ordered_json::object();
    for (const ir::GraphOutput& out : graph.outputs()) {
      const Tensor& t = results.at(out.name);
      json["outputs"][out.name] = {{"type", to_string(t.type())}, {"shape", t.shape()}};
    }
    if (!options.kernels.empty()) json["kernels"] = kernels_json(program->kernels());
    if (precision) json["precision"] = precision_json(*precision);
    std::cout << json.dump() << '\n';
    return;
  }
  std::vector<Row> rows{{"output", "type", "mean", "least", "largest"}};
  for (const ir::GraphOutput& out : graph.outputs())
    rows.push_back(summary(out.name, results.at(out.name)));
  std::cout << format_table(rows, 2);
  if (!options.kernels.empty()) std::cout << '\n' << show_kernels(program->kernels());
  if (precision) std::cout << describe(*precision);
}

}  // namespace

void add_run(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<RunOptions>();
  CLI::App& command = *app.add_subcommand("run", "run a model on given or random inputs");
  o->add_model(command, "a model, .onnx or .tsr, or a .plan of optimize");
  command.add_option("--inputs", o->inputs, "inputs by name, a NumPy archive")->type_name("IN.npz");
  command.add_option("--random", o->seed, "draw the inputs from a seed")->type_name("SEED");
  command.add_option("--outputs", o->outputs, "write the outputs by name")->type_name("OUT.npz");
  o->add_no_optimize(command);
  o->add_tolerance(command);
  o->add_engine(command);
  o->add_kernels(command);
  o->add_rules(command);
  o->add_output(command);
  command.callback([o, &shell] { run_model(*o, shell); });
}

}  // namespace tessera::cli
