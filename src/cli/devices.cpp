// SPDX-License-Identifier: Apache-2.0
// tessera devices: what was found, and its measured peaks.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/catalog.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace tessera::cli {
namespace {

void list_devices(const ModelOptions& o, Shell& shell) {
  const api::Options options = o.options(shell);
  api::report_progress(options, "measuring peaks");
  const std::vector<api::DeviceEntry> found = api::devices(options);
  end_progress();
  if (o.json) {
    nlohmann::ordered_json json;
    for (const api::DeviceEntry& d : found)
      json["devices"].push_back({{"target", d.target},
                                 {"name", d.name},
                                 {"threads", d.cores},
                                 {"gflops", d.gflops},
                                 {"gigabytes_per_second", d.gigabytes_per_second},
                                 {"launch_us", d.launch_us}});
    std::cout << json.dump() << '\n';
    return;
  }
  std::vector<Row> rows{{"target", "device", "threads", "GFLOP/s", "GB/s", "launch µs"}};
  for (const api::DeviceEntry& d : found)
    rows.push_back({d.target, d.name, std::to_string(d.cores), show_number(d.gflops),
                    show_number(d.gigabytes_per_second), show_number(d.launch_us)});
  std::cout << format_table(rows, 2);
}

}  // namespace

void add_devices(CLI::App& app, Shell& shell) {
  auto o = std::make_shared<ModelOptions>();
  CLI::App& command = *app.add_subcommand("devices", "what this machine has, measured");
  command.add_option("--threads", o->threads, "threads (default: the cores this process may use)")
      ->check(CLI::Range(1, 1024));
  o->add_output(command);
  command.callback([o, &shell] { list_devices(*o, shell); });
}

}  // namespace tessera::cli
