// SPDX-License-Identifier: Apache-2.0
// Proofs of the rules in the rules folder, and their certificates.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "api/catalog.h"
#include "base/check.h"
#include "base/processes.h"
#include "prove/certificate.h"
#include "rules/sample.h"

namespace tessera::api {
namespace {

using nlohmann::json;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Proof {
  ProofEntry entry;
  std::optional<rules::Certificate> certificate;
};

// In a process of its own: what it found, as text.
std::string proof_text(const rules::Rule& rule) {
  const auto start = std::chrono::steady_clock::now();
  const int calls = prove::solver_calls();
  const prove::Verdict v = prove::prove_stepwise(rule);
  json j{{"status", to_string(v.kind)},
         {"domain", v.domain},
         {"how", v.how},
         {"bound", v.bound},
         {"reason", v.reason},
         {"instances", v.instances},
         {"queries", prove::solver_calls() - calls},
         {"seconds", seconds_since(start)}};
  if (const auto c = prove::certificate_of(v))
    j["certificate"] = {{"status", static_cast<int>(c->status)}, {"detail", c->detail}};
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

Proof proof_of(const rules::Rule& rule, const std::optional<std::string>& text) {
  Proof p;
  p.entry.name = rule.name;
  if (!text) {
    p.entry.status = to_string(prove::Verdict::Kind::unknown);
    p.entry.reason = "the prover was stopped: too much time or memory";
    return p;
  }
  const json j = json::parse(*text);
  p.entry = {rule.name,      j.at("status"),    j.at("domain"),  j.at("how"),    j.at("bound"),
             j.at("reason"), j.at("instances"), j.at("queries"), j.at("seconds")};
  if (const auto c = j.find("certificate"); c != j.end())
    p.certificate = {static_cast<rules::Status>(c->at("status").get<int>()), c->at("detail"),
                     rule.name};
  return p;
}

// Whether the certificates say what was found.
bool agrees(const Proof& p, const rules::Certificate* known) {
  if (!p.certificate) return !known || known->status == rules::Status::tested;
  return known && known->status == p.certificate->status && known->detail == p.certificate->detail;
}

void note(const rules::Rule& rule, const Proof& p, const std::string& hash,
          rules::Certificates& certificates) {
  const auto known = certificates.find(hash);
  if (p.certificate) {
    certificates[hash] = *p.certificate;
  } else if (p.entry.status == to_string(prove::Verdict::Kind::refuted)) {
    certificates.erase(hash);
  } else if (known == certificates.end() || known->second.status != rules::Status::tested) {
    const rules::SampleReport report = rules::check_rule(rule, {});
    if (report.ok)
      certificates[hash] = {rules::Status::tested, std::to_string(report.instances), rule.name};
    else certificates.erase(hash);
  }
}

}  // namespace

std::vector<ProofEntry> prove_rules(const Options& options, const ProofRequest& request,
                                    const std::function<void(const ProofEntry&)>& each) {
  const std::string folder = rules_folder(options);
  rules::Certificates certificates = rules::read_certificates(folder);
  std::vector<rules::Rule> chosen = rules::read_rules(folder);
  for (const std::string& name : request.names)
    TESSERA_USER_CHECK(std::any_of(chosen.begin(), chosen.end(),
                                   [&](const rules::Rule& r) { return r.name == name; }),
                       "there is no rule '{}'", name);
  std::erase_if(chosen, [&](const rules::Rule& r) {
    return !request.names.empty() &&
           std::find(request.names.begin(), request.names.end(), r.name) == request.names.end();
  });
  constexpr int most_seconds = 600;  // far beyond what any rule takes
  const auto texts = in_processes(
      chosen.size(), [&](size_t k) { return proof_text(chosen[k]); },
      {.at_a_time = thread_count(options), .seconds = most_seconds, .progress = [&](size_t done) {
         report_progress(options, fmt::format("proving: {} of {}", done, chosen.size()));
       }});
  std::vector<ProofEntry> entries;
  for (size_t k = 0; k < chosen.size(); ++k) {
    Proof p = proof_of(chosen[k], texts[k]);
    const std::string hash = rules::certificate_hash(chosen[k]).to_string();
    if (request.check) {
      const auto known = certificates.find(hash);
      if (!agrees(p, known == certificates.end() ? nullptr : &known->second))
        p.entry.status = "differs";
    } else {
      note(chosen[k], p, hash, certificates);
    }
    if (each) each(p.entry);
    entries.push_back(std::move(p.entry));
  }
  if (!request.check) rules::write_certificates(folder, certificates);
  return entries;
}

}  // namespace tessera::api
