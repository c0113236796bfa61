// SPDX-License-Identifier: Apache-2.0
// Products of two activations in bf16 (attention): both operands are rounded when the kernel runs,
// the second into the panels that the tiles of pair_kernel.h read. Each matrix of a batch is
// rounded just before its tiles run, so that they find it in the caches.
#pragma once

#include "backend/cpu/pair_kernel.h"

namespace tessera::backend::cpu {

/// The second operand of a product, which is rounded to bf16 and packed at run time.
class PairPacking {
 public:
  /// `c` is paired up. REQUIRES: its reduction has one axis; along it or along the columns, b's
  /// numbers are neighbours.
  PairPacking(const codegen::Contraction& c, const codegen::ContractionSchedule& s);

  int64_t panels() const { return panels_; }
  /// Panels of one matrix, to where panel 0 lies. REQUIRES: a processor with AVX512_BF16; places at
  /// multiples of 64 bytes.
  void pack(const float* b, float* to, int64_t begin, int64_t end) const;

 private:
  void pack_columns(const float* b, float* to, int64_t width, int64_t count) const;
  void pack_rows(const float* b, float* to, int64_t width, int64_t count) const;

  int64_t panels_, panel_width_, last_width_, columns_, pairs_, numbers_;
  int64_t along_, across_;  // strides of b in the reduction and over columns
};

/// Null when the processor has no such products, or the request is no `matmul` of two activations
/// whose matrices follow each other, with at least a vector of columns.
std::shared_ptr<const runtime::Kernel> make_activation_pairs(const codegen::LibraryRequest& request,
                                                             const KernelShop& shop);

}  // namespace tessera::backend::cpu
