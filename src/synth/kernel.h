// SPDX-License-Identifier: Apache-2.0
// One output of one operator instance of known shapes, lowered from its meaning to straight-line
// arithmetic over the field: every index, guard and window is resolved once, what is left are
// moves, sums, sums of products, and instructions where the meaning has other functions.
#pragma once

#include <span>
#include <vector>

#include "ir/meaning.h"
#include "synth/number.h"

namespace tessera::synth {

/// A tensor of residues in one model. `bound`: all elements are whole and at most this in
/// magnitude; infinity when they are not.
struct Operand {
  const uint64_t* data = nullptr;
  double bound = 0;
};

class Kernel {
 public:
  /// Lowers output `k`. Throws UserError(unsupported) when the meaning depends on data where
  /// indices are concerned, or uses primitives that have no form over a field.
  Kernel(const ir::Meaning& meaning, size_t k);
  /// A constant tensor.
  explicit Kernel(std::span<const Number> elements);

  static constexpr int max_inputs = 6;

  int64_t size() const { return size_; }
  /// Computes the elements; returns their bound. `scratch` keeps its memory between calls.
  double run(std::span<const Operand> inputs, uint64_t seed, uint64_t* out,
             std::vector<Number>& scratch) const;

 private:
  friend class Lowering;

  /// Space in the upper half (an input, or one of the below), element in the lower half.
  using Ref = uint32_t;
  static constexpr Ref constant_space = max_inputs, temporary_space = max_inputs + 1;
  static Ref ref(Ref space, size_t offset) { return (space << 24) | static_cast<Ref>(offset); }

  struct Product {
    Ref a = 0, b = 0;
  };
  /// A temporary: a primitive of two references, or (`products`) a range of summed products.
  struct Instruction {
    bool products = false;
    ir::Prim prim = ir::Prim::add;
    Ref a = 0, b = 0;
  };
  /// The largest sum of coefficients' magnitudes over all elements, per pair of spaces.
  struct Weight {
    Ref a = 0, b = 0;
    double total = 0;
  };
  enum class Kind : uint8_t { move, sum, products, program };

  double run_program(const uint64_t* const* bases, std::span<const Operand> inputs, uint64_t seed,
                     uint64_t* out, std::vector<Number>& scratch) const;

  Kind kind_ = Kind::move;
  int64_t size_ = 0;
  std::vector<uint32_t> begins_;   ///< of each element's products, and the end
  std::vector<Product> products_;  ///< of elements
  std::vector<Ref> moves_;         ///< Kind::move: one an element; Kind::sum: all summands
  std::vector<Instruction> program_;
  std::vector<Product> inner_;  ///< of instructions
  std::vector<Number> constants_;
  std::vector<uint64_t> residues_;  ///< of the constants
  std::vector<Weight> weights_;
};

}  // namespace tessera::synth
