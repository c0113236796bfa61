// SPDX-License-Identifier: Apache-2.0
// The code of a form.
#pragma once

#include "amx/form.h"
#include "codegen/loop_kernel.h"

namespace tessera::amx {

/// Stands in for the instructions on processors that have none (tests).
struct Machine {
  void (*configure)(const void* shapes) = nullptr;
  void (*release)() = nullptr;
  void (*zero)(int32_t tile) = nullptr;
  void (*load)(int32_t tile, const void* from, int64_t stride) = nullptr;
  void (*store)(int32_t tile, void* to, int64_t stride) = nullptr;
  void (*multiply)(int32_t sums, int32_t rows, int32_t columns) = nullptr;
};

/// Rows are tasks; sources are a (of bf16 numbers, at the place of index 0), b as packed by
/// pack_b() and the operands of the epilogue. Each call configures the tiles of its thread and
/// releases them. REQUIRES: is_usable() when it runs, or a machine.
codegen::EmittedKernel kernel(const Form& form, const Machine* machine = nullptr);

/// Whether the processor has tiles of bf16 numbers and the system lets this process use them; the
/// first call asks it (Linux grants the memory of tiles on request).
bool is_usable();

}  // namespace tessera::amx
