// SPDX-License-Identifier: Apache-2.0
// Writing and replaying derivation files.
#include "api/derivation.h"

#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "api/load.h"
#include "base/check.h"
#include "ops/hash.h"
#include "search/optimize.h"

namespace tessera::api {
namespace {

constexpr std::string_view header = "tessera derivation 1";

struct Parsed {
  std::string from;
  std::set<std::string> disabled;
  int opset = 0;
  rules::Derivation steps;
};

Parsed parse(const std::string& text) {
  std::istringstream in(text);
  std::string line;
  TESSERA_USER_CHECK(std::getline(in, line) && line == header, "not a derivation: expected '{}'",
                     header);
  Parsed result;
  for (int number = 2; std::getline(in, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string key;
    fields >> key;
    if (key == "step") {
      const rules::Derivation one = rules::derivation_from_text(line.substr(key.size()));
      result.steps.insert(result.steps.end(), one.begin(), one.end());
    } else if (key == "from") {
      fields >> result.from;
    } else if (key == "opset") {
      fields >> result.opset;
    } else if (key == "disabled") {
      for (std::string name; fields >> name;) result.disabled.insert(name);
    } else {
      TESSERA_USER_CHECK(false, "derivation, line {}: unknown key '{}'", number, key);
    }
  }
  return result;
}

// Removes the file when it goes out of scope.
struct TemporaryFile {
  std::filesystem::path path;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};

// What a reader of the written file would see. The format keeps no trace of some differences, such
// as how a scalar constant was spelled, so both sides are compared as read.
ir::Graph written_and_read(const ir::Graph& graph, const std::string& like, int opset,
                           const Options& options) {
  const std::string extension = std::filesystem::path(like).extension();
  const TemporaryFile file{std::filesystem::temp_directory_path() /
                           fmt::format("tessera-replay-{}{}", ::getpid(), extension)};
  save_model(graph, file.path, extension == ".onnx" ? opset : 0);
  std::set<std::string> bound;  // the written model may have none of the dimensions left
  return load_model(file.path, options, {}, &bound);
}

}  // namespace

std::string derivation_text(const ir::Graph& from, const rules::Derivation& steps,
                            const Options& options, int opset) {
  std::string text = fmt::format("{}\nfrom {}\n", header, ops::identity_hash(from).to_string());
  if (!options.disabled_rules.empty()) {
    text += "disabled";
    for (const std::string& name : options.disabled_rules) text += " " + name;
    text += "\n";
  }
  text += fmt::format("opset {}\n", opset);
  std::istringstream lines(rules::to_text(steps));
  for (std::string line; std::getline(lines, line);) text += "step " + line + "\n";
  return text;
}

Replay replay(const ir::Graph& first, const ir::Graph& second, const std::string& second_path,
              const std::string& text, const Options& options) {
  const Parsed parsed = parse(text);
  Replay result{.steps = static_cast<int>(parsed.steps.size()), .problem = {}};
  if (parsed.from != ops::identity_hash(first).to_string()) {
    result.problem = "it starts from another graph";
    return result;
  }
  search::OptimizeOptions searching;
  searching.disabled = parsed.disabled;
  rules::RuleSet rules = rules::load_rules(rules_folder(options));
  if (std::filesystem::is_directory(learned_rules_folder(options)))
    rules::add_rules(rules, learned_rules_folder(options));
  try {
    const ir::Graph reached = parsed.steps.empty() ? first
                                                   : rules::replay(first, parsed.steps, rules,
                                                                   search::work_options(searching));
    const ir::Graph read = written_and_read(reached, second_path, parsed.opset, options);
    if (ops::identity_hash(read) != ops::identity_hash(second))
      result.problem = "it leads to another graph";
  } catch (const UserError& e) {
    result.problem = e.what();
  }
  return result;
}

}  // namespace tessera::api
