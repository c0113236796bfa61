// SPDX-License-Identifier: Apache-2.0
// The pipeline of passes.
#include "plan/compile.h"

#include "base/check.h"
#include "plan/passes.h"
#include "plan/switchable_plan.h"

namespace tessera::plan {

namespace {

runtime::Program compile_with(const ir::Graph& expanded, const std::vector<KernelMatch>& matches,
                              codegen::Target& target, const CompileOptions& options,
                              const Refusals& refusals, KernelChoices* choices,
                              const std::function<void()>& settled) {
  Draft draft = lower(expanded, matches);
  choose_libraries(draft, refusals);
  choose_integers(draft, refusals);
  inline_scalars(draft);
  if (options.fuse) {
    absorb_epilogues(draft, refusals);
    absorb_quantizations(draft);
    fuse_pointwise(draft);
    absorb_epilogues(draft, refusals);
    fuse(draft);
    fuse_attention(draft, refusals);
  }
  choose_copies(draft);
  assign_layouts(draft);
  make_physical(draft);
  // (Launches that may be reduced are counted with every convolution a launch.)
  if (options.fuse && !choices && options.reduced.empty()) chain_lines(draft, target, options);
  if (options.fuse && !choices && !options.reduced.empty() &&
      !refusals.operators.contains(rounded_values))
    store_rounded(draft, target, options);
  return emit(std::move(draft), target, options, choices, settled);
}

}  // namespace

runtime::Program compile_program(ir::Graph graph, codegen::Target& target,
                                 const CompileOptions& options, KernelChoices* choices) {
  ir::Graph expanded = expand(graph);
  graph = {};
  const std::vector<KernelMatch> matches = match_kernels(expanded, options.kernels, options.warn);
  // What the library refuses with an epilogue is tried without, then computed by loops.
  Refusals refusals;
  while (true) {
    try {
      return compile_with(expanded, matches, target, options, refusals, choices,
                          [&] { expanded = {}; });
    } catch (const LibraryRefusal& refusal) {
      auto& refused = refusal.with_epilogue ? refusals.epilogues : refusals.operators;
      TESSERA_CHECK(refused.insert(refusal.op).second, "{} was refused twice", refusal.op);
    }
  }
}

namespace {

std::unique_ptr<runtime::Plan> make_plan(ir::Graph graph, codegen::Target& target,
                                         const CompileOptions& options, KernelChoices* choices) {
  std::vector<runtime::Port> inputs, outputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    inputs.push_back({graph.node(id).name, type.dtype, type.concrete_shape()});
  }
  for (const ir::GraphOutput& o : graph.outputs()) {
    const ir::ValueType& type = graph.type(o.value);
    outputs.push_back({o.name, type.dtype, type.concrete_shape()});
  }
  runtime::Program program = compile_program(std::move(graph), target, options, choices);
  return std::make_unique<runtime::Plan>(std::move(program), std::move(inputs), std::move(outputs),
                                         options.threads);
}

}  // namespace

std::unique_ptr<runtime::Plan> compile(ir::Graph graph, codegen::Target& target,
                                       const CompileOptions& options) {
  return make_plan(std::move(graph), target, options, nullptr);
}

SwitchablePlan::SwitchablePlan(const ir::Graph& graph, codegen::Target& target,
                               const CompileOptions& options)
    : plan_(make_plan(graph, target, options, &choices_)) {
  for (auto& [launch, kernels] : choices_)
    kernels[codegen::Precision::f32] = plan_->launches()[launch].kernel;
}

void SwitchablePlan::use(size_t launch, codegen::Precision precision) {
  plan_->replace_kernel(launch, choices_.at(launch).at(precision));
}

}  // namespace tessera::plan
