// SPDX-License-Identifier: Apache-2.0
// Small tensors whose elements are symbolic integers: what Shape → Gather → Concat → Reshape chains
// compute. There is one definition of every operator: its meaning is walked over symbolic elements.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/meaning.h"
#include "sym/expr.h"
#include "types/tensor.h"

namespace tessera::onnx {

/// A number, or an integer-valued symbolic expression (which a float may hold, too).
struct Element {
  bool exact = true;  ///< `integer` holds the value; otherwise `real` does
  sym::Expr integer;
  double real = 0;
  static Element of(sym::Expr value) { return {true, std::move(value), 0}; }
};

struct SymbolicTensor {
  DType type = DType::i64;
  Shape shape;
  std::vector<Element> elements;  ///< row-major

  static SymbolicTensor from(const Tensor& tensor);
  /// The plain tensor, if no element holds a symbol.
  std::optional<Tensor> constant() const;
};

/// Outputs of one instance, as far as they follow from the known inputs; `inputs[k]` is null where
/// nothing is known. An output that depends on an unknown element, that is larger than
/// max_symbolic_elements or that needs a case distinction on symbols is missing, and so is every
/// one once `steps`, from which the work is taken, is used up.
std::vector<std::optional<SymbolicTensor>> evaluate_symbolic(
    const ir::Meaning& meaning, const std::vector<const SymbolicTensor*>& inputs, double& steps);

/// Scalar steps that evaluating all outputs takes; infinite when a size is symbolic.
double evaluation_steps(const ir::Meaning& meaning);

}  // namespace tessera::onnx
