// SPDX-License-Identifier: Apache-2.0
// tessera rules prove: proofs and certificates of rules.
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/catalog.h"
#include "base/check.h"
#include "cli/command.h"

namespace tessera::cli {
namespace {

void prove_rules(const api::ProofRequest& request, const std::string& folder, const ModelOptions& o,
                 Shell& shell) {
  std::map<std::string, int> counts;
  double seconds = 0;
  const auto each = [&](const api::ProofEntry& e) {
    if (!o.json)
      std::cout << fmt::format(
                       "{:<9} {:<28} {:>4} instances {:>8.1f} ms {:>4} queries  {}{}\n", e.status,
                       e.name, e.instances, e.seconds * 1e3, e.solver_calls,
                       e.how.empty() || e.status == "unknown" || e.status == "refuted"
                           ? e.reason
                           : e.domain + " by " + e.how,
                       e.bound.empty()
                           ? ""
                           : " (" + e.bound + (e.reason.empty() ? ")" : "; " + e.reason + ")"))
                << std::flush;
  };
  nlohmann::ordered_json json{{"proofs", nlohmann::ordered_json::array()}};
  api::Options options = o.options(shell);
  if (!folder.empty()) options.rules_folder = folder;
  for (const api::ProofEntry& e : api::prove_rules(options, request, each)) {
    ++counts[e.status];
    seconds += e.seconds;
    json["proofs"].push_back({{"name", e.name},
                              {"status", e.status},
                              {"domain", e.domain},
                              {"how", e.how},
                              {"bound", e.bound},
                              {"reason", e.reason},
                              {"instances", e.instances},
                              {"queries", e.solver_calls},
                              {"seconds", e.seconds}});
    if (e.status == "refuted" || e.status == "differs") shell.status = exit_no;
  }
  if (o.json) {
    std::cout << json.dump() << '\n';
    return;
  }
  for (const auto& [status, count] : counts) std::cout << count << ' ' << status << "  ";
  std::cout << fmt::format("in {:.1f} s\n", seconds);
}

}  // namespace

void add_prove(CLI::App& rules, Shell& shell) {
  auto o = std::make_shared<ModelOptions>();
  auto request = std::make_shared<api::ProofRequest>();
  auto all = std::make_shared<bool>(false);
  CLI::App& prove = *rules.add_subcommand("prove", "prove them and write their certificates");
  prove.add_option("names", request->names, "the rules");
  prove.add_flag("--all", *all, "every rule");
  prove.add_flag("--check", request->check, "compare with the certificates, write nothing");
  auto folder = std::make_shared<std::string>();
  prove.add_option("--folder", *folder, "where the rules are (those Tessera was built with)");
  prove.add_option("--threads", o->threads,
                   "rules proved at a time (default: the cores this process may use)");
  o->add_output(prove);
  prove.callback([o, request, all, folder, &shell] {
    TESSERA_USER_CHECK(*all != !request->names.empty(), "name rules, or say --all");
    prove_rules(*request, *folder, *o, shell);
  });
}

}  // namespace tessera::cli
