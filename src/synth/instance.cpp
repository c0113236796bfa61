// SPDX-License-Identifier: Apache-2.0
// Compiles operator instances from their records.
#include "synth/instance.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/registry.h"

namespace tessera::synth {

Instance::Instance(const ops::OpDef& def, const ir::AttrMap& attrs,
                   const std::vector<ir::ValueType>& operands) {
  ops::InputTypes inputs;
  for (const ir::ValueType& t : operands) inputs.push_back(&t);
  types_ = ops::infer(def, inputs, attrs);
  std::vector<int> values;
  for (size_t k = 0; k < operands.size(); ++k) values.push_back(static_cast<int>(k));
  direct_ = static_cast<bool>(def.meaning);
  results_ = add_steps(def, attrs, operands, values);
}

std::vector<int> Instance::add_steps(const ops::OpDef& def, const ir::AttrMap& attrs,
                                     const std::vector<ir::ValueType>& types,
                                     const std::vector<int>& values) {
  ops::InputTypes inputs;
  for (const ir::ValueType& t : types) inputs.push_back(&t);
  std::vector<int> results;
  if (def.meaning) {
    const ir::Meaning meaning = ops::instantiate(def, inputs, attrs);
    for (size_t k = 0; k < meaning.outputs.size(); ++k) {
      steps_.push_back({Kernel(meaning, k), values});
      results.push_back(-static_cast<int>(steps_.size()));
    }
    return results;
  }
  if (!def.decompose)
    fail_user(ErrorKind::unsupported, "{} has neither a meaning nor a decomposition", def.name);
  const ir::Graph graph = ops::decompose(def, inputs, attrs);
  std::vector<std::vector<int>> known(graph.node_count());
  for (size_t k = 0; k < graph.inputs().size(); ++k) known[graph.inputs()[k]] = {values[k]};
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") continue;
    if (n.op == "constant") {
      const Tensor& t = std::get<Tensor>(n.attrs.at("value"));
      if (!is_float(t.type()))
        fail_user(ErrorKind::unsupported, "{} decomposes with constants of integers", def.name);
      std::vector<Number> numbers;
      for (int64_t i = 0; i < t.size(); ++i) {
        if (!std::isfinite(t.float_at(i)))
          fail_user(ErrorKind::unsupported, "{} decomposes with infinities", def.name);
        numbers.push_back(number_of(t.float_at(i)));
      }
      steps_.push_back({Kernel(numbers), {}});
      known[id] = {-static_cast<int>(steps_.size())};
      continue;
    }
    std::vector<ir::ValueType> own_types;
    std::vector<int> own_values;
    for (const ir::Value v : n.inputs) {
      if (!v.present())
        fail_user(ErrorKind::unsupported, "{} decomposes with absent inputs", def.name);
      own_types.push_back(graph.type(v));
      own_values.push_back(known[v.node].at(v.index));
    }
    known[id] = add_steps(ops::registry().get(n.op), n.attrs, own_types, own_values);
  }
  for (const ir::GraphOutput& o : graph.outputs())
    results.push_back(known[o.value.node].at(o.value.index));
  return results;
}

double Instance::run(std::span<const Residues> operands, size_t k, uint64_t seed, uint64_t* out,
                     Scratch& scratch) const {
  Operand inputs[Kernel::max_inputs];
  if (direct_) {
    const Step& step = steps_[k];
    double bound = 0;
    for (int lane = 0; lane < lanes; ++lane) {
      for (size_t j = 0; j < operands.size(); ++j)
        inputs[j] = {operands[j].data + lane * operands[j].size, operands[j].bound};
      const double own = step.kernel.run({inputs, operands.size()}, seed + lane,
                                         out + lane * step.kernel.size(), scratch.numbers);
      bound = std::max(bound, own);
    }
    return bound;
  }
  if (scratch.tensors.size() < steps_.size()) scratch.tensors.resize(steps_.size());
  scratch.bounds.assign(steps_.size(), 0);
  double bound = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    const auto operand = [&](int j) -> Operand {
      if (j >= 0) return {operands[j].data + lane * operands[j].size, operands[j].bound};
      return {scratch.tensors[-1 - j].data(), scratch.bounds[-1 - j]};
    };
    for (size_t s = 0; s < steps_.size(); ++s) {
      const Step& step = steps_[s];
      for (size_t j = 0; j < step.operands.size(); ++j) inputs[j] = operand(step.operands[j]);
      auto& result = scratch.tensors[s];
      result.resize(static_cast<size_t>(step.kernel.size()));
      scratch.bounds[s] = step.kernel.run({inputs, step.operands.size()}, seed + lane,
                                          result.data(), scratch.numbers);
    }
    const int j = results_[k];
    const Operand result = operand(j);
    const int64_t size = j >= 0 ? operands[j].size : steps_[-1 - j].kernel.size();
    std::copy_n(result.data, size, out + lane * size);
    bound = std::max(bound, result.bound);
  }
  return bound;
}

}  // namespace tessera::synth
