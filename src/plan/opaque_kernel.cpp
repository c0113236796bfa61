// SPDX-License-Identifier: Apache-2.0
// Opaque operators as kernels that call their references.
#include "plan/opaque_kernel.h"

#include <cstring>

#include "base/check.h"
#include "ops/registry.h"

namespace tessera::plan {
namespace {

class OpaqueKernel : public runtime::Kernel {
 public:
  OpaqueKernel(const Draft& draft, const Step& step)
      : def_(ops::registry().get(step.op)),
        attrs_(step.attrs),
        regions_(step.regions),
        node_(step.nodes.empty() ? "" : step.nodes[0]) {
    for (ValueId v : step.src) src_.push_back(type_of(draft, v));
    for (ValueId v : step.dst) dst_.push_back(type_of(draft, v));
  }

  void run(const runtime::KernelArgs& args) const override {
    std::vector<Tensor> tensors(src_.size());
    std::vector<const Tensor*> values(src_.size(), nullptr);
    std::vector<const ir::ValueType*> types(src_.size(), nullptr);
    for (size_t k = 0; k < src_.size(); ++k) {
      if (src_[k].opaque) continue;
      tensors[k] = Tensor(src_[k].dtype, src_[k].concrete_shape(), nullptr, args.src[k]);
      values[k] = &tensors[k];
      types[k] = &src_[k];
    }
    const ops::AttrReader reader(def_, attrs_);
    const std::vector<Tensor> results = def_.opaque->evaluate({reader, types, values, regions_});
    for (size_t k = 0; k < dst_.size(); ++k) {
      TESSERA_USER_CHECK(results[k].shape() == dst_[k].concrete_shape(),
                         "node '{}' ({}): output {} has shape {}, expected {}", node_, def_.name, k,
                         shape_to_string(results[k].shape()), sym::to_string(dst_[k].shape));
      if (results[k].bytes()) std::memcpy(args.dst[k], results[k].data(), results[k].bytes());
    }
  }

  std::string implementation() const override { return "reference"; }

 private:
  static ir::ValueType type_of(const Draft& draft, ValueId v) {
    ir::ValueType type;
    type.opaque = v == no_value;
    if (v == no_value) return type;
    type.dtype = draft.values[v].dtype;
    type.shape = ir::Dims(draft.values[v].shape.begin(), draft.values[v].shape.end());
    return type;
  }

  const ops::OpDef& def_;
  ir::AttrMap attrs_;
  std::vector<std::shared_ptr<const ir::Graph>> regions_;
  std::string node_;
  std::vector<ir::ValueType> src_, dst_;
};

}  // namespace

std::shared_ptr<const runtime::Kernel> make_opaque_kernel(const Draft& draft, const Step& step) {
  return std::make_shared<OpaqueKernel>(draft, step);
}

}  // namespace tessera::plan
