// SPDX-License-Identifier: Apache-2.0
// Whether a normal form is 0 for all sizes, all indices and all tensors.
#pragma once

#include <string>

#include "algebra/algebra.h"
#include "prove/solver.h"

namespace tessera::prove {

using namespace algebra;  // proofs are written in its terms

struct Decision {
  enum class Kind : uint8_t {
    zero,     ///< always
    nonzero,  ///< for some tensors and sizes, if atoms that are no reads may take any value
    unknown
  };
  Kind kind = Kind::unknown;
  std::string how;  ///< the step of the ladder; or why it is unknown
};

/// The place of a step in the ladder: structure < division < extraction < counting < reals < cases.
int step_rank(const std::string& how);

/// `facts` hold the ranges of the output's indices; each of `nonnegative` is at least 0. Maxima are
/// split into cases up to `cases` deep.
Decision decide_zero(Algebra& algebra, const Sum& difference, const Facts& facts,
                     const std::vector<Sum>& nonnegative, const SolverLimits& limits,
                     int cases = 4);

}  // namespace tessera::prove
