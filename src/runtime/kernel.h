// SPDX-License-Identifier: Apache-2.0
// One prepared computation on raw memory. Whatever could be decided before the first run (packed
// constant weights, generated code, strides) is inside; running it allocates nothing.
#pragma once

#include <cstddef>
#include <string>

namespace tessera::runtime {

/// What a kernel is launched with. Sources and destinations are those that the kernel was made for,
/// in that order; a destination may be the memory of a source only where the kernel allows it.
struct KernelArgs {
  const std::byte* const* src = nullptr;
  std::byte* const* dst = nullptr;
  std::byte* scratch = nullptr;  ///< Kernel::scratch_bytes() bytes, 64-byte aligned
  int threads = 1;               ///< how many threads the kernel may use
};

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  /// Computes all destinations. Thread-safe: several runs of one plan may be in the same kernel.
  /// Throws UserError when the data are at fault (an index that lies outside a tensor).
  virtual void run(const KernelArgs& args) const = 0;
  virtual size_t scratch_bytes() const { return 0; }
  /// Whether source `number` is read. One that is a constant and was packed when the kernel was
  /// made is not: a plan then does not keep it, and gives a null pointer.
  virtual bool reads(size_t /*number*/) const { return true; }
  /// What implements it, for people: "loops", "onednn brgconv:avx512_core", …
  virtual std::string implementation() const = 0;
};

}  // namespace tessera::runtime
