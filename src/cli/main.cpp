// SPDX-License-Identifier: Apache-2.0
// The program `tessera`: one subcommand each, and errors turned into exit codes.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <vector>

#include "base/archive.h"
#include "base/check.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/progress.h"

namespace tessera::cli {
namespace {

constexpr void (*commands[])(CLI::App&, Shell&) = {
    add_optimize, add_run, add_bench, add_check, add_kernels, add_zoo, add_devices, add_rules,
};

int report_user_error(const UserError& e) {
  note(std::string("error: ") + e.what());
  return e.kind() == ErrorKind::missing_resource ? exit_resource : exit_user;
}

// Larger files are named in the report instead.
constexpr uint64_t max_attached = uint64_t{1} << 30;

// A defect of Tessera: what is needed to see it again goes into one file, with the model and every
// other file that the command line names.
int report_internal_error(const std::string& what, int argc, char** argv) {
  namespace fs = std::filesystem;
  std::string report = fmt::format("tessera {}\ncommand:", version());
  for (int k = 0; k < argc; ++k) report += fmt::format(" {}", argv[k]);
  report += fmt::format("\nerror: {}\n", what);
  std::vector<ArchiveEntry> entries(1);
  for (int k = 1; k < argc; ++k) {
    std::error_code error;
    if (!fs::is_regular_file(argv[k], error)) continue;
    const uint64_t size = fs::file_size(argv[k], error);
    const std::string file = fs::path(argv[k]).filename().string();
    const std::string name = fmt::format("{}-{}", k, file.substr(0, 80));
    if (error || size > max_attached) {
      report += fmt::format("not attached: {} ({} bytes)\n", argv[k], size);
      continue;
    }
    report += fmt::format("attached: {} as {}\n", argv[k], name);
    entries.push_back({.name = name, .file = argv[k]});
  }
  entries[0] = {.name = "report.txt", .text = report};
  const std::string path = fmt::format("tessera-repro-{}.tar", getpid());
  note("internal error: " + what);
  if (write_archive(path, entries))
    note("This is a defect of Tessera. What is needed to repeat it is in " + path +
         ", with the files that the command names; please report it.");
  else note("This is a defect of Tessera. " + path + " could not be written; please report it.");
  return exit_internal;
}

int run_program(int argc, char** argv) {
  CLI::App app{"Tessera: finds a faster program that computes the same function, and runs it.",
               "tessera"};
  app.set_version_flag("--version", "tessera " + std::string(version()));
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  Shell shell;
  for (const auto add : commands) add(app, shell);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? exit_done : exit_user;
  }
  return shell.status;
}

}  // namespace
}  // namespace tessera::cli

int main(int argc, char** argv) {
  using namespace tessera;
  int status = cli::exit_internal;
  try {
    status = cli::run_program(argc, argv);
  } catch (const UserError& e) {
    status = cli::report_user_error(e);
  } catch (const std::bad_alloc&) {
    cli::note("error: out of memory");
    status = cli::exit_resource;
  } catch (const std::exception& e) {
    status = cli::report_internal_error(e.what(), argc, argv);
  }
  std::cout.flush();
  if (!std::cout && status == cli::exit_done) {
    cli::note("error: cannot write to stdout");
    status = cli::exit_resource;
  }
  return status;
}
