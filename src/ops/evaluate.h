// SPDX-License-Identifier: Apache-2.0
// The reference: what an operator, and a graph, computes. Two tiers read the same meanings: a tree
// walker that is slow and plain (the arbiter), and a loop evaluator that is quick enough for whole
// models and is checked against the first.
#pragma once

#include <span>
#include <vector>

#include "ir/meaning.h"
#include "ops/op_def.h"

namespace tessera::ops {

enum class Tier : uint8_t { tree, loops };

struct EvalOptions {
  Tier tier = Tier::loops;
  /// Floats are computed, and tensors of floats held, in f64; nothing is rounded in between. When
  /// false, every primitive is rounded to the type that scalar.h says and tensors keep their type.
  bool wide = true;
  int threads = 1;
};

/// Evaluates all outputs of one instance whose sizes are known. Input k of the meaning is
/// inputs[k]; an absent one is an empty Tensor. Float inputs may be given in any float type.
/// Throws UserError when a data-dependent index lies outside a tensor.
std::vector<Tensor> tree_evaluate(const ir::Meaning& meaning, std::span<const Tensor> inputs,
                                  bool wide);
std::vector<Tensor> loop_evaluate(const ir::Meaning& meaning, std::span<const Tensor> inputs,
                                  bool wide, int threads = 1);
/// Evaluates element `index` of output `k` alone, for the error that it meets.
void tree_evaluate_element(const ir::Meaning& meaning, size_t k, std::span<const Tensor> inputs,
                           bool wide, int64_t index);

/// One node by its record (meaning, decomposition, opaque reference or structural operator).
/// `types` are the declared input types with known sizes; null where absent.
std::vector<Tensor> evaluate_node(const OpDef& def, const ir::AttrMap& attrs,
                                  std::span<const ir::ValueType* const> types,
                                  std::span<const Tensor> inputs,
                                  std::span<const std::shared_ptr<const ir::Graph>> regions,
                                  const EvalOptions& options);

/// Whether nodes of this operator, with a first input of this type, stay as they are where nodes of
/// constants are evaluated: dequantized weights of 8 bits would take four times the memory, and
/// kernels of integers would not find them.
bool keeps_constants(const OpDef& def, const ir::ValueType& input);

/// A whole graph. `inputs` in the order of graph.inputs(), of the declared concrete shapes. Frees
/// intermediate tensors after their last use. Throws UserError for nodes that cannot be
/// interpreted.
std::vector<Tensor> evaluate(const ir::Graph& graph, std::span<const Tensor> inputs,
                             const EvalOptions& options = {});

/// The type in which `wide` evaluation holds values of `type`.
inline DType evaluated_type(DType type, bool wide) {
  return wide && is_float(type) ? DType::f64 : type;
}

}  // namespace tessera::ops
