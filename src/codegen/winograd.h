// SPDX-License-Identifier: Apache-2.0
// Winograd's minimal filtering F(m, 3) for 3×3 convolutions of stride 1, channels last (Lavin and
// Gray 2016). A square of m × m outputs is computed from a square of m + 2 inputs:
//
//   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A, summed over the channels between the products and Aᵀ … A
//
// so (m + 2)² products replace 9 m²: 2.25 times fewer for m = 2, 4 times for m = 4. The products
// are a batch of (m + 2)² matrix products, a contraction of its own; what is generated here are the
// transformations before and after it. Sums are reordered and scaled: the error, relative to the
// standard deviation of the results, is about 3e-7 (m = 2) and 9e-7 (m = 4) on average and 1e-6 and
// 5e-6 at most, where direct sums have 2e-7 and 6e-7. An infinity or NaN would spread over its
// square, so the last step tells when a sum is not finite, and the caller convolves directly.
#pragma once

#include <cstdint>
#include <memory>

#include "codegen/loop_kernel.h"

namespace tessera::codegen {

struct WinogradProblem {
  int tile = 4;                                             ///< m: 2 or 4
  int64_t images = 1, height = 0, width = 0, channels = 0;  ///< of the input
  int64_t out_height = 0, out_width = 0, out_channels = 0;
  int64_t pad_top = 0, pad_left = 0;
  int64_t src[3] = {0, 0, 0};  ///< strides of images, lines and pixels of the input, in elements
  int64_t dst[3] = {0, 0, 0};  ///< and of the output
  /// As Contraction::epilogue; strides of operand k along images, lines, pixels, channels.
  std::shared_ptr<const ir::Meaning> epilogue;
  std::vector<std::array<int64_t, 4>> operands;
  int64_t block = 1;  ///< squares whose transformed inputs and sums are in memory together

  int64_t points() const { return (tile + 2) * (tile + 2); }
  int64_t lines() const { return (out_height + tile - 1) / tile; }
  int64_t columns() const { return (out_width + tile - 1) / tile; }
  int64_t squares() const { return images * lines() * columns(); }
};

/// Rows are squares. Source: the input; destination: transformed inputs, [points, block, channels],
/// where square `first` of the block lies at the start: the caller passes the address of square 0.
EmittedKernel winograd_input(const WinogradProblem& p, int lanes);

/// Rows are squares. Sources: the sums, [points, block, out_channels], likewise, and the operands
/// of the epilogue; destination: the output. Returns 1 when a sum is not finite.
EmittedKernel winograd_output(const WinogradProblem& p, int lanes);

/// Transformed weights, [points, channels, out_channels], from weights with strides (out channel,
/// in channel, line, column) in elements; computed in f64.
std::vector<float> winograd_weights(const WinogradProblem& p, const LooseFloat* weights,
                                    const std::array<int64_t, 4>& strides);

}  // namespace tessera::codegen
