// SPDX-License-Identifier: Apache-2.0
// From a graph to a plan that runs it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "codegen/target.h"
#include "ir/graph.h"
#include "plan/kernel_match.h"
#include "runtime/plan.h"

namespace tessera::plan {

/// Launches of a program, by number, that compute in less than f32. The name is that of the launch:
/// where it begins with another operator the program is not the one that was meant, and the launch
/// computes in f32. (What is absorbed by the first operator may have been written in other ones: a
/// model file has no GELU of older operator sets.)
struct ReducedLaunch {
  std::string name;
  codegen::Precision precision = codegen::Precision::bf16;

  bool is_for(std::string_view launch) const {
    return launch.substr(0, launch.find('+')) == std::string_view(name).substr(0, name.find('+'));
  }
};
using ReducedLaunches = std::map<size_t, ReducedLaunch>;

struct CompileOptions {
  int threads = 1;
  bool fuse = true;             ///< false: one kernel per node
  bool generated_only = false;  ///< products and convolutions by generated kernels alone
  bool own_products = false;    ///< those that the meanings state: no Winograd
  Kernels kernels;              ///< tile programs, used wherever one of their references matches
  std::function<void(const std::string&)> warn;  ///< hears why a kernel is not used; or null
  ReducedLaunches reduced;                       ///< none inside of recurrences
};

/// REQUIRES: concrete shapes (UserError otherwise). The plan keeps what it needs; `target` must
/// only live during the call. Throws UserError(unsupported) naming a node that cannot be run.
/// A graph that is given away lets its constants go as soon as kernels have them in their own form.
std::unique_ptr<runtime::Plan> compile(ir::Graph graph, codegen::Target& target,
                                       const CompileOptions& options);

}  // namespace tessera::plan
