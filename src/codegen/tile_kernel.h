// SPDX-License-Identifier: Apache-2.0
// Tile programs as machine code. A task is one program of the grid: it walks the elements of its
// blocks one by one (one axis in vector lanes, the last lanes masked), and for each of them the
// statements, so that variables along axes of the grid are registers. Where no axis of the grid
// lies well in memory, the elements of the inner loops have the lanes. Places that are not known to
// lie inside a parameter are tested while the kernel runs: a program cannot touch other memory.
#pragma once

#include "codegen/loop_kernel.h"
#include "tile/program.h"

namespace tessera::codegen {

/// A kernel whose sources are the program's inputs and whose destinations are its results, all
/// row-major. It returns 1 where an index lies outside of its parameter (then nothing is read or
/// written there). REQUIRES: known sizes. Throws UserError(unsupported) naming what is wrong: a
/// reduction along an axis of the grid, whose value would depend on the schedule; a variable that
/// does not fit the stack of a thread.
EmittedKernel tile_kernel(const tile::Program& program, const tile::Schedule& schedule);

}  // namespace tessera::codegen
