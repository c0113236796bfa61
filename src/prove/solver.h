// SPDX-License-Identifier: Apache-2.0
// Z3, kept at arm's length: each query runs in a child process with limits on memory and on Z3's
// own count of steps (so that answers repeat exactly), and is killed when it hangs all the same.
#pragma once

#include <utility>
#include <vector>

#include "algebra/term.h"

namespace tessera::prove {

using namespace algebra;  // proofs are written in its terms

enum class Answer : uint8_t { unsatisfiable, satisfiable, unknown };

struct SolverLimits {
  unsigned steps = 3'000'000;  ///< Z3's rlimit; 0: never asked
  unsigned seconds = 30;       ///< after which the child is killed: never met where steps suffice
  unsigned megabytes = 2048;   ///< address space of the child beyond the parent's
};

/// Σ coefficient · [guards hold], of integers.
struct Counting {
  std::vector<Guard> facts;
  std::vector<std::pair<double, std::vector<Guard>>> terms;
};
/// Can the sum be other than 0 where the facts hold and all sizes are at least 1?
Answer can_differ(const Counting& counting, const SolverLimits& limits);

/// Can the facts hold while the guard does not?
Answer can_fail(const std::vector<Guard>& facts, const Guard& guard, const SolverLimits& limits);

/// Can the normal form, a polynomial in its atoms over the reals, be other than 0? Each of
/// `nonnegative` is at least 0; every divisor is other than 0. Bound variables are not looked into.
Answer can_differ(const Sum& sum, const std::vector<Sum>& nonnegative, const SolverLimits& limits);

/// Queries that reached Z3 in this process.
int solver_calls();

}  // namespace tessera::prove
