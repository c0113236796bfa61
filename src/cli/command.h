// SPDX-License-Identifier: Apache-2.0
// What the commands share. A command is one file: it adds its subcommand and options to the parser
// and a callback that does the work. main.cpp lists the commands.
#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <vector>

#include "api/options.h"

namespace tessera::cli {

/// Exit codes, a contract with scripts.
inline constexpr int exit_done = 0, exit_no = 1, exit_user = 2, exit_resource = 3,
                     exit_internal = 70;

/// State of one call of the program.
struct Shell {
  int status = exit_done;  ///< what the command sets it to
  bool quiet = false;      ///< no progress, no notes
};

/// The options that several commands have; each command registers those it heeds.
struct ModelOptions {
  std::string model;
  std::string target = "cpu";
  int threads = 0;
  std::string budget;
  std::string tolerance = "real";
  std::vector<std::string> bind;
  std::vector<std::string> disabled;
  std::string rules = "all";  ///< or "proved"
  std::string cache;
  std::string kernels;
  bool force_kernels = false;
  bool require_cache_hit = false;
  bool no_onednn = false;
  bool no_optimize = false;
  bool json = false;
  bool quiet = false;

  void add_model(CLI::App& app, const std::string& what = "a model, .onnx or .tsr");
  /// --target --threads --bind --cache --require-cache-hit --no-onednn
  void add_engine(CLI::App& app);
  void add_kernels(CLI::App& app);  ///< --kernels --force-kernels
  void add_budget(CLI::App& app, const std::string& what);
  void add_tolerance(CLI::App& app);
  void add_rules(CLI::App& app);  ///< --rules, --disable
  void add_no_optimize(CLI::App& app);
  void add_output(CLI::App& app);  ///< --json --quiet

  /// Parsed and checked; throws UserError.
  api::Options options(Shell& shell) const;
  double seconds(double otherwise) const;
  /// The number of --tolerance; nothing for "real" and "exact".
  std::optional<double> relative_tolerance() const;
};

void add_optimize(CLI::App& app, Shell& shell);
void add_run(CLI::App& app, Shell& shell);
void add_bench(CLI::App& app, Shell& shell);
void add_check(CLI::App& app, Shell& shell);
void add_kernels(CLI::App& app, Shell& shell);
void add_zoo(CLI::App& app, Shell& shell);
void add_devices(CLI::App& app, Shell& shell);
void add_rules(CLI::App& app, Shell& shell);
/// Below `tessera rules`.
void add_prove(CLI::App& rules, Shell& shell);

/// "12.3 MB".
std::string show_bytes(size_t bytes);
/// Three significant digits: "0.0123", "1.23", "123".
std::string show_number(double value);

}  // namespace tessera::cli
