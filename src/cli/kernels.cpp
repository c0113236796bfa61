// SPDX-License-Identifier: Apache-2.0
// tessera kernels: tile programs checked, timed, and kept in a folder for --kernels.
#include "cli/kernels.h"

#include <filesystem>
#include <iostream>
#include <memory>

#include "api/kernels.h"
#include "base/check.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace tessera::cli {
namespace {

struct KernelArguments : ModelOptions {
  std::vector<std::string> files;
  std::string folder;
};

void add_files(const KernelArguments& o, Shell& shell) {
  namespace fs = std::filesystem;
  const api::Options options = o.options(shell);
  std::vector<Row> rows{{"kernel", "checked against", "ms", "Tessera's own ms", "ratio"}};
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const std::string& path : o.files) {
    const auto kernel = api::load_kernel(path, options);
    const api::KernelFacts facts = api::facts_of(*kernel);
    Row row{facts.name, fmt::format("{} reference(s)", facts.references)};
    nlohmann::ordered_json entry{
        {"name", facts.name}, {"signature", facts.signature}, {"references", facts.references}};
    if (!options.bind.empty()) {
      const api::PairTiming timing = api::time_kernel(kernel, options);
      row.push_back(show_number(timing.second.median_ms));
      row.push_back(show_number(timing.first.median_ms));
      row.push_back(fmt::format("{:.2f} [{:.2f}, {:.2f}]", timing.ratio, timing.ratio_low,
                                timing.ratio_high));
      entry["ms"] = timing.second.median_ms;
      entry["own_ms"] = timing.first.median_ms;
      entry["ratio"] = timing.ratio;
    }
    row.resize(rows[0].size());
    rows.push_back(std::move(row));
    json.push_back(std::move(entry));
    if (o.folder.empty()) continue;
    fs::create_directories(o.folder);
    std::error_code error;
    fs::copy_file(path, fs::path(o.folder) / (facts.name + ".tile"),
                  fs::copy_options::overwrite_existing, error);
    if (error)
      throw UserError(ErrorKind::missing_resource,
                      fmt::format("cannot write to '{}': {}", o.folder, error.message()));
  }
  end_progress();
  if (o.json) std::cout << nlohmann::ordered_json{{"kernels", json}}.dump() << '\n';
  else std::cout << format_table(rows, 2);
}

void list_folder(const KernelArguments& o, Shell& shell) {
  const api::Kernels kernels = api::load_kernels(o.folder, o.options(shell));
  end_progress();
  std::vector<Row> rows{{"kernel", "signature", "schedule"}};
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const auto& kernel : kernels) {
    const api::KernelFacts facts = api::facts_of(*kernel);
    rows.push_back({facts.name, facts.signature, facts.schedule});
    json.push_back(
        {{"name", facts.name}, {"signature", facts.signature}, {"schedule", facts.schedule}});
  }
  if (o.json) std::cout << nlohmann::ordered_json{{"kernels", json}}.dump() << '\n';
  else std::cout << format_table(rows, 3);
}

}  // namespace

std::string show_kernels(const std::vector<api::KernelChoice>& kernels) {
  if (kernels.empty()) return {};
  std::vector<Row> rows{{"kernel", "places", "used", "time with it"}};
  for (const api::KernelChoice& k : kernels)
    rows.push_back(
        {k.name, std::to_string(k.places), k.used ? "yes" : "no",
         k.ratio ? fmt::format("{:.2f} [{:.2f}, {:.2f}]", *k.ratio, k.ratio_low, k.ratio_high)
         : k.places == 0 ? "matches nowhere"
                         : "not measured"});
  return format_table(rows, 4);
}

nlohmann::ordered_json kernels_json(const std::vector<api::KernelChoice>& kernels) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const api::KernelChoice& k : kernels) {
    json.push_back({{"name", k.name}, {"places", k.places}, {"used", k.used}});
    if (k.ratio) {
      json.back()["ratio"] = *k.ratio;
      json.back()["ratio_low"] = k.ratio_low;
      json.back()["ratio_high"] = k.ratio_high;
    }
  }
  return json;
}

void add_kernels(CLI::App& app, Shell& shell) {
  CLI::App& command = *app.add_subcommand("kernels", "kernels that users write as tile programs");
  command.require_subcommand(1);
  auto a = std::make_shared<KernelArguments>();
  CLI::App& add = *command.add_subcommand(
      "add", "check .tile files against their references, time them and keep them in a folder");
  add.add_option("FILES", a->files, "tile programs")->required();
  add.add_option("--folder", a->folder, "copy them here (then: run --kernels FOLDER)");
  a->add_engine(add);
  a->add_output(add);
  add.callback([a, &shell] { add_files(*a, shell); });
  auto l = std::make_shared<KernelArguments>();
  CLI::App& list = *command.add_subcommand("list", "the kernels of a folder, checked");
  list.add_option("FOLDER", l->folder, "holds .tile files")->required();
  l->add_engine(list);
  l->add_output(list);
  list.callback([l, &shell] { list_folder(*l, shell); });
}

}  // namespace tessera::cli
