// SPDX-License-Identifier: Apache-2.0
// Verdicts: proofs of all instances, checked by replays; what is not proved is tried for a
// counterexample.
#include "prove/prove.h"

#include <algorithm>

#include "base/check.h"
#include "prove/decide.h"
#include "prove/instance.h"

namespace tessera::prove {
namespace {

// Whether a proved pair is equal where tensors are empty too.
bool holds_for_empty(const Problem& problem, ProveOptions options) {
  if (problem.divided) return false;
  options.limits.steps = 0;  // what needs a solver is left at extents of at least 1
  try {
    const auto empty = with_empty_tensors(problem);
    if (!empty || decide(*empty, options).kind != Outcome::Kind::proved) return false;
    int tried = 0;
    return replay(*empty, options.replays, options.seed + 1, tried).empty();
  } catch (const UserError&) {
    return false;
  }
}

// One instance into the verdict; false ends the proof.
bool settle(const Problem& problem, const ProveOptions& options, Verdict& verdict) {
  const Outcome outcome = decide(problem, options);
  const bool proved = outcome.kind == Outcome::Kind::proved;
  int tried = 0;
  const std::string difference =
      replay(problem, proved ? options.replays : options.refutations, options.seed, tried);
  ++verdict.instances;
  if (!difference.empty() && (proved || problem.all_conditions)) {
    verdict.kind = Verdict::Kind::refuted;
    verdict.reason =
        proved ? "a defect of the prover, whose proof this contradicts: " + difference : difference;
    return false;
  }
  if (!proved) {
    verdict.kind = Verdict::Kind::unknown;
    verdict.reason = outcome.reason + " [" + problem.description + "]";
    return false;
  }
  if (step_rank(outcome.how) > step_rank(verdict.how)) verdict.how = outcome.how;
  if (verdict.from_zero) verdict.from_zero = holds_for_empty(problem, options);
  return true;
}

}  // namespace

std::string_view to_string(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::proved: return "proved";
    case Verdict::Kind::bounded: return "bounded";
    case Verdict::Kind::refuted: return "refuted";
    case Verdict::Kind::unknown: return "unknown";
  }
  return "";
}

Verdict prove_equal(const ir::Graph& left, const ir::Graph& right, const ProveOptions& options) {
  Verdict verdict;
  try {
    Problem problem;
    problem.left = left;
    problem.right = right;
    problem.domain = domain_of(left, options.mode);
    verdict.domain = to_string(problem.domain);
    if (!unify(problem)) {
      verdict.reason = "the left side is never legal";
      return verdict;
    }
    problem.description = describe(problem.left);
    if (settle(problem, options, verdict)) verdict.kind = Verdict::Kind::proved;
  } catch (const UserError& e) {
    verdict.reason = e.what();
  }
  return verdict;
}

Verdict prove(const rules::Rule& rule, const ProveOptions& options) {
  Verdict verdict;
  std::set<std::string> domains, bounds;
  try {
    Instances instances(rule, options.most_instances);
    while (auto next = instances.next()) {
      domains.insert(std::string(to_string(next->problem.domain)));
      if (!next->bound.empty()) bounds.insert(next->bound);
      if (settle(next->problem, options, verdict)) continue;
      // Where sizes of any kind are too many, less general ones remain.
      for (int level = Instances::named_sizes;
           level <= Instances::sample_sizes && verdict.kind == Verdict::Kind::unknown &&
           !verdict.reason.empty();
           ++level) {
        const auto weaker = instances.weaker(level);
        if (!weaker) continue;
        const std::string reason = std::move(verdict.reason);
        verdict.reason.clear();
        if (!settle(weaker->problem, options, verdict)) continue;
        if (verdict.note.empty()) verdict.note = reason;
        if (!weaker->bound.empty()) bounds.insert(weaker->bound);
      }
      if (!verdict.reason.empty()) break;
    }
    if (instances.cut_off()) bounds.insert("the first instances only");
  } catch (const UserError& e) {
    verdict.reason = e.what();
    return verdict;
  }
  for (const std::string& d : domains) verdict.domain += (verdict.domain.empty() ? "" : " ") + d;
  if (verdict.kind == Verdict::Kind::refuted || !verdict.reason.empty()) return verdict;
  if (verdict.instances == 0) {
    verdict.reason = "no instance of the left side could be made";
    return verdict;
  }
  for (const std::string& b : bounds) verdict.bound += (verdict.bound.empty() ? "" : "; ") + b;
  verdict.kind = bounds.empty() ? Verdict::Kind::proved : Verdict::Kind::bounded;
  return verdict;
}

}  // namespace tessera::prove
