// SPDX-License-Identifier: Apache-2.0
// taso_proofs [FOLDER [PART/PARTS]]: hands TASO's rules in FOLDER (shipped.txt, generated.txt) to
// the prover, with sizes and groups as symbols, at every choice of ranks that a few draws give, and
// compares its verdicts with those of random instances. Prints every rule that is not proved with
// the reason, and the counts; exits with 1 where the two contradict each other.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <set>

#include "base/check.h"
#include "corpus/taso_verdict.h"
#include "prove/prove.h"

namespace {

using namespace tessera;
using prove::Verdict;

// The weakest verdict over the ranks that were drawn.
Verdict proof_of(const corpus::TasoRule& rule) {
  constexpr int draws = 12;
  Verdict total;
  total.reason = "sizes that symbols do not express";
  Rng rng(1);
  std::set<std::string> seen;
  for (int draw = 0; draw < draws; ++draw) {
    const auto instance = corpus::draw_taso_instance(rule, rng, {.symbolic = true});
    if (!instance || !seen.insert(instance->to_string()).second) continue;
    const bool first = seen.size() == 1;
    const Verdict v = prove::prove_equal(instance->left, instance->right, {.refutations = 200});
    if (first || v.kind > total.kind) total = v;
    if (v.kind == Verdict::Kind::refuted) {
      total = v;
      break;
    }
  }
  return total;
}

struct Counts {
  int proved = 0, refuted = 0, unknown = 0, contradictions = 0;
};

void look_at(const corpus::TasoRule& rule, Counts& counts) {
  Verdict v;
  try {
    v = proof_of(rule);
  } catch (const UserError& e) {
    v.reason = e.what();
  }
  const corpus::TasoVerdict drawn = corpus::decide(rule);
  const bool proved = v.kind == Verdict::Kind::proved, refuted = v.kind == Verdict::Kind::refuted;
  ++(proved ? counts.proved : refuted ? counts.refuted : counts.unknown);
  const bool contradiction = (proved && drawn.truth == corpus::Truth::fails) ||
                             (refuted && drawn.truth == corpus::Truth::holds);
  counts.contradictions += contradiction;
  if (proved && !contradiction) return;
  std::printf("%s: %s%s; random instances: %s\n  %s\n  %s\n", rule.name.c_str(),
              std::string(to_string(v.kind)).c_str(), contradiction ? " (CONTRADICTION)" : "",
              std::string(to_string(drawn.truth)).c_str(), rule.text.c_str(),
              v.reason.substr(0, 400).c_str());
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : "../shared/taso-rules";
  int part = 0, parts = 1;
  if (argc > 2 && std::sscanf(argv[2], "%d/%d", &part, &parts) != 2) return 2;
  bool any = false, sound = true;
  for (const char* list : {"shipped", "generated"}) {
    const std::string path = folder + "/" + list + ".txt";
    if (!std::filesystem::exists(path)) {
      std::printf("skipped: there is no %s\n", path.c_str());
      continue;
    }
    any = true;
    Counts n;
    int number = 0;
    for (const corpus::TasoRule& rule : corpus::read_taso_rules(path))
      if (number++ % parts == part) look_at(rule, n);
    std::printf("%s: %d proved, %d refuted, %d unknown, %d contradictions\n", list, n.proved,
                n.refuted, n.unknown, n.contradictions);
    sound &= n.contradictions == 0;
  }
  return !any ? 77 : sound ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "taso_proofs: %s\n", e.what());
  return 2;
}
