// SPDX-License-Identifier: Apache-2.0
// certify_rules [FOLDER]: checks every rule on sample instances and rewrites the certificates.
#include <cstdio>
#include <exception>

#include "rules/rule_set.h"

int main(int argc, char** argv) try {
  const auto failures = tessera::rules::certify(argc > 1 ? argv[1] : "rules");
  for (const std::string& f : failures) std::printf("%s\n", f.c_str());
  return failures.empty() ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "certify_rules: %s\n", e.what());
  return 2;
}
