// SPDX-License-Identifier: Apache-2.0
// What the kernels made of oneDNN primitives share: the engine, descriptors, epilogues, and a
// kernel that runs one primitive on memory given by address.
#pragma once

#include <dnnl.hpp>
#include <memory>
#include <string>
#include <vector>

#include "codegen/target.h"
#include "runtime/kernel.h"

namespace tessera::backend::cpu {

using codegen::LibraryRequest;
using codegen::PostOp;
using codegen::View;

const dnnl::engine& dnnl_engine();

dnnl::memory::dims to_dims(const std::vector<int64_t>& values);
/// An f32 descriptor with explicit strides.
dnnl::memory::desc describe(const Shape& shape, const std::vector<int64_t>& strides);

/// Attributes with a user scratchpad and the request's epilogue. Descriptors of the epilogue's
/// operands have the rank of `dst`; `first` is the number of the first source that is an operand.
dnnl::primitive_attr make_attributes(const LibraryRequest& request, const View& dst);

/// A view broadcast to the rank of a larger one: leading axes of extent 1.
View with_rank(const View& view, size_t rank);

/// True when both describe the same places: axes of extent 1 have no stride that matters.
bool same_places(const View& a, const std::vector<int64_t>& strides);

/// One primitive, its packed constants, and which of the kernel's operands are its arguments.
class PrimitiveKernel : public runtime::Kernel {
 public:
  explicit PrimitiveKernel(std::string implementation)
      : implementation_("onednn " + std::move(implementation)) {}

  void set_primitive(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, int threads);
  /// Argument `arg` is source (or destination) `number` of the kernel.
  void bind_src(int arg, const dnnl::memory::desc& desc, int number);
  void bind_dst(int arg, const dnnl::memory::desc& desc, int number);
  /// Argument `arg` is memory of the kernel's own, for instance a packed constant.
  void bind_constant(int arg, dnnl::memory memory);
  /// Argument `arg` is source `number` brought into another layout before each run.
  void bind_reordered(int arg, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                      int number);
  /// Operands of the epilogue: arguments of make_attributes().
  void bind_post(const LibraryRequest& request, const View& dst);

  void run(const runtime::KernelArgs& args) const override;
  size_t scratch_bytes() const override { return scratch_bytes_; }
  std::string implementation() const override { return implementation_; }

 private:
  struct Binding {
    dnnl::memory memory;
    int number = 0;
  };
  struct Reorder {
    dnnl::reorder primitive;
    dnnl::memory from, to;
    int number = 0;
  };

  void add(int arg, const dnnl::memory& memory);

  std::string implementation_;
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<dnnl_exec_arg_t> args_;
  std::vector<Binding> src_, dst_;
  std::vector<dnnl::memory> owned_;
  std::vector<Reorder> reorders_;
  dnnl::memory scratchpad_;
  size_t scratch_bytes_ = 0;
  int threads_ = 1;
};

/// `from` (at `data`) in the layout `to`.
dnnl::memory pack(const std::byte* data, const dnnl::memory::desc& from,
                  const dnnl::memory::desc& to);

std::shared_ptr<const runtime::Kernel> make_convolution(const LibraryRequest& request);
std::shared_ptr<const runtime::Kernel> make_matmul(const LibraryRequest& request);

}  // namespace tessera::backend::cpu
