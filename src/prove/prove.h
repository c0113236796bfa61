// SPDX-License-Identifier: Apache-2.0
// Proofs that two tensor programs compute the same for all sizes, from the meanings of their
// operators alone. See docs/design/prove.md.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"
#include "prove/solver.h"
#include "rules/rule.h"

namespace tessera::prove {

struct ProveOptions {
  SolverLimits limits;
  /// `real`: equal over the reals; `exact`: every bit is kept.
  rules::Mode mode = rules::Mode::real;
  int replays = 3;       ///< of a proved pair on random sizes: a guard against the prover itself
  int refutations = 24;  ///< attempts to find a counterexample to what is not proved
  int most_instances = 4000;  ///< of one rule; more make the verdict a bounded one
  uint64_t seed = 1;
  bool check_legality = true;
};

struct Verdict {
  enum class Kind : uint8_t {
    proved,   ///< for all sizes, at the ranks and attributes that `scope` names
    bounded,  ///< for some fixed sizes or attributes only, named in `bound`
    refuted,  ///< `reason` is a counterexample that the reference evaluated
    unknown   ///< `reason` says where the method ended
  };
  Kind kind = Kind::unknown;
  std::string reason;
  std::string bound;
  std::string note;    ///< of a bounded verdict: where the method ended with symbolic sizes
  std::string domain;  ///< "reals", "bits integers booleans" …
  std::string how;     ///< the strongest step that was needed: structure < division < … < reals
  bool from_zero = true;  ///< holds for empty tensors too; else every extent is at least 1
  int instances = 0;      ///< symbolic instances that were decided
  bool holds() const { return kind == Kind::proved || kind == Kind::bounded; }
};
std::string_view to_string(Verdict::Kind kind);

/// Both graphs have the same inputs in the same order (dimensions may be symbolic) and the same
/// number of outputs. What the left graph requires of sizes is assumed, what the right one requires
/// must follow. Never throws for what it cannot prove.
Verdict prove_equal(const ir::Graph& left, const ir::Graph& right, const ProveOptions& = {});

/// One direction of a rule, over all instances that its patterns and sample clauses describe, with
/// every size symbolic where the attributes allow it.
Verdict prove(const rules::Rule& rule, const ProveOptions& = {});

}  // namespace tessera::prove
