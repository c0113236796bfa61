// SPDX-License-Identifier: Apache-2.0
// Progress on stderr.
#include "cli/progress.h"

#include <unistd.h>

#include <cstdio>

namespace tessera::cli {
namespace {

bool on_terminal() {
  static const bool terminal = isatty(fileno(stderr)) != 0;
  return terminal;
}

}  // namespace

void show_progress(const std::string& what) {
  if (on_terminal()) std::fprintf(stderr, "\r\033[K%s …", what.c_str());
  else std::fprintf(stderr, "%s\n", what.c_str());
  std::fflush(stderr);
}

void end_progress() {
  if (on_terminal()) std::fprintf(stderr, "\r\033[K");
}

void note(const std::string& message) {
  end_progress();
  std::fprintf(stderr, "%s\n", message.c_str());
}

}  // namespace tessera::cli
