// SPDX-License-Identifier: Apache-2.0
// The pipeline of passes.
#include "plan/compile.h"

#include "plan/passes.h"

namespace tessera::plan {

runtime::Program compile_program(const ir::Graph& graph, codegen::Target& target,
                                 const CompileOptions& options) {
  Draft draft = lower(expand(graph));
  choose_libraries(draft);
  inline_scalars(draft);
  if (options.fuse) {
    absorb_epilogues(draft);
    fuse_pointwise(draft);
    absorb_epilogues(draft);
    fuse(draft);
  }
  choose_copies(draft);
  assign_layouts(draft);
  make_physical(draft);
  return emit(std::move(draft), target, options);
}

std::unique_ptr<runtime::Plan> compile(const ir::Graph& graph, codegen::Target& target,
                                       const CompileOptions& options) {
  std::vector<runtime::Port> inputs, outputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    inputs.push_back({graph.node(id).name, type.dtype, type.concrete_shape()});
  }
  for (const ir::GraphOutput& o : graph.outputs()) {
    const ir::ValueType& type = graph.type(o.value);
    outputs.push_back({o.name, type.dtype, type.concrete_shape()});
  }
  runtime::Program program = compile_program(graph, target, options);
  return std::make_unique<runtime::Plan>(std::move(program), std::move(inputs),
                                         std::move(outputs), options.threads);
}

}  // namespace tessera::plan
