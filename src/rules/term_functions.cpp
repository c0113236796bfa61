// SPDX-License-Identifier: Apache-2.0
// Look-up in the tables of functions.
#include "rules/term_functions.h"

#include "base/check.h"
#include "rules/term_call.h"

namespace tessera::rules {
namespace {

std::vector<const Function*> all_functions() {
  std::vector<const Function*> all;
  for (const auto table : {arithmetic_functions(), tensor_functions(), list_functions()})
    for (const Function& f : table) all.push_back(&f);
  return all;
}

const Function* find(const std::string& name) {
  for (const auto table : {arithmetic_functions(), tensor_functions(), list_functions()})
    for (const Function& f : table)
      if (name == f.name) return &f;
  return nullptr;
}

}  // namespace

std::optional<TermValue> call_function(const std::string& name, std::vector<TermValue>& args,
                                       const WorkGraph& graph) {
  const Function* f = find(name);
  TESSERA_USER_CHECK(f != nullptr, "unknown function '{}' in a rule", name);
  if (args.empty()) return std::string_view(f->name) == "list" ? Result(Sizes{}) : std::nullopt;
  return f->call({args, graph});
}

bool is_function(const std::string& name) {
  return name == "map" || name == "all" || name == "each" || name == "and" || name == "or" ||
         find(name) != nullptr;
}

std::vector<std::pair<std::string, std::string>> term_functions() {
  std::vector<std::pair<std::string, std::string>> result{
      {"and", "all conditions hold"},
      {"or", "one of the conditions holds"},
      {"all", "the condition holds in every repetition"},
      {"each", "in a group: the condition that a node must meet to belong to it"},
      {"map", "the list of a term's values in all repetitions"}};
  for (const Function* f : all_functions()) result.push_back({f->name, f->doc});
  return result;
}

}  // namespace tessera::rules
