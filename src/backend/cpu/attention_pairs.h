// SPDX-License-Identifier: Apache-2.0
// Attention with both products of pairs of 16 bits (codegen/attention.h): bf16, or integers in
// units of each query, key and column of the values. Queries, keys and values of a matrix of the
// batch are rounded just before its blocks run, so that they are found in the caches.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/cpu/pair_kernel.h"
#include "codegen/attention.h"

namespace tessera::backend::cpu {

/// Rows of f32 two by two: numbers of the same column of rows 2 k and 2 k + 1, 0 behind an odd last
/// one, become element k · columns + column of the result, as pairs of bf16 or of integers.
/// REQUIRES: AVX-512, with AVX512_BF16 for round(); columns are neighbours and a multiple of 16.
class RowPairs {
 public:
  RowPairs(int64_t rows, int64_t columns, int64_t row_stride)
      : rows_(rows), columns_(columns), stride_(row_stride) {}

  int64_t pairs() const { return (rows_ + 1) / 2 * columns_; }
  void round(const float* from, uint32_t* to) const;
  /// In a unit for each column, such that `chunk` rows from a multiple of that on are no longer
  /// than codegen::longest_i16; false, and nothing of use, when a number is not finite.
  bool to_integers(const float* from, int64_t chunk, uint32_t* to, float* units) const;

 private:
  bool measure(const float* from, int64_t chunk, int64_t column, float* units) const;

  int64_t rows_, columns_, stride_;
};

/// An attention whose numbers lie as `form` says, in bf16 or i16; null when the processor has no
/// such products or a row of q or k cannot be read as pairs. `scratch` is what the shop's direct
/// kernel needs.
std::shared_ptr<const runtime::Kernel> make_attention_pairs(const codegen::AttentionForm& form,
                                                            codegen::Precision precision,
                                                            int threads, size_t scratch,
                                                            const KernelShop& shop);

/// Equal for forms that are computed by the same code.
std::string key_of(const codegen::AttentionForm& form);

}  // namespace tessera::backend::cpu
