// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/target.h"

#include "backend/cpu/concat.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/reference_kernel.h"

namespace tessera::backend::cpu {
namespace {

class CpuTarget : public codegen::Target {
 public:
  std::string name() const override { return "cpu"; }

  std::vector<std::shared_ptr<const runtime::Kernel>> make_loops(
      std::vector<ir::Meaning> meanings) override {
    std::vector<std::shared_ptr<const runtime::Kernel>> kernels;
    for (ir::Meaning& m : meanings) kernels.push_back(make_reference_kernel(std::move(m)));
    return kernels;
  }

  std::shared_ptr<const runtime::Kernel> make_library(
      const codegen::LibraryRequest& request) override {
    if (request.op == "concat") return make_concat(request);
    return request.op == "matmul" ? make_matmul(request) : make_convolution(request);
  }
};

}  // namespace

std::unique_ptr<codegen::Target> make_target() { return std::make_unique<CpuTarget>(); }

}  // namespace tessera::backend::cpu
