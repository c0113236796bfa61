// SPDX-License-Identifier: Apache-2.0
// What a model file may ask for. The limits are far above any model seen and exist so that a
// hostile file costs bounded time and memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::onnx {

inline constexpr int64_t max_nodes = 200'000;  ///< after inlining functions and branches
/// Nodes after inlining, and as many more for each stated node.
inline constexpr int64_t max_inlined_nodes = 3'000;
inline constexpr int64_t max_inlined_per_node = 30;
/// Expression nodes that inference may make, and as many more for each stated node; inference of
/// most nodes makes 10 to 100, of an LSTM or an attention some thousands.
inline constexpr int64_t max_work = 200'000;
inline constexpr int64_t max_work_per_node = 1'000;
inline constexpr int max_nesting = 64;  ///< of subgraphs and function calls
inline constexpr int max_rank = 32;
inline constexpr int max_attributes = 1'000;  ///< of one node
/// Of integers in a list attribute (strides, pads, …): their products fit 64 bits.
inline constexpr int64_t max_listed = int64_t{1} << 31;
inline constexpr int max_list = 100'000;  ///< elements of a list attribute
/// Inputs or outputs of one node; a join of n parts is an expression n deep, walked recursively.
inline constexpr int max_arguments = 1'000;
inline constexpr int64_t max_value_bytes = int64_t{1} << 46;  ///< of one value, as declared
inline constexpr int64_t max_loop_length = 1'000'000;
/// Work that may be spent on folding constants: scalar steps per node and per model.
inline constexpr double max_fold_steps = 3e6;
inline constexpr double max_fold_steps_total = 2e7;  ///< and as many more for each stated node:
inline constexpr double max_fold_steps_per_node = 1e4;
/// What making and preparing one expression node costs, in scalar steps.
inline constexpr double prepared_steps = 100;
inline constexpr int64_t max_fold_bytes = 1 << 20;  ///< of one folded value
inline constexpr int64_t max_fold_bytes_total = int64_t{256} << 20;
inline constexpr double max_symbolic_steps_total = 3e6;  ///< of values tracked symbolically
inline constexpr int64_t max_symbolic_elements = 1024;   ///< of a value tracked symbolically

}  // namespace tessera::onnx
