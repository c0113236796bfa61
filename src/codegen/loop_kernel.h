// SPDX-License-Identifier: Apache-2.0
// Native kernels of meanings: each becomes one function that computes a range of rows of its
// outputs, compiled in memory for the processor at hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/disk_cache.h"
#include "codegen/contraction.h"
#include "ir/meaning.h"

namespace llvm {
class IRBuilderBase;
class Module;
}  // namespace llvm

namespace tessera::codegen {

/// Computes rows [begin, end). inputs[k] is input k of the meaning (null where absent), outputs[k]
/// its output k, dense and row-major. Returns 0, or an error code: 1 when a data-dependent index
/// that no select guards lies outside its tensor (then the outputs are partly written).
/// Rows may run in any order and on any threads; the bits do not depend on how they are split.
using KernelFn = int64_t (*)(const std::byte* const* inputs, std::byte* const* outputs,
                             int64_t begin, int64_t end);

struct LoopKernel {
  KernelFn run = nullptr;
  int64_t rows = 0;  ///< 0 when there is nothing to compute
  double flops_per_row = 0, bytes_per_row = 0;
};

/// A kernel that writes itself: `emit` appends a function of the given name with the signature of
/// KernelFn to the module.
struct EmittedKernel {
  std::function<void(llvm::IRBuilderBase&, llvm::Module&, const std::string&)> emit;
  int64_t rows = 0;
  double flops_per_row = 0;
};

/// The kernel of a contraction that is not empty: its rows are the tasks of cut_tiles(); its
/// sources are a, b (packed or not) and the operands of the epilogue, its destination is dst.
EmittedKernel contraction_kernel(const Contraction& c, const ContractionSchedule& s);

/// Of the processor that runs this program.
VectorUnit host_vector_unit();

/// The object file of a kernel for another processor that LLVM knows by name, such as
/// "sapphirerapids": to see that what this processor cannot run compiles.
std::vector<std::byte> object_for(const EmittedKernel& kernel, const std::string& processor);

struct JitOptions {
  int threads = 2;              ///< that compile
  std::string* dump = nullptr;  ///< receives the LLVM text of every module
  /// Where compiled code is kept between processes, under its LLVM code and the processor's name
  /// and features; or null.
  std::shared_ptr<DiskCache> cache;
};

/// Owns compiled code. Not thread-safe, but the kernels are.
class Jit {
 public:
  /// Throws UserError(missing_resource) when there is no native target.
  explicit Jit(JitOptions options = {});
  ~Jit();
  Jit(const Jit&) = delete;
  Jit& operator=(const Jit&) = delete;

  /// One kernel per meaning, valid as long as this object lives. Sizes must be known, and the
  /// outputs of one meaning must have one shape. An output may share its memory with an input that
  /// the meaning reads at the output's own index only.
  std::vector<LoopKernel> compile(std::span<const ir::Meaning* const> meanings);
  /// The kernels of the meanings, then the others.
  std::vector<LoopKernel> compile(std::span<const ir::Meaning* const> meanings,
                                  std::span<const EmittedKernel> emitted);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::codegen
