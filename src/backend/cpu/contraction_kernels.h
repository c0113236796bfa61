// SPDX-License-Identifier: Apache-2.0
// Products by generated micro-kernels: what the planner asks a library for, as contractions.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codegen/loop_kernel.h"
#include "codegen/target.h"

namespace tessera::backend::cpu {

/// Code that finish() fills in.
using Code = std::shared_ptr<const codegen::LoopKernel>;

/// What is left to do until kernels have their weights.
using Packings = std::vector<std::function<void()>>;

/// Whether tiles fit a contraction: constant weights, at least half a vector of columns in each
/// group, and more than a few channels (first layers).
bool has_tiles(const codegen::Contraction& c, codegen::VectorUnit unit);

/// Equal for contractions that are computed by the same code.
std::string key_of(const codegen::Contraction& c, const codegen::ContractionSchedule& s);

/// Makes kernels; equal contractions are compiled once. Not thread-safe; the kernels keep what they
/// need alive.
class ContractionKernels {
 public:
  /// `cache` keeps code; it may be null.
  explicit ContractionKernels(std::shared_ptr<DiskCache> cache);
  ~ContractionKernels();

  /// Null when the request is no product or convolution of f32 whose destination has a unit stride
  /// and whose second operand is constant or has one; and, unless `only` such kernels are wanted,
  /// when a library is expected to be faster. In other precisions: make_pairs().
  std::shared_ptr<const runtime::Kernel> make(const codegen::LibraryRequest& request, bool only);
  /// The kernel of a tile program (LibraryRequest::kernel).
  std::shared_ptr<const runtime::Kernel> make_program(const codegen::LibraryRequest& request);
  /// See the functions of Target.
  bool takes_rounded(const codegen::LibraryRequest& request) const;
  bool has_lines(const codegen::LibraryRequest& request) const;
  double gain_of_lines(const codegen::LineRequest& request) const;
  std::shared_ptr<const runtime::Kernel> make_lines(const codegen::LineRequest& request);
  /// Op "attention" (codegen/attention.h); null where the kernel does not fit.
  std::shared_ptr<const runtime::Kernel> make_attention(const codegen::LibraryRequest& request);
  /// Compiles what was made since the last time and packs its weights, in parallel; before it,
  /// kernels must not run. Each kernel's weights are let go of as soon as they are packed.
  void finish();

 private:
  /// Of a tile program that is a product; null for others.
  std::shared_ptr<const runtime::Kernel> make_product(const codegen::LibraryRequest& request);
  Code compile(const std::string& key, codegen::EmittedKernel kernel);
  void pack_all();

  std::shared_ptr<codegen::Jit> jit_;
  codegen::VectorUnit unit_;
  std::map<std::string, std::shared_ptr<codegen::LoopKernel>> codes_;
  std::vector<std::pair<std::shared_ptr<codegen::LoopKernel>, codegen::EmittedKernel>> pending_;
  Packings packings_;
};

}  // namespace tessera::backend::cpu
