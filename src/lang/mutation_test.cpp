// SPDX-License-Identifier: Apache-2.0
// Damaged programs: whatever is done to a program's words, reading it gives a graph or a UserError.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/rng.h"
#include "lang/lexer.h"
#include "lang/parse.h"
#include "ops/verify.h"

namespace tessera::lang {
namespace {

std::string spell(const Token& token) {
  switch (token.kind) {
    case Token::Kind::string: return spell_string(token.text);
    case Token::Kind::name: return token.quoted ? "`" + token.text + "`" : token.text;
    default: return token.text;
  }
}

TEST(Mutation, damaged_programs_are_refused_or_sound) {
  std::vector<std::string> programs;
  for (const auto& entry : std::filesystem::directory_iterator("examples"))
    if (entry.path().extension() == ".tsr") programs.push_back(read_file(entry.path()));
  std::sort(programs.begin(), programs.end());
  Rng rng(1);
  int accepted = 0;
  const auto pick = [&](size_t count) {
    return static_cast<size_t>(rng.integer(0, static_cast<int64_t>(count) - 1));
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<Token> tokens = tokenize(programs[pick(programs.size())], "x");
    tokens.pop_back();
    for (int64_t edits = rng.integer(1, 3); edits > 0; --edits) {
      const size_t at = pick(tokens.size()), other = pick(tokens.size());
      switch (rng.integer(0, 3)) {
        case 0: tokens[at] = tokens[other]; break;
        case 1: std::swap(tokens[at], tokens[other]); break;
        case 2: tokens.insert(tokens.begin() + static_cast<long>(at), Token(tokens[other])); break;
        default: tokens.erase(tokens.begin() + static_cast<long>(at));
      }
      if (tokens.empty()) break;
    }
    std::string text;
    for (const Token& token : tokens) text += spell(token) + " ";
    const auto start = std::chrono::steady_clock::now();
    try {
      ops::verify(parse_program(text, "x"));
      ++accepted;
    } catch (const UserError&) {
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what() << "\n" << text;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << text;
  }
  EXPECT_GT(accepted, 30);
}

}  // namespace
}  // namespace tessera::lang
