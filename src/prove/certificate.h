// SPDX-License-Identifier: Apache-2.0
// Verdicts as certificates beside the rules.
#pragma once

#include <optional>

#include "prove/prove.h"
#include "rules/rule_set.h"

namespace tessera::prove {

/// A rule as it is written: a `<=>` rule is proved in both directions.
Verdict prove_both_ways(const rules::Rule& rule, const ProveOptions& options = {});
/// The same, first without a solver, which most rules do not need: so that a rule has one proof,
/// whatever the solver is allowed.
Verdict prove_stepwise(const rules::Rule& rule, const ProveOptions& options = {});

/// "INSTANCES DOMAINS by HOW [BOUND]" of a proof; nothing for other verdicts. The same rule gives
/// the same certificate on every machine.
std::optional<rules::Certificate> certificate_of(const Verdict& verdict);

}  // namespace tessera::prove
