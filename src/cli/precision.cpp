// SPDX-License-Identifier: Apache-2.0
// Reports of precision as text and as JSON.
#include "cli/precision.h"

#include <fmt/format.h>

#include <map>

#include "base/check.h"

namespace tessera::cli {

std::optional<api::PrecisionReport> reduce_precision(const ModelOptions& o, const ir::Graph& graph,
                                                     api::Options& options) {
  const std::optional<double> tolerance = o.relative_tolerance();
  if (!tolerance) return std::nullopt;
  TESSERA_USER_CHECK(options.target == "cpu", "--tolerance {} with --target {}: only cpu",
                     o.tolerance, options.target);
  api::PrecisionReport report = api::choose_precision(graph, options, *tolerance);
  options.reduced = report.reduced;
  return report;
}

std::string describe(const api::PrecisionReport& r) {
  if (r.kernels.empty())
    return "precision: f32; this processor or program has no faster kernels of less\n";
  if (r.reduced.empty())
    return fmt::format("precision: f32; {} kernels could compute in less, none within {:g}\n",
                       r.kernels.size(), r.tolerance);
  std::map<std::string, int> counts;
  double f32 = 0, reduced = 0;
  for (const auto& kernel : r.kernels) {
    if (kernel.precision == codegen::Precision::f32) continue;
    ++counts[std::string(codegen::to_string(kernel.precision))];
    f32 += kernel.f32_ms;
    reduced += kernel.reduced_ms;
  }
  std::string list;
  for (const auto& [name, count] : counts)
    list += fmt::format("{}{} in {}", list.empty() ? "" : ", ", count, name);
  return fmt::format(
      "precision: of {} kernels that could compute in less than f32, {} ({:.3g} ms instead of "
      "{:.3g});\nerror on {} fresh inputs {:.1e} of the difference between two inputs' outputs "
      "(allowed {:.0e})\n",
      r.kernels.size(), list, reduced, f32, r.seeds, r.error, r.tolerance);
}

nlohmann::ordered_json precision_json(const api::PrecisionReport& r) {
  nlohmann::ordered_json json{{"tolerance", r.tolerance},
                              {"error", r.error},
                              {"seeds", r.seeds},
                              {"kernels", nlohmann::ordered_json::array()}};
  for (const auto& kernel : r.kernels)
    json["kernels"].push_back({{"launch", kernel.launch},
                               {"name", kernel.name},
                               {"nodes", kernel.nodes},
                               {"precision", codegen::to_string(kernel.precision)},
                               {"f32_ms", kernel.f32_ms},
                               {"reduced_ms", kernel.reduced_ms},
                               {"error", kernel.error}});
  return json;
}

}  // namespace tessera::cli
