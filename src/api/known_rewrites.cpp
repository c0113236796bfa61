// SPDX-License-Identifier: Apache-2.0
// Keys, entries and replays of derivations on disk.
#include "api/known_rewrites.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/catalog.h"
#include "base/build_id.h"
#include "base/check.h"
#include "base/hash.h"

namespace tessera::api {
namespace {

void add_graph(Hasher& hasher, const ir::Graph& graph) {
  hasher.add(static_cast<int64_t>(graph.node_count()));
  for (const ir::Node& node : graph.nodes()) {
    hasher.add(node.op);
    hasher.add(static_cast<int64_t>(node.inputs.size()));
    for (const ir::Value v : node.inputs)
      hasher.add(static_cast<int64_t>(v.node)).add(static_cast<int64_t>(v.index));
    hasher.add(static_cast<int64_t>(node.attrs.size()));
    for (const auto& [name, value] : node.attrs) {
      hasher.add(name);
      ir::add_to_quick_hash(hasher, value);
    }
    hasher.add(static_cast<int64_t>(node.outputs.size()));
    for (const ir::ValueType& type : node.outputs) {
      hasher.add(static_cast<int64_t>(type.dtype)).add(static_cast<int64_t>(type.opaque));
      hasher.add(static_cast<int64_t>(type.shape.size()));
      for (const sym::Expr& d : type.shape)
        if (const auto size = d.constant()) hasher.add(*size);
        else hasher.add(d.to_string());
    }
    hasher.add(static_cast<int64_t>(node.regions.size()));
    for (const auto& region : node.regions) add_graph(hasher, *region);
  }
  for (const ir::NodeId id : graph.inputs()) hasher.add(static_cast<int64_t>(id));
  hasher.add(static_cast<int64_t>(graph.outputs().size()));
  for (const ir::GraphOutput& o : graph.outputs())
    hasher.add(static_cast<int64_t>(o.value.node)).add(static_cast<int64_t>(o.value.index));
}

// The files of a folder that say what rules there are.
void add_rule_files(Hasher& hasher, const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder, error))
    if (file.path().extension() == ".rules" || file.path().extension() == ".txt")
      paths.push_back(file.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    hasher.add(path.filename().string());
    hasher.add(std::string(std::istreambuf_iterator<char>(file), {}));
  }
}

void add_options(Hasher& hasher, const Options& options, double budget_seconds) {
  hasher.add(int64_t{options.exact}).add(int64_t{options.proved_rules});
  hasher.add(static_cast<int64_t>(thread_count(options))).add(budget_seconds);
  hasher.add(static_cast<int64_t>(options.disabled_rules.size()));
  for (const std::string& name : options.disabled_rules) hasher.add(name);
}

constexpr size_t digits = 32;

}  // namespace

Hash128 sampled_hash(const ir::Graph& graph) {
  Hasher hasher;
  add_graph(hasher, graph);
  return hasher.finish();
}

KnownRewrites::KnownRewrites(const ir::Graph& graph, const Options& options, double budget_seconds,
                             const std::vector<std::string>& folders)
    : cache_({.folder = build_id().empty() ? std::string() : options.cache_folder}) {
  if (!cache_.enabled()) return;
  Hasher hasher;
  hasher.add("derivation 1").add(build_id()).add(processor_name());
  for (const std::string& folder : folders) add_rule_files(hasher, folder);
  add_options(hasher, options, budget_seconds);
  add_graph(hasher, graph);
  key_ = hasher.finish();
}

// An entry is the hash of the result, a new line, and the steps.
std::optional<ir::Graph> KnownRewrites::replay(const ir::Graph& graph, const rules::RuleSet& rules,
                                               const rules::WorkOptions& work) {
  if (!cache_.enabled()) return std::nullopt;
  const auto bytes = cache_.load(key_);
  if (!bytes || bytes->size() <= digits) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  try {
    const rules::Derivation steps = rules::derivation_from_text(text.substr(digits));
    ir::Graph result = rules::replay(graph, steps, rules, work);
    if (sampled_hash(result).to_string() == text.substr(0, digits)) return result;
  } catch (const UserError&) {  // a step that does not apply: the constants differ after all
  }
  return std::nullopt;
}

void KnownRewrites::keep(const rules::Derivation& derivation, const ir::Graph& result) {
  if (!cache_.enabled()) return;
  rules::Derivation nameless = derivation;  // names may hold anything
  for (rules::Step& step : nameless) step.nodes.clear();
  const std::string text = sampled_hash(result).to_string() + "\n" + rules::to_text(nameless);
  cache_.store(key_, std::as_bytes(std::span(text)));
}

}  // namespace tessera::api
