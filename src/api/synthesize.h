// SPDX-License-Identifier: Apache-2.0
// Rule synthesis for people and scripts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tessera::api {

struct SynthesisOptions {
  /// Empty: list them; `corpus` stands for all whose rules are checked in, in order of the table.
  std::vector<std::string> vocabularies;
  int operators = 0;           ///< 0: as the vocabularies say
  bool all = false;            ///< also graphs that hold a smaller graph's equal (TASO's way)
  bool count_only = false;     ///< enumerate and group, learn nothing
  bool test_all = false;       ///< test every equation before derivability is decided
  bool keep_unproved = false;  ///< also rules that are not proved for all shapes
  int shards = 64;
  int only_shard = -1;           ///< compute one shard and stop
  int threads = 2;               ///< and processes that judge rules
  int strange_instances = 1000;  ///< that each rule is judged by, besides the prover
  uint64_t seed = 1;
  std::string work_folder;  ///< for shards
  /// A folder for VOCABULARY.rules and their certificates; empty: nothing is written.
  std::string output;
  std::function<void(const std::string&)> say, progress;
};

struct VocabularyEntry {
  std::string name, doc;
  size_t inputs = 0, records = 0;
  int operators = 0;
};
std::vector<VocabularyEntry> vocabulary_list();

void synthesize_rules(const SynthesisOptions& options);

}  // namespace tessera::api
