// SPDX-License-Identifier: Apache-2.0
// The examples of docs/language.md.
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "lang/parse.h"
#include "lang/print.h"
#include "ops/hash.h"
#include "ops/verify.h"

namespace tessera::lang {
namespace {

TEST(LanguageDoc, every_example_parses_and_prints) {
  const std::string text = read_file("docs/language.md");
  const std::string open = "```tsr\n";
  int count = 0;
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    at += open.size();
    const std::string program = text.substr(at, text.find("```", at) - at);
    SCOPED_TRACE(program);
    const ir::Graph graph = parse_program(program, "docs/language.md");
    ops::verify(graph);
    EXPECT_EQ(ops::identity_hash(graph),
              ops::identity_hash(parse_program(print(graph), "printed")));
    ++count;
  }
  EXPECT_GE(count, 5);
}

}  // namespace
}  // namespace tessera::lang
