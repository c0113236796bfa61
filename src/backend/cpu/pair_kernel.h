// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of numbers of 16 bits, two products an instruction and lane: bf16
// (AVX512_BF16) and integers (AVX512_VNNI). Constant weights are rounded when they are packed, the
// first operand is rounded into scratch memory before the tiles run; sums pass through the same
// epilogues as those of f32. AMX is not used.
//
// Integers have the length of each row and column as their unit, such that no sum can overflow 32
// bits; sums of some 100 products are then added up in f32. They are some 15 times more exact than
// bf16, whose numbers have eight bits.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/cpu/contraction_form.h"
#include "backend/cpu/contraction_kernels.h"

namespace tessera::backend::cpu {

/// What a kernel needs of the object that makes it.
struct KernelShop {
  codegen::VectorUnit unit;
  std::shared_ptr<codegen::Jit> jit;  ///< owns the code
  std::function<Code(const std::string& key, codegen::EmittedKernel)> compile;
  /// Makes the kernel in f32 that takes over when an operand is not finite; called when that
  /// happens first, perhaps after the shop is gone.
  std::function<std::shared_ptr<const runtime::Kernel>()> direct;
};

/// Null when the processor has no such products, or the request is no `matmul` or `conv` of
/// constant weights, at least half a vector of columns, and more than a few channels.
std::shared_ptr<const runtime::Kernel> make_pairs(const codegen::LibraryRequest& request,
                                                  const KernelShop& shop);

/// Rounds rows of f32 to 16 bits, a zero behind every row of odd length. REQUIRES: a processor with
/// AVX512_BF16 for round(), AVX-512 for measure() and divide().
class RowRounding {
 public:
  /// The view's axis `inner` lies innermost in the result, the others in their order.
  RowRounding(const codegen::View& from, size_t inner);

  int64_t rows() const { return rows_; }
  int64_t row_elements() const { return padded_; }  ///< of the result
  size_t bytes() const { return static_cast<size_t>(rows_ * padded_) * 2; }
  /// Strides of the result in elements, for the view's axes.
  const std::vector<int64_t>& strides() const { return strides_; }
  bool is_dense() const { return stride_ == 1; }  ///< the rows are, in f32

  /// To bf16, to nearest even; NaN stays NaN, what is too small for a normal number becomes 0.
  void round(const float* from, uint16_t* to, int64_t begin, int64_t end) const;
  /// The sums of integers that divide() is for run over so many elements of a row, from a multiple
  /// of that number on, and over so many rows.
  void set_sums(int64_t elements, int64_t rows);
  /// The unit of a row; NaN when a number in it is not finite. REQUIRES: is_dense().
  float measure(const float* from, int64_t row) const;
  /// A row as integers in a unit. REQUIRES: is_dense(), the unit is a number.
  void divide(const float* from, uint16_t* to, int64_t row, float unit) const;

 private:
  struct Axis {
    int64_t extent = 1, stride = 0;
  };
  const float* place(const float* from, int64_t row) const;

  std::vector<Axis> outer_;
  std::vector<int64_t> strides_;
  int64_t rows_ = 1, count_ = 1, stride_ = 1, padded_ = 2;
  int64_t chunk_ = 1, share_ = 1;
  float unit_length_ = 0;  ///< the unit where the sums' numbers have length 1
};

}  // namespace tessera::backend::cpu
