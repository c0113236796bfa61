// SPDX-License-Identifier: Apache-2.0
// What the oneDNN kernels share: engine, memory descriptors, epilogues.
#include "backend/cpu/onednn.h"

#include <algorithm>
#include <cmath>
#include <memory>

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

dnnl::memory::desc describe(const Shape& shape, const std::vector<int64_t>& strides, DType type) {
  return {to_dims(shape), data_type(type), to_dims(strides)};
}

dnnl::memory::data_type data_type(DType type) {
  switch (type) {
    case DType::f32: return dnnl::memory::data_type::f32;
    case DType::u8: return dnnl::memory::data_type::u8;
    case DType::i8: return dnnl::memory::data_type::s8;
    case DType::i32: return dnnl::memory::data_type::s32;
    default: break;
  }
  throw dnnl::error(dnnl_unimplemented, "a type");
}

std::optional<Packed> integer_bias(const LibraryRequest& request, const Shape& shape) {
  if (!request.integers || request.src.size() <= 2 || request.src[2].shape.empty())
    return std::nullopt;
  if (request.constants[2] == nullptr) throw dnnl::error(dnnl_unimplemented, "a bias");
  const std::vector<float>& scales = request.integers->scales;
  const Tensor& bias = *request.constants[2];
  Packed packed;
  packed.storage = Tensor(bias.type(), shape);
  for (int64_t c = 0; c < bias.size(); ++c) {
    if (scales.empty()) packed.storage.set_integer(c, bias.integer_at(c));
    else
      packed.storage.set_float(
          c, bias.float_at(c) / static_cast<double>(scales[scales.size() == 1 ? 0 : c]));
  }
  packed.memory = dnnl::memory(describe(shape, codegen::dense_strides(shape), bias.type()),
                               dnnl_engine(), packed.storage.mutable_data());
  return packed;
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
    case PostOp::Kind::gelu:
    case PostOp::Kind::gelu_tanh:  // oneDNN approximates them
      throw dnnl::error(dnnl_unimplemented, "gelu");
    case PostOp::Kind::add: return binary(A::binary_add);
    case PostOp::Kind::mul: return binary(A::binary_mul);
    case PostOp::Kind::quantize:
      ops.append_eltwise(1, A::eltwise_linear, 1 / alpha, 0);
      // Halves go to even numbers before the zero point is added.
      return ops.append_eltwise(1, A::eltwise_round, 0, 0);
  }
}

}  // namespace

dnnl::primitive_attr make_attributes(const LibraryRequest& request, const View& dst) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  for (const PostOp& p : request.post) append(ops, p, request, dst);
  attributes.set_post_ops(ops);
  if (!request.integers) return attributes;
  const codegen::IntegerProducts& integers = *request.integers;
  // oneDNN numbers the axis of the channels from the front.
  const int channel = request.op == "conv" ? 1 : static_cast<int>(dst.shape.size()) - 1;
  if (!integers.scales.empty()) attributes.set_output_scales(1 << channel, integers.scales);
  if (integers.zero_point != 0) attributes.set_zero_points(DNNL_ARG_SRC, 0, {integers.zero_point});
  if (!request.post.empty() && request.post.back().kind == PostOp::Kind::quantize &&
      request.post.back().beta != 0)
    attributes.set_zero_points(DNNL_ARG_DST, 0, {static_cast<int>(request.post.back().beta)});
  return attributes;
}

bool may_lose_nan(const LibraryRequest& request) {
  using Kind = PostOp::Kind;
  return std::any_of(request.post.begin(), request.post.end(),
                     [](const PostOp& p) { return p.operand < 0 && p.kind != Kind::linear; });
}

namespace {

// A NaN fails both comparisons and stays.
float bounded(float x, float low, float high) {
  const float above = x < low ? low : x;
  return above > high ? high : above;
}

float function_of(const PostOp& p, float x) {
  const auto alpha = static_cast<float>(p.alpha), beta = static_cast<float>(p.beta);
  switch (p.kind) {
    case PostOp::Kind::relu: return x < 0 ? 0 : x;
    case PostOp::Kind::leaky_relu: return x > 0 ? x : alpha * x;
    case PostOp::Kind::clip: return bounded(x, alpha, beta);
    case PostOp::Kind::linear: return alpha * x + beta;
    case PostOp::Kind::sigmoid: return 1 / (1 + std::exp(-x));
    case PostOp::Kind::swish: return x / (1 + std::exp(-x));
    case PostOp::Kind::hard_swish: return x * (bounded(x + 3, 0, 6) / 6);
    case PostOp::Kind::tanh: return std::tanh(x);
    case PostOp::Kind::elu: return x > 0 ? x : alpha * std::expm1(x);
    case PostOp::Kind::gelu:
    case PostOp::Kind::gelu_tanh:  // make_attributes refuses them
    case PostOp::Kind::add:
    case PostOp::Kind::mul:
    case PostOp::Kind::quantize: break;
  }
  TESSERA_CHECK(false, "no function that oneDNN computes");
}

}  // namespace

void apply_epilogue(const LibraryRequest& request, const View& dst, const std::byte* const* src,
                    float* data) {
  const size_t rank = dst.shape.size();
  std::vector<View> operands;
  for (const PostOp& p : request.post)
    operands.push_back(p.operand < 0 ? View{} : post_operand(request.src[p.operand], dst));
  std::vector<int64_t> at(rank, 0);
  const auto place = [&](const View& v) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < rank; ++axis)
      if (v.shape[axis] > 1) offset += at[axis] * v.strides[axis];
    return offset;
  };
  for (int64_t left = *element_count(dst.shape); left > 0; --left) {
    float& x = data[place(dst)];
    for (size_t k = 0; k < request.post.size(); ++k) {
      const PostOp& p = request.post[k];
      if (p.operand < 0) {
        x = function_of(p, x);
        continue;
      }
      const float y = reinterpret_cast<const float*>(src[p.operand])[place(operands[k])];
      x = p.kind == PostOp::Kind::add ? x + y : x * y;
    }
    for (size_t axis = rank; axis-- > 0;) {
      if (++at[axis] < dst.shape[axis]) break;
      at[axis] = 0;
    }
  }
}

Packed pack(const std::byte* data, const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  dnnl::memory source(from, dnnl_engine(), const_cast<std::byte*>(data));
  Packed packed;
  packed.storage = Tensor(DType::u8, {static_cast<int64_t>(to.get_size())});
  packed.memory = dnnl::memory(to, dnnl_engine(), packed.storage.mutable_data());
  dnnl::stream stream(dnnl_engine());
  dnnl::reorder(source, packed.memory).execute(stream, source, packed.memory);
  stream.wait();
  return packed;
}

struct PrimitiveKernel::Context {
  dnnl::stream stream;
  std::vector<dnnl::memory> src, dst, from, to;
  dnnl::memory scratchpad;
  std::vector<dnnl_exec_arg_t> args;

  dnnl::memory add(int arg, const dnnl::memory::desc& desc) {
    dnnl::memory memory(desc, dnnl_engine(), nullptr);
    args.push_back({arg, memory.get()});
    return memory;
  }
};

Packed repack(const dnnl::memory& packed, const dnnl::memory::desc& to) {
  return pack(static_cast<const std::byte*>(packed.get_data_handle()), packed.get_desc(), to);
}

LibraryRequest without_epilogue(const LibraryRequest& request) {
  LibraryRequest plain = request;
  plain.post.clear();
  plain.constants.assign(plain.src.size(), nullptr);
  return plain;
}

void PrimitiveKernel::set_primitive(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad,
                                    int threads) {
  primitive_ = std::move(primitive);
  scratchpad_ = scratchpad;
  threads_ = threads;
}

void PrimitiveKernel::bind_src(int arg, const dnnl::memory::desc& desc, int number) {
  src_.push_back({arg, desc, number});
}

void PrimitiveKernel::bind_dst(int arg, const dnnl::memory::desc& desc, int number) {
  dst_.push_back({arg, desc, number});
}

void PrimitiveKernel::bind_constant(int arg, Packed constant) {
  constants_.push_back({arg, std::move(constant)});
}

void PrimitiveKernel::bind_reordered(int arg, const dnnl::memory::desc& from,
                                     const dnnl::memory::desc& to, int number) {
  if (from == to) return bind_src(arg, from, number);
  const dnnl::reorder::primitive_desc pd(dnnl_engine(), from, dnnl_engine(), to);
  reorders_.push_back({arg, from, to, dnnl::reorder(pd), number});
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

PrimitiveKernel::PrimitiveKernel(std::string implementation)
    : implementation_("onednn " + std::move(implementation)) {}
PrimitiveKernel::~PrimitiveKernel() = default;

bool PrimitiveKernel::reads(size_t number) const {
  const auto is_it = [&](const auto& b) { return static_cast<size_t>(b.number) == number; };
  return std::any_of(src_.begin(), src_.end(), is_it) ||
         std::any_of(reorders_.begin(), reorders_.end(), is_it);
}

std::unique_ptr<PrimitiveKernel::Context> PrimitiveKernel::make_context() const {
  auto context = std::make_unique<Context>();
  context->stream = dnnl::stream(dnnl_engine());
  for (const Binding& b : src_) context->src.push_back(context->add(b.arg, b.desc));
  for (const Binding& b : dst_) context->dst.push_back(context->add(b.arg, b.desc));
  if (scratch_bytes() != 0) context->scratchpad = context->add(DNNL_ARG_SCRATCHPAD, scratchpad_);
  for (const Constant& c : constants_) context->args.push_back({c.arg, c.packed.memory.get()});
  for (const Reorder& r : reorders_) {
    context->from.emplace_back(r.from, dnnl_engine(), nullptr);
    context->to.emplace_back(r.to, dnnl_engine());
    context->args.push_back({r.arg, context->to.back().get()});
  }
  return context;
}

void PrimitiveKernel::guard(const LibraryRequest& request, const View& dst, Plain plain) {
  if (!may_lose_nan(request)) return;
  guarded_ = request;
  guarded_.constants.clear();
  guarded_dst_ = dst;
  make_plain_ = std::move(plain);
}

void PrimitiveKernel::run(const runtime::KernelArgs& args) const {
  if (!make_plain_) return run_once(args);
  clear_invalid();
  run_once(args);
  if (invalid_raised()) repeat(args);
}

void PrimitiveKernel::repeat(const runtime::KernelArgs& args) const {
  const ThreadScope scope(threads_);
  ++repeated_;
  std::shared_ptr<const PrimitiveKernel> kernel;
  {
    const std::lock_guard lock(mutex_);
    const dnnl::memory* weights = nullptr;
    for (const Constant& c : constants_)
      if (c.arg == DNNL_ARG_WEIGHTS) weights = &c.packed.memory;
    if (!plain_) plain_ = make_plain_(weights);
    kernel = plain_;
  }
  std::vector<std::byte> memory(kernel->scratch_bytes() + 64);
  void* scratch = memory.data();
  size_t space = memory.size();
  runtime::KernelArgs plain = args;
  plain.scratch = static_cast<std::byte*>(std::align(64, kernel->scratch_bytes(), scratch, space));
  kernel->run_once(plain);
  apply_epilogue(guarded_, guarded_dst_, args.src, reinterpret_cast<float*>(args.dst[0]));
}

void PrimitiveKernel::run_once(const runtime::KernelArgs& args) const {
  std::unique_ptr<Context> context;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      context = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!context) context = make_context();
  execute(args, *context);
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(context));
}

void PrimitiveKernel::execute(const runtime::KernelArgs& args, Context& context) const {
  const auto set = [](const dnnl::memory& memory, const void* data) {
    dnnl_memory_set_data_handle(memory.get(), const_cast<void*>(data));
  };
  const ThreadScope scope(threads_);
  for (size_t k = 0; k < src_.size(); ++k) set(context.src[k], args.src[src_[k].number]);
  for (size_t k = 0; k < dst_.size(); ++k) set(context.dst[k], args.dst[dst_[k].number]);
  if (scratch_bytes() != 0) set(context.scratchpad, args.scratch);
  for (size_t k = 0; k < reorders_.size(); ++k) {
    set(context.from[k], args.src[reorders_[k].number]);
    const dnnl_exec_arg_t both[] = {{DNNL_ARG_FROM, context.from[k].get()},
                                    {DNNL_ARG_TO, context.to[k].get()}};
    dnnl_primitive_execute(reorders_[k].primitive.get(), context.stream.get(), 2, both);
  }
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), context.stream.get(),
                             static_cast<int>(context.args.size()), context.args.data());
  TESSERA_CHECK(status == dnnl_success, "{} failed with status {}", implementation_,
                static_cast<int>(status));
}

}  // namespace tessera::backend::cpu
