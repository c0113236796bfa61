// SPDX-License-Identifier: Apache-2.0
// The program `tessera`: one subcommand each, and errors turned into exit codes.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <new>

#include "base/check.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/progress.h"

namespace tessera::cli {
namespace {

constexpr void (*commands[])(CLI::App&, Shell&) = {
    add_optimize, add_run, add_bench, add_check, add_zoo, add_devices, add_rules,
};

int report_user_error(const UserError& e) {
  note(std::string("error: ") + e.what());
  return e.kind() == ErrorKind::missing_resource ? exit_resource : exit_user;
}

// A defect of Tessera: what is needed to see it again goes into a file.
int report_internal_error(const std::string& what, int argc, char** argv) {
  const std::string path = "tessera-repro-" + std::to_string(getpid()) + ".txt";
  std::ofstream file(path);
  file << "tessera " << version() << "\ncommand:";
  for (int k = 0; k < argc; ++k) file << ' ' << argv[k];
  file << "\nerror: " << what << '\n';
  file.close();
  note("internal error: " + what);
  note("This is a defect of Tessera. What is needed to repeat it is in " + path +
       (file ? "" : " (which could not be written)") + "; please report it with the model.");
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
