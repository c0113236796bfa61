// SPDX-License-Identifier: Apache-2.0
// Attention as machine code: softmax(f(q · kᵀ)) · v for blocks of queries whose scores stay in the
// second-level cache.
//
// The lanes of all vectors are queries. A block of queries is transposed once; keys and values are
// then read as they lie, one broadcast number at a time, by two products of the same form:
//   scores[key][query]   = f(Σ_d k[key][d] · q[d][query])        with the largest one of each query
//   weights              = exp(scores − largest), and their sums
//   result[d][query]     = Σ_key v[key][d] · weights[key][query]
// and the result is divided by the sums and transposed back. Weights are divided after the product,
// so a sum may overflow where the products' own sizes come within its length of the largest float.
//
// Both products may be of pairs of 16 bits (AttentionForm::pairs): weights are rounded as they are
// made, everything else lies rounded when the code is called.
//
// Keys that a mask hides from a whole block are left out where that changes no bit: when the scores
// that are seen show that theirs become weights of exactly 0, by the largest key among them, and
// when their values are finite, as 0 · ∞ counts. Otherwise the block is computed as if nothing were
// known of the mask.
#pragma once

#include <memory>
#include <vector>

#include "codegen/contraction.h"
#include "codegen/loop_kernel.h"
#include "codegen/target.h"

namespace tessera::codegen {

/// One attention over a batch. Strides in elements; 0 where something is shared.
struct AttentionForm {
  struct Operand {
    DType dtype = DType::f32;
    std::vector<int64_t> batch;
    int64_t query = 0, key = 0;  ///< query: 0 or 1
  };
  std::vector<int64_t> batch;  ///< extents
  std::vector<int64_t> q_batch, k_batch, v_batch, dst_batch;
  int64_t queries = 0, keys = 0, size = 0, value_size = 0;
  int64_t q_row = 0, k_row = 0, k_column = 0, v_row = 0, v_column = 0, dst_row = 0;
  double scale = 1;                          ///< of the product
  std::shared_ptr<const ir::Meaning> score;  ///< f, or null: input 0 is the scaled product
  std::vector<Operand> operands;             ///< inputs of `score` after the first
  /// An element of q and k is a pair of numbers that follow each other in a row, of v a pair of
  /// numbers of two keys (0 behind an odd last one); strides, but not `size` and `keys`, count
  /// pairs. With i16 three sources follow the operands, of f32 and shared by all batches: units of
  /// the queries; of the keys, times `scale`; of the columns of v, such that attention_chunk keys'
  /// numbers are no longer than longest_i16.
  std::optional<Contraction::Pairs::Kind> pairs;
  /// REQUIRES: columns of k and v are neighbours, and no pairs.
  std::shared_ptr<const HiddenKeys> hidden;

  bool has_units() const { return pairs == Contraction::Pairs::Kind::i16; }
};

/// Keys whose weights are computed, and used, while they are near: sums of integers run over them.
inline constexpr int64_t attention_chunk = 64;

/// A block of queries has so many vectors; where keys are hidden it computes a multiple of so many,
/// or all.
inline constexpr int attention_vectors = 3;
inline constexpr int64_t attention_key_multiple = 16;

/// What the code has to know of keys and values before it leaves some out: for each batch, and for
/// each `magnitude_step` of keys, the largest magnitudes of k and v from there on, by their bits
/// (so NaN is larger than infinity), and two zeros at the end.
inline constexpr int64_t magnitude_step = 64;
/// Floats for one batch.
inline int64_t magnitude_floats(const AttentionForm& form) {
  return 2 * ((form.keys + magnitude_step - 1) / magnitude_step + 1);
}

/// Floats of scratch memory for one call of the code, which is its second destination.
int64_t attention_scratch(const AttentionForm& form, int lanes);
/// Sources are q, k, v and the operands, the first destination is the result; where keys are
/// hidden, the third are the magnitudes of all batches, the fourth for each block of queries how
/// many keys (int64) it sees. A task is one block of queries. REQUIRES: sizes that are not 0, those
/// of heads multiples of the lanes and of 4; with pairs 16 lanes, and `size` a multiple of 32.
EmittedKernel attention_kernel(const AttentionForm& form, VectorUnit unit);

}  // namespace tessera::codegen
