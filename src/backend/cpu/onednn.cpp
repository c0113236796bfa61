// SPDX-License-Identifier: Apache-2.0
// What the oneDNN kernels share: engine, memory descriptors, epilogues.
#include "backend/cpu/onednn.h"

#include "backend/cpu/parallel.h"
#include "base/check.h"

namespace tessera::backend::cpu {

const dnnl::engine& dnnl_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::dims to_dims(const std::vector<int64_t>& values) {
  return {values.begin(), values.end()};
}

dnnl::memory::desc describe(const Shape& shape, const std::vector<int64_t>& strides) {
  return {to_dims(shape), dnnl::memory::data_type::f32, to_dims(strides)};
}

View with_rank(const View& view, size_t rank) {
  View wide = view;
  while (wide.shape.size() < rank) {
    wide.shape.insert(wide.shape.begin(), 1);
    wide.strides.insert(wide.strides.begin(), 1);
  }
  return wide;
}

bool same_places(const View& a, const std::vector<int64_t>& strides) {
  for (size_t axis = 0; axis < a.shape.size(); ++axis)
    if (a.shape[axis] > 1 && a.strides[axis] != strides[axis]) return false;
  return true;
}

namespace {

// oneDNN takes exact strides for axes of extent 1 too: those of a dense tensor in dst's order.
View post_operand(const View& operand, const View& dst) {
  View wide = with_rank(operand, dst.shape.size());
  std::vector<int> order(dst.shape.size());
  for (size_t k = 0; k < order.size(); ++k) order[k] = static_cast<int>(k);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return dst.strides[a] > dst.strides[b]; });
  if (wide.shape == dst.shape) wide.strides = dst.strides;
  else wide.strides = codegen::dense_strides(wide.shape, order);
  return wide;
}

void append(dnnl::post_ops& ops, const PostOp& p, const LibraryRequest& request, const View& dst) {
  using A = dnnl::algorithm;
  const auto alpha = static_cast<float>(p.alpha), beta = static_cast<float>(p.beta);
  const auto binary = [&](A algorithm) {
    const View operand = post_operand(request.src[p.operand], dst);
    ops.append_binary(algorithm, describe(operand.shape, operand.strides));
  };
  switch (p.kind) {
    case PostOp::Kind::relu: return ops.append_eltwise(1, A::eltwise_relu, 0, 0);
    case PostOp::Kind::leaky_relu: return ops.append_eltwise(1, A::eltwise_relu, alpha, 0);
    case PostOp::Kind::clip: return ops.append_eltwise(1, A::eltwise_clip, alpha, beta);
    case PostOp::Kind::linear: return ops.append_eltwise(1, A::eltwise_linear, alpha, beta);
    case PostOp::Kind::sigmoid: return ops.append_eltwise(1, A::eltwise_logistic, 0, 0);
    case PostOp::Kind::swish: return ops.append_eltwise(1, A::eltwise_swish, 1, 0);
    case PostOp::Kind::hard_swish: return ops.append_eltwise(1, A::eltwise_hardswish, 0, 0);
    case PostOp::Kind::tanh: return ops.append_eltwise(1, A::eltwise_tanh, 0, 0);
    case PostOp::Kind::elu: return ops.append_eltwise(1, A::eltwise_elu, alpha, 0);
    case PostOp::Kind::add: return binary(A::binary_add);
    case PostOp::Kind::mul: return binary(A::binary_mul);
  }
}

}  // namespace

dnnl::primitive_attr make_attributes(const LibraryRequest& request, const View& dst) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  for (const PostOp& p : request.post) append(ops, p, request, dst);
  attributes.set_post_ops(ops);
  return attributes;
}

dnnl::memory pack(const std::byte* data, const dnnl::memory::desc& from,
                  const dnnl::memory::desc& to) {
  dnnl::memory source(from, dnnl_engine(), const_cast<std::byte*>(data));
  dnnl::memory packed(to, dnnl_engine());
  dnnl::stream stream(dnnl_engine());
  dnnl::reorder(source, packed).execute(stream, source, packed);
  stream.wait();
  return packed;
}

void PrimitiveKernel::set_primitive(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad,
                                    int threads) {
  primitive_ = std::move(primitive);
  stream_ = dnnl::stream(dnnl_engine());
  threads_ = threads;
  scratch_bytes_ = scratchpad.get_size();
  if (scratch_bytes_ == 0) return;
  scratchpad_ = dnnl::memory(scratchpad, dnnl_engine(), nullptr);
  add(DNNL_ARG_SCRATCHPAD, scratchpad_);
}

void PrimitiveKernel::add(int arg, const dnnl::memory& memory) {
  args_.push_back({arg, memory.get()});
}

void PrimitiveKernel::bind_src(int arg, const dnnl::memory::desc& desc, int number) {
  src_.push_back({dnnl::memory(desc, dnnl_engine(), nullptr), number});
  add(arg, src_.back().memory);
}

void PrimitiveKernel::bind_dst(int arg, const dnnl::memory::desc& desc, int number) {
  dst_.push_back({dnnl::memory(desc, dnnl_engine(), nullptr), number});
  add(arg, dst_.back().memory);
}

void PrimitiveKernel::bind_constant(int arg, dnnl::memory memory) {
  owned_.push_back(std::move(memory));
  add(arg, owned_.back());
}

void PrimitiveKernel::bind_reordered(int arg, const dnnl::memory::desc& from,
                                     const dnnl::memory::desc& to, int number) {
  if (from == to) return bind_src(arg, from, number);
  Reorder r;
  r.from = dnnl::memory(from, dnnl_engine(), nullptr);
  r.to = dnnl::memory(to, dnnl_engine());
  r.primitive = dnnl::reorder(r.from, r.to);
  r.number = number;
  add(arg, r.to);
  reorders_.push_back(std::move(r));
}

void PrimitiveKernel::bind_post(const LibraryRequest& request, const View& dst) {
  for (size_t k = 0; k < request.post.size(); ++k) {
    const PostOp& p = request.post[k];
    if (p.operand < 0) continue;
    const View operand = post_operand(request.src[p.operand], dst);
    bind_src(DNNL_ARG_ATTR_MULTIPLE_POST_OP(static_cast<int>(k)) | DNNL_ARG_SRC_1,
             describe(operand.shape, operand.strides), p.operand);
  }
}

void PrimitiveKernel::run(const runtime::KernelArgs& args) const {
  const auto set = [](const dnnl::memory& memory, const void* data) {
    dnnl_memory_set_data_handle(memory.get(), const_cast<void*>(data));
  };
  const ThreadScope scope(threads_);
  for (const Binding& b : src_) set(b.memory, args.src[b.number]);
  for (const Binding& b : dst_) set(b.memory, args.dst[b.number]);
  if (scratch_bytes_ != 0) set(scratchpad_, args.scratch);
  for (const Reorder& r : reorders_) {
    set(r.from, args.src[r.number]);
    const dnnl_exec_arg_t both[] = {{DNNL_ARG_FROM, r.from.get()}, {DNNL_ARG_TO, r.to.get()}};
    dnnl_primitive_execute(r.primitive.get(), stream_.get(), 2, both);
  }
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), stream_.get(),
                                                      static_cast<int>(args_.size()), args_.data());
  TESSERA_CHECK(status == dnnl_success, "{} failed with status {}", implementation_,
                static_cast<int>(status));
}

}  // namespace tessera::backend::cpu
