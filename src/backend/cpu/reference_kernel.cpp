// SPDX-License-Identifier: Apache-2.0
// A meaning run by the reference evaluator.
#include "backend/cpu/reference_kernel.h"

#include <cstring>

#include "ops/evaluate.h"

namespace tessera::backend::cpu {
namespace {

class ReferenceKernel : public runtime::Kernel {
 public:
  explicit ReferenceKernel(ir::Meaning meaning) : meaning_(std::move(meaning)) {}

  void run(const runtime::KernelArgs& args) const override {
    std::vector<Tensor> inputs;
    for (size_t k = 0; k < meaning_.inputs.size(); ++k) {
      const ir::ValueType& type = meaning_.inputs[k];
      inputs.push_back(type.opaque || args.src[k] == nullptr
                           ? Tensor{}
                           : Tensor(type.dtype, type.concrete_shape(), nullptr, args.src[k]));
    }
    const std::vector<Tensor> results = ops::loop_evaluate(meaning_, inputs, false, args.threads);
    for (size_t k = 0; k < results.size(); ++k)
      if (results[k].bytes()) std::memcpy(args.dst[k], results[k].data(), results[k].bytes());
  }

  std::string implementation() const override { return "reference loops"; }

 private:
  ir::Meaning meaning_;
};

}  // namespace

std::shared_ptr<const runtime::Kernel> make_reference_kernel(ir::Meaning meaning) {
  return std::make_shared<ReferenceKernel>(std::move(meaning));
}

}  // namespace tessera::backend::cpu
