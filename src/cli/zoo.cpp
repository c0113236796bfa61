// SPDX-License-Identifier: Apache-2.0
// tessera zoo: built-in models, listed or written.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/catalog.h"
#include "api/load.h"
#include "api/optimize.h"
#include "base/check.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace tessera::cli {
namespace {

struct ZooArguments : ModelOptions {
  std::string output;
  int opset = 0;
  api::ZooSettings settings;
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "--" : " --") + word;
  return text;
}

void list_models(const ZooArguments& o) {
  const std::vector<api::ZooEntry> models = api::zoo_models();
  if (o.json) {
    nlohmann::ordered_json json;
    for (const api::ZooEntry& m : models)
      json["models"].push_back({{"name", m.name}, {"doc", m.doc}, {"options", m.options}});
    std::cout << json.dump() << '\n';
    return;
  }
  std::vector<Row> rows{{"model", "what", "options"}};
  for (const api::ZooEntry& m : models) rows.push_back({m.name, m.doc, join(m.options)});
  std::cout << format_table(rows, 3);
}

void zoo_model(const ZooArguments& o, Shell& shell) {
  if (o.model.empty()) {
    TESSERA_USER_CHECK(o.output.empty(), "zoo -o needs the NAME of a model");
    list_models(o);
    return;
  }
  const api::Options options = o.options(shell);
  api::report_progress(options, "building " + o.model);
  const ir::Graph graph = api::zoo_model(o.model, o.settings);
  if (!o.output.empty()) {
    api::report_progress(options, "writing " + o.output);
    api::save_model(graph, o.output, o.opset);
  }
  end_progress();
  const std::map<std::string, int> counts = api::count_operators(graph);
  int nodes = 0;
  size_t bytes = 0;
  for (const auto& [op, count] : counts) nodes += count;
  for (ir::NodeId id = 0; id < graph.node_count(); ++id)
    if (const Tensor* tensor = graph.constant({id, 0})) bytes += tensor->bytes();
  if (o.json) {
    const nlohmann::ordered_json json{
        {"model", o.model}, {"operators", counts}, {"weight_bytes", bytes}, {"output", o.output}};
    std::cout << json.dump() << '\n';
  } else {
    std::cout << fmt::format("{}: {} operators, {} of weights{}\n", o.model, nodes,
                             show_bytes(bytes), o.output.empty() ? "" : ", written to " + o.output);
  }
}

}  // namespace

void add_zoo(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<ZooArguments>();
  CLI::App& command = *app.add_subcommand("zoo", "list the built-in models, or write one");
  command.add_option("NAME", o->model, "a model of the list");
  command.add_option("-o,--output", o->output, "write it, .onnx or .tsr");
  command.add_option("--opset", o->opset, "operator set of the output")->check(CLI::Range(7, 100));
  command.add_option("--batch", o->settings.batch, "inputs at once")->check(CLI::Range(1, 4096));
  command.add_option("--seq", o->settings.seq, "length of the sequence")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--layers", o->settings.layers, "layers, or cells of a kind")
      ->check(CLI::Range(1, 1024));
  command.add_option("--image", o->settings.image, "height and width")->check(CLI::Range(1, 8192));
  command.add_option("--seed", o->settings.seed, "seed of the weights")->capture_default_str();
  o->add_output(command);
  command.callback([o, &shell] { zoo_model(*o, shell); });
}

}  // namespace tessera::cli
