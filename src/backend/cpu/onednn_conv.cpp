// SPDX-License-Identifier: Apache-2.0
// Convolution and transposed convolution through oneDNN, channels last: [N, spatial…, C] is the
// layout that oneDNN picks for itself on AVX-512, and one that generated loops can read.
#include <algorithm>

#include "backend/cpu/onednn.h"
#include "backend/cpu/parallel.h"
#include "base/check.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"

namespace tessera::backend::cpu {
namespace {

using dnnl::memory;

struct Geometry {
  memory::dims strides, dilations, begin, end;
  int64_t group = 1;
};

Geometry geometry(const LibraryRequest& r) {
  const ops::AttrReader attrs(ops::registry().get(r.op), r.attrs);
  const size_t rank = r.dst.shape.size() - 2;
  const auto list = [&](const char* name, size_t size, int64_t fallback) {
    std::vector<int64_t> values = attrs.integers(name);
    if (values.empty()) values.assign(size, fallback);
    return values;
  };
  const auto pads = list("pads", 2 * rank, 0);
  Geometry g;
  g.strides = to_dims(list("strides", rank, 1));
  g.dilations = to_dims(list("dilations", rank, 1));
  for (int64_t& d : g.dilations) --d;  // oneDNN counts the gap
  g.begin.assign(pads.begin(), pads.begin() + static_cast<long>(rank));
  g.end.assign(pads.begin() + static_cast<long>(rank), pads.end());
  g.group = attrs.integer("group");
  return g;
}

// Weights as oneDNN wants them, [G, O, I, spatial…] or [O, I, spatial…], lying where `w` lies.
// For a transposed convolution w is [C, M/G, spatial…] with C = I: the two are exchanged.
View weights_view(const View& w, int64_t group, bool transposed) {
  View v = w;
  if (group > 1) {
    v.shape[0] /= group;
    v.shape.insert(v.shape.begin(), group);
    v.strides.insert(v.strides.begin(), w.strides[0] * v.shape[1]);
  }
  const size_t first = group > 1 ? 1 : 0;
  if (transposed) {
    std::swap(v.shape[first], v.shape[first + 1]);
    std::swap(v.strides[first], v.strides[first + 1]);
  }
  return v;
}

memory::format_tag channels_last(size_t rank) {
  return rank == 3   ? memory::format_tag::nwc
         : rank == 4 ? memory::format_tag::nhwc
                     : memory::format_tag::ndhwc;
}

// `packed`, if given, are the weights as a kernel of the same request has them.
template <typename Forward>
std::shared_ptr<PrimitiveKernel> make(const LibraryRequest& r, bool transposed,
                                      dnnl::algorithm algorithm, const memory* packed = nullptr) {
  const ThreadScope scope(r.threads);
  const Geometry g = geometry(r);
  const auto tag = channels_last(r.dst.shape.size());
  const memory::desc src(to_dims(r.src[0].shape), data_type(r.src[0].dtype), tag),
      dst(to_dims(r.dst.shape), data_type(r.dst.dtype), tag);
  const View w = weights_view(r.src[1], g.group, transposed);
  const memory::desc any(to_dims(w.shape), data_type(w.dtype), memory::format_tag::any);
  const bool bias = r.src.size() > 2 && !r.src[2].shape.empty();
  const auto kind = dnnl::prop_kind::forward_inference;
  using Desc = typename Forward::desc;
  const memory::desc bias_desc =
      bias ? memory::desc(to_dims(r.src[2].shape), data_type(r.src[2].dtype), memory::format_tag::a)
           : memory::desc();
  const Desc desc =
      bias ? Desc(kind, algorithm, src, any, bias_desc, dst, g.strides, g.dilations, g.begin, g.end)
           : Desc(kind, algorithm, src, any, dst, g.strides, g.dilations, g.begin, g.end);
  const typename Forward::primitive_desc pd(desc, make_attributes(r, r.dst), dnnl_engine());
  auto kernel = std::make_shared<PrimitiveKernel>(pd.impl_info_str());
  kernel->set_primitive(Forward(pd), pd.scratchpad_desc(), r.threads);
  kernel->bind_src(DNNL_ARG_SRC, src, 0);
  const memory::desc given = describe(w.shape, w.strides, w.dtype);
  if (packed) kernel->bind_constant(DNNL_ARG_WEIGHTS, repack(*packed, pd.weights_desc()));
  else if (r.constants[1])
    kernel->bind_constant(DNNL_ARG_WEIGHTS, pack(r.constants[1]->data(), given, pd.weights_desc()));
  else kernel->bind_reordered(DNNL_ARG_WEIGHTS, given, pd.weights_desc(), 1);
  if (auto constant = bias ? integer_bias(r, r.src[2].shape) : std::nullopt)
    kernel->bind_constant(DNNL_ARG_BIAS, *std::move(constant));
  else if (bias) kernel->bind_src(DNNL_ARG_BIAS, bias_desc, 2);
  kernel->bind_dst(DNNL_ARG_DST, dst, 0);
  kernel->bind_post(r, r.dst);
  // Sums of integers are numbers, and so is what functions make of them.
  if (!r.integers)
    kernel->guard(r, r.dst, [plain = without_epilogue(r), transposed, algorithm](const memory* w) {
      return make<Forward>(plain, transposed, algorithm, w);
    });
  return kernel;
}

}  // namespace

std::shared_ptr<const runtime::Kernel> make_convolution(const LibraryRequest& r) {
  if (r.op == "conv_transpose")
    return make<dnnl::deconvolution_forward>(r, true, dnnl::algorithm::deconvolution_direct);
  return make<dnnl::convolution_forward>(r, false, dnnl::algorithm::convolution_direct);
}

}  // namespace tessera::backend::cpu
