// SPDX-License-Identifier: Apache-2.0
// Reading and writing of plan files.
#include "api/plan_file.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/catalog.h"
#include "api/kernels.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "onnx/export.h"
#include "tile/program.h"

namespace tessera::api {
namespace {

constexpr std::string_view header = "tessera plan 1", suffix = ".plan";

plan::ReducedLaunches read_reduced(const nlohmann::json& decided, const std::string& path) {
  plan::ReducedLaunches reduced;
  if (!decided.contains("reduced")) return reduced;
  const auto& list = decided["reduced"];
  bool good = list.is_array();
  for (size_t k = 0; good && k < list.size(); ++k) {
    const auto& one = list[k];
    good = one.is_array() && one.size() == 3 && one[0].is_number_unsigned() && one[1].is_string() &&
           one[2].is_string();
    const auto precision = good ? codegen::precision_from_string(one[2].get<std::string>())
                                : std::optional<codegen::Precision>();
    good = precision.has_value();
    if (good) reduced[one[0].get<size_t>()] = {one[1].get<std::string>(), *precision};
  }
  TESSERA_USER_CHECK(good, "'{}': its second line is damaged", path);
  return reduced;
}

// Everything but the model, before which the file is left.
Plan read_decisions(const std::string& path, std::ifstream& file) {
  file.open(path, std::ios::binary);
  if (!file) throw UserError(ErrorKind::missing_resource, fmt::format("cannot read '{}'", path));
  std::string first, second;
  std::getline(file, first);
  TESSERA_USER_CHECK(first == header && std::getline(file, second),
                     "'{}' is no plan of this version", path);
  const auto decided = nlohmann::json::parse(second, nullptr, false);
  TESSERA_USER_CHECK(decided.is_object() && decided.contains("processor") &&
                         decided["processor"].is_string() && decided.contains("threads") &&
                         decided["threads"].is_number_integer(),
                     "'{}': its second line is damaged", path);
  Plan plan{decided["processor"],
            std::clamp(decided["threads"].get<int>(), 1, 1024),
            read_reduced(decided, path),
            {},
            0};
  for (const auto& text : decided.value("kernels", nlohmann::json::array())) {
    TESSERA_USER_CHECK(text.is_string(), "'{}': its second line is damaged", path);
    plan.kernels.push_back(text);
  }
  return plan;
}

}  // namespace

bool is_plan(const std::string& path) {
  return path.size() > suffix.size() && path.ends_with(suffix);
}

void write_plan(const ir::Graph& graph, const std::string& path, const Options& options,
                const plan::ReducedLaunches& reduced) {
  TESSERA_USER_CHECK(is_plan(path), "'{}': the name of a plan ends in {}", path, suffix);
  nlohmann::ordered_json decided{{"processor", processor_name()},
                                 {"threads", thread_count(options)}};
  for (const auto& kernel : options.kernels) decided["kernels"].push_back(tile::print(*kernel));
  for (const auto& [launch, what] : reduced)
    decided["reduced"].push_back({launch, what.name, codegen::to_string(what.precision)});
  AtomicFile file(path);
  file.write(fmt::format("{}\n", header));
  file.write(decided.dump() + "\n");
  file.write(onnx::export_model_bytes(graph, {}));
  file.commit();
}

Plan read_plan(const std::string& path) {
  std::ifstream file;
  Plan plan = read_decisions(path, file);
  plan.model_offset = static_cast<int64_t>(file.tellg());
  TESSERA_USER_CHECK(plan.model_offset > 0, "'{}' ends before its model", path);
  return plan;
}

Options options_for(const std::string& path, Options options) {
  if (!is_plan(path)) return options;
  std::ifstream file;
  Plan plan = read_decisions(path, file);
  if (options.threads == 0) options.threads = plan.threads;
  options.reduced = std::move(plan.reduced);
  if (!options.kernels.empty() || plan.kernels.empty()) return options;
  for (const std::string& text : plan.kernels)
    options.kernels.push_back(read_kernel(text, path + " kernel", options));
  options.force_kernels = true;
  return options;
}

}  // namespace tessera::api
