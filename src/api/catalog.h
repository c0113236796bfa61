// SPDX-License-Identifier: Apache-2.0
// What Tessera knows by itself: built-in models, rules, this machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/options.h"
#include "ir/graph.h"

namespace tessera::api {

/// Options of built-in models; 0 and empty mean the model's own default.
struct ZooSettings {
  int64_t batch = 1, seq = 0, layers = 0, image = 0;
  uint64_t seed = 1;
};

struct ZooEntry {
  std::string name, doc;
  std::vector<std::string> options;  ///< the settings it heeds, with their defaults
};

std::vector<ZooEntry> zoo_models();
/// Throws UserError for an unknown name, and for a setting that the model does not heed.
ir::Graph zoo_model(const std::string& name, const ZooSettings& settings);

struct RuleEntry {
  std::string name, left, right, conditions, domain, mode, status, family;
  std::string derivation;  ///< how the status was found
};
std::vector<RuleEntry> rule_list(const Options& options);

struct ProofEntry {
  std::string name, status, domain, how, bound, reason;
  int instances = 0;
  int solver_calls = 0;
  double seconds = 0;
};
struct ProofRequest {
  std::vector<std::string> names;  ///< empty: all
  bool check = false;              ///< compare with the certificates instead of writing them
};
/// Proves rules of the rules folder and writes their certificates; `each` hears of every rule.
/// What is not proved keeps or gets the status of a test on random instances; what is refuted loses
/// its certificate. Throws UserError for an unknown name.
std::vector<ProofEntry> prove_rules(const Options& options, const ProofRequest& request,
                                    const std::function<void(const ProofEntry&)>& each);

/// The processor's name as Linux tells it; "CPU" where it does not.
std::string processor_name();

struct DeviceEntry {
  std::string target, name;
  int cores = 0;
  double gflops = 0, gigabytes_per_second = 0, launch_us = 0;
};
std::vector<DeviceEntry> devices(const Options& options);

}  // namespace tessera::api
