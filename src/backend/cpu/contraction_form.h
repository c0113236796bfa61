// SPDX-License-Identifier: Apache-2.0
// Requests for library kernels as contractions.
#pragma once

#include <optional>

#include "codegen/contraction.h"
#include "codegen/target.h"

namespace tessera::backend::cpu {

/// The contraction that a request describes, and which source of the request is each operand of its
/// epilogue.
struct ContractionForm {
  codegen::Contraction contraction;
  std::vector<int> operands;
};

/// Of a `matmul` or `conv` (channels last). Nothing for other operators and where a stride does not
/// fit (see Contraction).
std::optional<ContractionForm> contraction_form(const codegen::LibraryRequest& request);

/// What the request does to each sum: its bias and the operations after it. Null for nothing.
/// `operands` receives the sources that its inputs 1, 2 … stand for.
std::shared_ptr<const ir::Meaning> epilogue_form(const codegen::LibraryRequest& request,
                                                 std::vector<int>& operands);

}  // namespace tessera::backend::cpu
