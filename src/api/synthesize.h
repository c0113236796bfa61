// SPDX-License-Identifier: Apache-2.0
// Rule synthesis for people and scripts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tessera::api {

struct SynthesisOptions {
  std::vector<std::string> vocabularies;  ///< empty: list them
  int operators = 3;
  bool all = false;         ///< also graphs that hold a smaller graph's equal (TASO's way)
  bool count_only = false;  ///< enumerate and group, learn nothing
  bool test_all = false;    ///< test every equation before derivability is decided
  int shards = 64;
  int only_shard = -1;  ///< compute one shard and stop
  int threads = 2;
  uint64_t seed = 1;
  std::string work_folder;  ///< for shards
  std::string output;       ///< a folder for VOCABULARY.rules; empty: nothing is written
  std::function<void(const std::string&)> say, progress;
};

struct VocabularyEntry {
  std::string name, doc;
  size_t inputs = 0, operators = 0;
};
std::vector<VocabularyEntry> vocabulary_list();

void synthesize_rules(const SynthesisOptions& options);

}  // namespace tessera::api
