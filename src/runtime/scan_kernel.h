// SPDX-License-Identifier: Apache-2.0
// Runs a program once for each step of a recurrence, carrying states.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/plan.h"

namespace tessera::runtime {

/// Sources: initial states, sequences (steps along axis 0), invariants. Destinations: final states,
/// then results stacked along axis 0. The body's inputs are (states, one step of each sequence,
/// invariants), its outputs (new states, one step of each result).
class ScanKernel : public Kernel {
 public:
  struct Signature {
    int64_t length = 0;
    bool reverse = false;
    std::vector<size_t> state_bytes;     ///< of each state
    std::vector<size_t> sequence_bytes;  ///< of one step of each sequence
    size_t invariants = 0;
    std::vector<size_t> result_bytes;  ///< of one step of each result
  };

  ScanKernel(Program body, Signature signature);
  void run(const KernelArgs& args) const override;
  size_t scratch_bytes() const override { return scratch_bytes_; }
  std::string implementation() const override;
  const Program& body() const { return body_; }
  int64_t length() const { return s_.length; }

 private:
  Program body_;
  Signature s_;
  std::vector<size_t> state_offsets_;  ///< in the scratch, after the body's arena
  size_t states_bytes_ = 0;            ///< of one copy of all states
  size_t scratch_bytes_ = 0;
};

}  // namespace tessera::runtime
