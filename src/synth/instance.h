// SPDX-License-Identifier: Apache-2.0
// An operator applied to operands of known types, ready to be evaluated on residues: one kernel for
// each output of a record with a meaning, a list of kernels for a decomposition.
#pragma once

#include <memory>
#include <vector>

#include "ops/op_def.h"
#include "synth/kernel.h"

namespace tessera::synth {

/// How many independent models (seeds) every tensor is evaluated in.
inline constexpr int lanes = 2;

/// A tensor in all models: lane l's elements begin at data + l·size.
struct Residues {
  const uint64_t* data = nullptr;
  int64_t size = 0;
  double bound = 0;  ///< Operand::bound, over all lanes
};

/// Memory that evaluations reuse; one per thread.
struct Scratch {
  std::vector<Number> numbers;
  std::vector<std::vector<uint64_t>> tensors;
  std::vector<double> bounds;
};

class Instance {
 public:
  /// Throws UserError if the record does not accept the operands, or has no form over a field.
  Instance(const ops::OpDef& def, const ir::AttrMap& attrs,
           const std::vector<ir::ValueType>& operands);

  /// An instance of nothing, to stand for what cannot be compiled.
  static Instance empty() { return {}; }

  const std::vector<ir::ValueType>& types() const { return types_; }
  /// Evaluates output `k` into `out` (lanes · size elements); returns its bound.
  double run(std::span<const Residues> operands, size_t k, uint64_t seed, uint64_t* out,
             Scratch& scratch) const;

  Instance(const Instance&) = delete;
  Instance(Instance&&) = default;

 private:
  Instance() = default;
  struct Step {
    Kernel kernel;
    std::vector<int> operands;  ///< k: operand k; −1 − j: the result of step j
  };
  /// Appends the steps of a node; `values` maps its inputs to operands as in Step.
  std::vector<int> add_steps(const ops::OpDef& def, const ir::AttrMap& attrs,
                             const std::vector<ir::ValueType>& types,
                             const std::vector<int>& values);

  bool direct_ = false;  ///< a record with a meaning: step k gives output k
  std::vector<ir::ValueType> types_;
  std::vector<Step> steps_;
  std::vector<int> results_;  ///< per output, as Step::operands
};

}  // namespace tessera::synth
