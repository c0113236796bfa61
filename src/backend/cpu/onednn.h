// SPDX-License-Identifier: Apache-2.0
// What the kernels made of oneDNN primitives share: the engine, descriptors, epilogues, and a
// kernel that runs one primitive on memory given by address.
#pragma once

#include <atomic>
#include <dnnl.hpp>
#include <functional>
#include <memory>
#include <mutex>
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
/// A descriptor with explicit strides.
dnnl::memory::desc describe(const Shape& shape, const std::vector<int64_t>& strides,
                            DType type = DType::f32);
/// Of f32, u8, i8 and i32; other types are unimplemented.
dnnl::memory::data_type data_type(DType type);

/// Attributes with a user scratchpad and the request's epilogue. Descriptors of the epilogue's
/// operands have the rank of `dst`; `first` is the number of the first source that is an operand.
dnnl::primitive_attr make_attributes(const LibraryRequest& request, const View& dst);

/// A view broadcast to the rank of a larger one: leading axes of extent 1.
View with_rank(const View& view, size_t rank);

/// Whether the epilogue holds a function that may give a number for a NaN. oneDNN computes bounds
/// by the processor's minimum and maximum, which give the bound.
bool may_lose_nan(const LibraryRequest& request);

/// Applies the request's epilogue to `data`, elements of `dst`, as the records define it.
/// `src` are the kernel's sources.
void apply_epilogue(const LibraryRequest& request, const View& dst, const std::byte* const* src,
                    float* data);

/// True when both describe the same places: axes of extent 1 have no stride that matters.
bool same_places(const View& a, const std::vector<int64_t>& strides);

/// A constant in a library's own layout.
struct Packed {
  Tensor storage;
  dnnl::memory memory;
};

/// The bias of a request of integers, which oneDNN adds before it scales, with the type of its
/// constant and this shape; nothing where there is none. Only known ones are implemented.
std::optional<Packed> integer_bias(const LibraryRequest& request, const Shape& shape);

/// `from` (at `data`) in the layout `to`.
Packed pack(const std::byte* data, const dnnl::memory::desc& from, const dnnl::memory::desc& to);

/// One primitive, its packed constants, and which of the kernel's operands are its arguments.
class PrimitiveKernel : public runtime::Kernel {
 public:
  explicit PrimitiveKernel(std::string implementation);
  ~PrimitiveKernel() override;

  void set_primitive(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, int threads);
  /// Argument `arg` is source (or destination) `number` of the kernel.
  void bind_src(int arg, const dnnl::memory::desc& desc, int number);
  void bind_dst(int arg, const dnnl::memory::desc& desc, int number);
  /// Argument `arg` is memory of the kernel's own, for instance a packed constant.
  void bind_constant(int arg, Packed constant);
  /// Argument `arg` is source `number` brought into another layout before each run.
  void bind_reordered(int arg, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                      int number);
  /// Operands of the epilogue: arguments of make_attributes().
  void bind_post(const LibraryRequest& request, const View& dst);

  /// How to make the same kernel without the epilogue, from the weights as this one has packed them
  /// (null where they are a source).
  using Plain = std::function<std::shared_ptr<PrimitiveKernel>(const dnnl::memory* weights)>;
  /// Makes NaN pass the epilogue: when an operation was invalid during a run, the plain kernel runs
  /// and the epilogue's functions are applied to what it gave. An invalid operation is what every
  /// NaN that appears or meets a bound leaves behind, and costs nothing to look for.
  void guard(const LibraryRequest& request, const View& dst, Plain plain);
  /// How often the epilogue had to be repeated.
  int64_t repeated() const { return repeated_; }

  void run(const runtime::KernelArgs& args) const override;
  size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  bool reads(size_t number) const override;
  std::string implementation() const override { return implementation_; }

 private:
  struct Binding {
    int arg = 0;
    dnnl::memory::desc desc;
    int number = 0;
  };
  struct Reorder {
    int arg = 0;
    dnnl::memory::desc from, to;
    dnnl::reorder primitive;
    int number = 0;
  };
  struct Constant {
    int arg = 0;
    Packed packed;
  };
  // oneDNN's objects for memory hold addresses, so each run at a time needs its own.
  struct Context;

  std::unique_ptr<Context> make_context() const;
  void run_once(const runtime::KernelArgs& args) const;
  void repeat(const runtime::KernelArgs& args) const;
  void execute(const runtime::KernelArgs& args, Context& context) const;

  std::string implementation_;
  dnnl::primitive primitive_;
  dnnl::memory::desc scratchpad_;
  std::vector<Binding> src_, dst_;
  std::vector<Reorder> reorders_;
  std::vector<Constant> constants_;
  int threads_ = 1;
  mutable std::mutex mutex_;  ///< of idle_ and plain_
  mutable std::vector<std::unique_ptr<Context>> idle_;

  // Of a guarded kernel. The plain one is made when it is first needed.
  Plain make_plain_;
  LibraryRequest guarded_;
  View guarded_dst_;
  mutable std::shared_ptr<const PrimitiveKernel> plain_;
  mutable std::atomic<int64_t> repeated_{0};
};

/// Packed weights brought into another layout.
Packed repack(const dnnl::memory& packed, const dnnl::memory::desc& to);

/// The request for the same kernel with neither epilogue nor known values.
LibraryRequest without_epilogue(const LibraryRequest& request);

std::shared_ptr<const runtime::Kernel> make_convolution(const LibraryRequest& request);
std::shared_ptr<const runtime::Kernel> make_matmul(const LibraryRequest& request);

}  // namespace tessera::backend::cpu
