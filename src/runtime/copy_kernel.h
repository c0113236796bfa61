// SPDX-License-Identifier: Apache-2.0
// Copies bytes.
#pragma once

#include <cstring>

#include "runtime/kernel.h"

namespace tessera::runtime {

class CopyKernel : public Kernel {
 public:
  explicit CopyKernel(size_t bytes) : bytes_(bytes) {}
  void run(const KernelArgs& args) const override {
    if (bytes_ != 0) std::memcpy(args.dst[0], args.src[0], bytes_);
  }
  std::string implementation() const override { return "memcpy"; }

 private:
  size_t bytes_;
};

}  // namespace tessera::runtime
