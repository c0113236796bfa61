// SPDX-License-Identifier: Apache-2.0
// Rule synthesis: options, files and figures around synth::synthesize.
#include "api/synthesize.h"

#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "base/atomic_file.h"
#include "base/check.h"
#include "synth/synthesize.h"

namespace tessera::api {
namespace {

double now() {
  const auto t = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(t).count();
}

double peak_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1048576;
}

void compute_one_shard(const SynthesisOptions& o, const synth::SynthesizeOptions& options) {
  synth::Bank bank(synth::vocabulary(options.vocabulary), options.growth, options.seed);
  for (int k = 1; k < options.operators; ++k) bank.grow();
  const synth::ShardTotals totals = synth::write_shards(bank, options.operators, options.shards);
  o.say(fmt::format("{:>10}  graphs in shard {} of {}{}", totals.graphs, o.only_shard, o.shards,
                    totals.reused ? ", which was there" : ""));
}

// The rule file, and the folder's certificates with those of its rules.
void write_rules(const std::string& folder, const synth::SynthesizeOptions& options,
                 const synth::Synthesis& synthesis) {
  namespace fs = std::filesystem;
  fs::create_directories(folder);
  const std::string path = (fs::path(folder) / (options.vocabulary + ".rules")).string();
  AtomicFile file(path);
  file.write(synth::rule_file(options, synthesis));
  file.commit();
  rules::Certificates certificates = rules::read_certificates(folder);
  for (size_t k = 0; k < synthesis.kept.size(); ++k) {
    const auto rule = rules::parse_rule(synthesis.kept[k].text(), options.vocabulary, 1);
    certificates[rules::certificate_hash(rule).to_string()] = synthesis.certificates[k];
  }
  rules::write_certificates(folder, certificates);
  options.say(fmt::format("wrote {} and certificates of {} rules", path, synthesis.kept.size()));
}

// `corpus` as the names that it stands for.
std::vector<std::string> with_corpus(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    if (name != "corpus") all.push_back(name);
    for (const synth::Vocabulary& v : synth::vocabularies())
      if (name == "corpus" && v.corpus) all.push_back(v.name);
  }
  return all;
}

}  // namespace

std::vector<VocabularyEntry> vocabulary_list() {
  std::vector<VocabularyEntry> entries;
  for (const synth::Vocabulary& v : synth::vocabularies()) {
    size_t inputs = 0;
    for (const synth::InputClass& c : v.inputs) inputs += static_cast<size_t>(c.count);
    entries.push_back({v.name, v.doc, inputs, v.templates.size(), v.operators});
  }
  return entries;
}

void synthesize_rules(const SynthesisOptions& o) {
  namespace fs = std::filesystem;
  TESSERA_USER_CHECK(o.shards >= 1 && o.only_shard < o.shards, "shard {} of {}", o.only_shard,
                     o.shards);
  std::vector<synth::LearnedRule> known;  // of the vocabularies before
  for (const std::string& name : with_corpus(o.vocabularies)) {
    synth::SynthesizeOptions options;
    options.vocabulary = name;
    options.operators = o.operators ? o.operators : synth::vocabulary(name).operators;
    options.growth = o.all ? synth::Growth::all : synth::Growth::representatives;
    options.seed = o.seed;
    options.learn = !o.count_only;
    options.test_all = o.test_all;
    options.keep_unproved = o.keep_unproved;
    options.settle.judge.instances = o.strange_instances;
    options.processes = o.threads;
    options.say = o.say;
    options.progress = o.progress;
    options.shards = {
        .folder = (fs::path(o.work_folder) /
                   fmt::format("{}-{}{}", name, options.operators, o.all ? "-all" : ""))
                      .string(),
        .shards = o.shards,
        .only = o.only_shard,
        .threads = o.threads};
    options.notes = (fs::path(options.shards.folder) / "decided").string();
    o.say(fmt::format("vocabulary {}, up to {} operators", name, options.operators));
    const double begin = now();
    if (o.only_shard >= 0) {
      compute_one_shard(o, options);
      continue;
    }
    const synth::Synthesis result = synth::synthesize(options, known);
    known.insert(known.end(), result.kept.begin(), result.kept.end());
    o.say(fmt::format("{:>10.1f}  seconds, at most {:.2f} GiB of memory", now() - begin,
                      peak_gigabytes()));
    if (o.output.empty() || o.count_only) continue;
    write_rules(o.output, options, result);
  }
}

}  // namespace tessera::api
