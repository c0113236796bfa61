// SPDX-License-Identifier: Apache-2.0
// What a caller chooses. The library reads no environment and prints nothing: warnings and progress
// go to the functions given here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "plan/compile.h"
#include "types/tensor.h"

namespace tessera::tile {
struct File;
}

namespace tessera::api {

/// Tensors by the names of a model's inputs or outputs.
using NamedTensors = std::map<std::string, Tensor>;

/// Tile programs that were checked (api/kernels.h).
using Kernels = std::vector<std::shared_ptr<const tile::File>>;

struct Options {
  std::string target = "cpu";
  int threads = 0;                       ///< 0: the cores this process may use
  double budget_seconds = 60;            ///< for the search (measuring takes a little more)
  std::string rules_folder;              ///< empty: the rules Tessera was built with
  std::set<std::string> disabled_rules;  ///< names of rules and passes, or of families
  /// Only rules that are proved for all shapes, the learned ones included.
  bool proved_rules = false;
  /// Only rewrites that keep every bit, and kernels of the products that the operators state: sums
  /// in another order, but no Winograd.
  bool exact = false;
  std::map<std::string, int64_t> bind;  ///< sizes of symbolic dimensions
  /// Unknown operators become barriers: such a model can be rewritten and exported, not run.
  bool allow_barriers = false;
  bool fuse = true;
  bool generated_only = false;  ///< no kernels of oneDNN
  /// What choose_precision() chose for the graph that is compiled; the CPU heeds it.
  plan::ReducedLaunches reduced;
  /// Compiled kernels are kept in this folder, which must be the user's alone; empty: nowhere.
  std::string cache_folder;
  bool require_cache_hit = false;  ///< a kernel that is not there is an error
  /// Kernels of the user's: one is used where its reference matches and the whole program measures
  /// faster with it.
  Kernels kernels;
  bool force_kernels = false;  ///< used wherever they match, without measuring
  std::function<void(const std::string&)> warn;
  /// What is being done now, in a few words.
  std::function<void(const std::string&)> progress;
};

/// options.threads, or the number of cores when that is 0.
int thread_count(const Options& options);
/// options.rules_folder, or the folder of the rules that Tessera was built with.
std::string rules_folder(const Options& options);
/// Where the learned rules are.
std::string learned_rules_folder(const Options& options);
void report_progress(const Options& options, const std::string& what);
void warn(const Options& options, const std::string& message);

}  // namespace tessera::api
