// SPDX-License-Identifier: Apache-2.0
// Two arithmetic domains in which meanings are evaluated: a prime field, exact but without order,
// and extended floating point, ordered but rounded.
//
// In the field two different rational functions agree at a random point with probability at most
// degree / 2^61 (Schwartz, Zippel). Transcendental functions are random functions there, the same
// value for the same argument.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"
#include "ir/graph.h"
#include "ir/scalar.h"

namespace tessera::audit {

/// Thrown where an arithmetic ends: an order or a rounding in the field, a quotient by 0.
struct NotDefined {};

/// Integers modulo 2^61 − 1 in place of real numbers.
struct Field {
  using Number = uint64_t;
  static Number of(double v);
  static Number of_integer(int64_t v);
  static Number random(Rng& rng, double sampled);
  static Number apply(ir::Prim prim, Number a, Number b);
  static bool compare(ir::Prim prim, Number a, Number b);
  static double to_double(Number) { throw NotDefined{}; }
  static bool same(Number a, Number b, long double) { return a == b; }
  static long double magnitude(Number) { return 0; }
};

/// 64 bits of mantissa.
struct Extended {
  using Number = long double;
  static Number of(double v) { return v; }
  static Number of_integer(int64_t v) { return static_cast<long double>(v); }
  static Number random(Rng&, double sampled) { return sampled; }
  static Number apply(ir::Prim prim, Number a, Number b);
  static bool compare(ir::Prim prim, Number a, Number b);
  static double to_double(Number v) { return static_cast<double>(v); }
  /// What is no number on the left is undefined over the reals.
  static bool same(Number a, Number b, long double allowed);
  static long double magnitude(Number v);
};

/// A tensor in one arithmetic: numbers of a float type, integers of any other.
template <class A>
struct Values {
  DType type = DType::f32;
  Shape shape;
  std::vector<typename A::Number> numbers;
  std::vector<int64_t> integers;
};

/// Evaluates every output of a graph whose sizes are known. Throws NotDefined, and UserError where
/// an operator has no meaning or an index is outside of a tensor.
template <class A>
std::vector<Values<A>> evaluate(const ir::Graph& graph, std::span<const Values<A>> inputs);

extern template std::vector<Values<Field>> evaluate<Field>(const ir::Graph&,
                                                           std::span<const Values<Field>>);
extern template std::vector<Values<Extended>> evaluate<Extended>(const ir::Graph&,
                                                                 std::span<const Values<Extended>>);

}  // namespace tessera::audit
