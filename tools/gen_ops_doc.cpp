// SPDX-License-Identifier: Apache-2.0
// gen_ops_doc FILE: writes docs/ops.md from the operator records. A test compares the two.
#include <cstdio>
#include <fstream>

#include "ops/document.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gen_ops_doc FILE\n");
    return 2;
  }
  std::ofstream out(argv[1], std::ios::binary);
  out << tessera::ops::operators_document();
  out.close();
  if (!out) std::fprintf(stderr, "cannot write %s\n", argv[1]);
  return out ? 0 : 3;
}
