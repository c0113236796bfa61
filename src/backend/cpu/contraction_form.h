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
  int a = 0, b = 1;  ///< sources of the request
};

/// Of a `matmul` or `conv` (channels last), by way of the tile program that its meaning is lowered
/// to. Nothing for other operators and where a stride does not fit (see Contraction). Constant
/// weights will be packed; other second operands when they `are_packed`. Rows are joined
/// (join_axes()) unless `keep_rows`.
std::optional<ContractionForm> contraction_form(const codegen::LibraryRequest& request,
                                                bool are_packed = false, bool keep_rows = false);

/// The request's own tile program (LibraryRequest::kernel) as a contraction, if it is one, and the
/// register block that its schedule asks for (or none of it).
struct ProgramForm {
  ContractionForm form;
  int64_t rows = 0, columns = 0;
};
std::optional<ProgramForm> program_form(const codegen::LibraryRequest& request);

}  // namespace tessera::backend::cpu
