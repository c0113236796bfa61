// SPDX-License-Identifier: Apache-2.0
// Tests the prover itself: proofs of wrong statements must fail.
#pragma once

#include "prove/prove.h"

namespace tessera::prove {

struct MutationReport {
  int mutants = 0;
  int detected = 0;    ///< not proved
  int equivalent = 0;  ///< proved, and the reference finds no difference either: no mutation at all
  std::vector<std::string> missed;  ///< proved although the reference finds a difference
};

/// For up to `instances` proved instances of the rule: the meaning of every node of the right side
/// times 3, every index that a node reads at shifted by 1; and the rule without each of its
/// conditions. Meanings are compared by evaluating the composed expressions.
MutationReport mutate(const rules::Rule& rule, int instances, const ProveOptions& options = {});

}  // namespace tessera::prove
