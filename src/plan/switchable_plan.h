// SPDX-License-Identifier: Apache-2.0
// A plan whose products exist in every precision that the target has, to try them in the program.
#pragma once

#include "plan/compile.h"

namespace tessera::plan {

/// By launch: its kernels in every precision.
using KernelChoices =
    std::map<size_t, std::map<codegen::Precision, std::shared_ptr<const runtime::Kernel>>>;

/// Starts with f32 everywhere.
class SwitchablePlan {
 public:
  /// As compile(); `options.reduced` is not heeded.
  SwitchablePlan(const ir::Graph& graph, codegen::Target& target, const CompileOptions& options);

  /// The launches that have a choice.
  const KernelChoices& choices() const { return choices_; }
  /// REQUIRES: a choice of the launch; no run is in progress.
  void use(size_t launch, codegen::Precision precision);
  runtime::Plan& plan() { return *plan_; }

 private:
  KernelChoices choices_;
  std::unique_ptr<runtime::Plan> plan_;
};

}  // namespace tessera::plan
