// SPDX-License-Identifier: Apache-2.0
// What is said on stderr while the program works.
#pragma once

#include <string>

namespace tessera::cli {

/// What is being done now: one line that is overwritten on a terminal, a line of its own elsewhere.
void show_progress(const std::string& what);
/// Removes the progress line from a terminal; to be called before anything else is printed.
void end_progress();
/// A line on stderr that stays.
void note(const std::string& message);

}  // namespace tessera::cli
