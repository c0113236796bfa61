// SPDX-License-Identifier: Apache-2.0
// The planner's passes in the order in which compile() runs them.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "codegen/target.h"
#include "ops/registry.h"
#include "plan/compile.h"
#include "plan/draft.h"
#include "plan/switchable_plan.h"
#include "runtime/plan.h"

namespace tessera::plan {

/// Thrown by emit() when the target's library turns out not to compute a step.
struct LibraryRefusal {
  std::string op;
  bool with_epilogue = false;
};

/// Operators that the library refused: altogether, or when they had an epilogue (`gelu`: when that
/// was a part of it). Steps of integers are refused one by one, by integers_name().
struct Refusals {
  std::set<std::string> operators, epilogues;
};
std::string integers_name(const codegen::IntegerProducts& integers);

/// The same graph out of inputs, constants and operators that have a meaning or are opaque:
/// composites are expanded, constant subgraphs evaluated (not weights of 8 bits that products read
/// dequantized), equal nodes merged, dead ones dropped.
/// Throws UserError(unsupported) naming a node that cannot be interpreted.
ir::Graph expand(const ir::Graph& graph);

/// A transposed convolution of inputs of these types as convolution and rearrangement, with inputs
/// x, w and, where there is one, bias. Nothing with dilations, or where outputs have no taps.
/// `result`: the extents of its output.
std::optional<ir::Graph> convolution_of_phases(const ops::InputTypes& types,
                                               const ir::AttrMap& attrs, const Shape& result);

/// One step per node output; one for each match, whose nodes get none unless others need them.
/// REQUIRES: an expanded graph of known sizes.
Draft lower(const ir::Graph& graph, const std::vector<KernelMatch>& matches = {});

/// Marks the steps that the target's library computes and brings them into its form: `matmul` (also
/// for gemm), `conv`, `conv_transpose`, with sources (x, weights, bias or nothing, operands of the
/// epilogue …). Scatters and cumulative sums become direct steps.
void choose_libraries(Draft& draft, const Refusals& refusals);

/// Products and convolutions of dequantized activations by dequantized constants, and such of
/// integers that fit 8 bits, become library steps on the integers themselves. What was left of
/// dequantized constants becomes constant.
void choose_integers(Draft& draft, const Refusals& refusals);

/// A quantization that alone follows a library step of integers becomes the end of its epilogue.
void absorb_quantizations(Draft& draft);

/// Constants of one element become literals of the loops that read them.
void inline_scalars(Draft& draft);

/// Merges elementwise steps with their only consumer, if that is elementwise on the same indices.
void fuse_pointwise(Draft& draft);

/// Elementwise steps after library steps become epilogues, where the library has the functions.
void absorb_epilogues(Draft& draft, const Refusals& refusals);

/// Substitutes producers into consumers where memory traffic saved outweighs what is recomputed.
void fuse(Draft& draft);

/// Two products with a softmax between them, as fuse() leaves it, become attention.
void fuse_attention(Draft& draft, const Refusals& refusals);
/// What constant masks hide of an attention whose operands still are [batch…, queries, keys]; null:
/// nothing.
std::shared_ptr<const codegen::HiddenKeys> find_hidden_keys(const Draft& draft,
                                                            const Step& attention);

/// Concatenations that were not fused into their consumers become copies of rows.
void choose_copies(Draft& draft);

/// Decides how every value lies in memory; steps that only relabel memory become aliases.
void assign_layouts(Draft& draft);

/// Brings the meanings of loop steps into physical form, as Target::make_loops() takes them.
/// REQUIRES: layouts.
void make_physical(Draft& draft);

/// Makes chains of convolutions into steps that compute a few lines at a time, where the target
/// expects to be faster so. REQUIRES: layouts.
void chain_lines(Draft& draft, codegen::Target& target, const CompileOptions& options);

/// What launches in bf16 (options.reduced) alone read, as their first operand, is made in bf16,
/// where the target can. Steps are those of the program: dead ones go.
void store_rounded(Draft& draft, codegen::Target& target, const CompileOptions& options);
/// By which emit() refuses what store_rounded() did, when the target could not after all.
inline constexpr const char* rounded_values = "rounded values";

/// Assigns memory, makes kernels. The draft must be ready: every source of a step is a constant, an
/// input or the destination of an earlier step (or an alias of one). `choices`, where it is not
/// null, receives the kernels of less than f32 that the launches could use as well.
/// `settled` is called once no refusal can come any more, before constants are packed: what it lets
/// go of is freed piece by piece meanwhile.
runtime::Program emit(Draft draft, codegen::Target& target, const CompileOptions& options,
                      KernelChoices* choices, const std::function<void()>& settled);

/// All passes: what compile() and the bodies of recurrences share.
runtime::Program compile_program(ir::Graph graph, codegen::Target& target,
                                 const CompileOptions& options, KernelChoices* choices);

}  // namespace tessera::plan
