// SPDX-License-Identifier: Apache-2.0
// Independent jobs in processes of their own: what one does to memory, or dies of, is no matter for
// the others, so results depend on neither how many run at a time nor on their order.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

struct ProcessOptions {
  int at_a_time = 1;
  /// A job that takes longer is killed: a guard against what never ends. Where it strikes, results
  /// depend on the machine.
  int seconds = 600;
  /// Called after each job with how many are done.
  std::function<void(size_t done)> progress = {};
};

/// What job(0) … job(count − 1) return, each run in a child that is forked for it; nothing where
/// the child died, threw or was killed. REQUIRES: this process has no other thread that jobs wait
/// for (a fork copies the caller only). Throws UserError where no process can be started.
std::vector<std::optional<std::string>> in_processes(size_t count,
                                                     const std::function<std::string(size_t)>& job,
                                                     const ProcessOptions& options = {});

}  // namespace tessera
