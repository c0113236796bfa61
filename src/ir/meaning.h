// SPDX-License-Identifier: Apache-2.0
// The meaning of one operator instance, as data: for every output its shape and a scalar
// expression over the output's indices that reads the inputs. The instance knows ranks and integer
// parameters; sizes may be symbolic. Text form: ops/meaning_text.h.
//
//   matmul(a: f32[N,K], b: f32[K,M]) -> f32[N,M] : out(i0, i1) = sum(r1 < K, a(i0, r1) * b(r1, i1))
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/scalar.h"

namespace tessera::ir {

/// out(i0, …) = body for every index in the shape; the body's type is the output's type.
struct MeaningOutput {
  Dims shape;
  Expr body;
};

/// A condition on sizes without which the instance is illegal: lhs == rhs, or lhs >= rhs.
/// Conditions on known sizes are decided when the meaning is built and never recorded.
struct Requirement {
  enum class Kind : uint8_t { equal, at_least };
  Kind kind = Kind::equal;
  sym::Expr lhs, rhs;
  std::string message;
};

struct Meaning {
  std::unique_ptr<ExprPool> pool;
  /// By number as reads name them; an absent optional input is an opaque type and never read.
  std::vector<ValueType> inputs;
  std::vector<MeaningOutput> outputs;
  std::vector<Requirement> requirements;

  ValueType output_type(size_t k) const { return {outputs[k].body.type(), outputs[k].shape}; }
};

}  // namespace tessera::ir
