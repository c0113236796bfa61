// SPDX-License-Identifier: Apache-2.0
// gen_rules_doc FILE: writes docs/rules.md from the rules and their certificates. A test compares
// the two.
#include <cstdio>
#include <exception>

#include "base/atomic_file.h"
#include "rules/document.h"

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gen_rules_doc FILE\n");
    return 2;
  }
  tessera::AtomicFile file(argv[1]);
  file.write(tessera::rules::rules_document("rules", "rules/learned"));
  file.commit();
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "gen_rules_doc: %s\n", e.what());
  return 2;
}
