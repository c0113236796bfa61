// SPDX-License-Identifier: Apache-2.0
// Matrix products through oneDNN. Operands are strided views, so transposed and sliced ones cost
// nothing; constant weights are packed once.
#include <array>

#include "backend/cpu/onednn.h"
#include "backend/cpu/parallel.h"
#include "base/check.h"

namespace tessera::backend::cpu {
namespace {

using dnnl::memory;

// x, y and dst with one rank of at least 2; the axes that a rank-1 operand lacks have extent 1.
struct Product {
  View x, y, dst;
};

Product product(const LibraryRequest& r) {
  Product p{r.src[0], r.src[1], r.dst};
  const auto insert = [](View& v, size_t at) {
    v.shape.insert(v.shape.begin() + static_cast<long>(at), 1);
    v.strides.insert(v.strides.begin() + static_cast<long>(at), 1);
  };
  if (p.x.shape.size() == 1) {
    insert(p.x, 0);
    insert(p.dst, p.dst.shape.size() - (p.y.shape.size() == 1 ? 0 : 1));
  }
  if (p.y.shape.size() == 1) {
    insert(p.y, 1);
    insert(p.dst, p.dst.shape.size());
  }
  const size_t rank = p.dst.shape.size();
  p.x = with_rank(p.x, rank);
  p.y = with_rank(p.y, rank);
  return p;
}

// Batch axes that x and dst walk through like one, and that y lacks, join the rows.
void join_rows(Product& p) {
  while (p.dst.shape.size() > 2) {
    const size_t row = p.dst.shape.size() - 2, batch = row - 1;
    const auto joins = [&](const View& v) {
      return v.shape[batch] == 1 || v.shape[row] == 1 ||
             v.strides[batch] == v.strides[row] * v.shape[row];
    };
    if (p.y.shape[batch] != 1 || p.x.shape[batch] != p.dst.shape[batch] || !joins(p.x) ||
        !joins(p.dst))
      return;
    // A single row may have any stride; joined ones must leave x a unit stride somewhere.
    const bool unit = p.x.shape[row + 1] == 1 || p.x.strides[row + 1] == 1 ||
                      (p.x.shape[row] == 1 ? p.x.strides[batch] : p.x.strides[row]) == 1;
    if (!unit) return;
    const auto join = [&](View& v) {
      if (v.shape[row] == 1) v.strides[row] = v.strides[batch];
      v.shape[row] *= v.shape[batch];
      v.shape.erase(v.shape.begin() + static_cast<long>(batch));
      v.strides.erase(v.strides.begin() + static_cast<long>(batch));
    };
    join(p.x);
    join(p.dst);
    p.y.shape.erase(p.y.shape.begin() + static_cast<long>(batch));
    p.y.strides.erase(p.y.strides.begin() + static_cast<long>(batch));
  }
}

// Strides of axes of extent 1 as oneDNN expects them: outside of what lies inside.
void normalize(View& v) {
  int64_t inner = 1;
  for (size_t axis = v.shape.size(); axis-- > 0;) {
    if (v.shape[axis] == 1) v.strides[axis] = inner;
    inner = std::max(inner, v.strides[axis] * v.shape[axis]);
  }
  const size_t n = v.shape.size();
  // A column (extent 1 innermost) whose rows lie apart is a row of a transposed matrix.
  if (v.shape[n - 1] == 1 && v.strides[n - 2] != 1) v.strides[n - 1] = 1;
  // And a single row whose elements lie apart is a column of one.
  if (v.shape[n - 2] == 1 && v.strides[n - 1] != 1) v.strides[n - 2] = 1;
}

bool has_unit_stride(const View& v) {
  const size_t n = v.shape.size();
  return v.strides[n - 1] == 1 || v.strides[n - 2] == 1;
}

// Products of strided batches that no fast primitive takes: one sgemm each.
class BatchedGemm : public runtime::Kernel {
 public:
  explicit BatchedGemm(Product p) : p_(std::move(p)) {
    for (size_t axis = 0; axis + 2 < p_.dst.shape.size(); ++axis) batches_ *= p_.dst.shape[axis];
  }

  void run(const runtime::KernelArgs& args) const override {
    const ThreadScope scope(args.threads);
    const auto* x = reinterpret_cast<const float*>(args.src[0]);
    const auto* y = reinterpret_cast<const float*>(args.src[1]);
    auto* dst = reinterpret_cast<float*>(args.dst[0]);
    const auto work = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        multiply(x + start(p_.x, i), y + start(p_.y, i), dst + start(p_.dst, i));
    };
    if (batches_ < args.threads) work(0, batches_);
    else parallel_for(args.threads, batches_, work);
  }

  std::string implementation() const override { return "onednn sgemm"; }

 private:
  // Elements from the start of `v` to its matrix for batch `i`.
  int64_t start(const View& v, int64_t i) const {
    int64_t offset = 0;
    for (size_t axis = p_.dst.shape.size() - 2; axis-- > 0;) {
      const int64_t at = i % p_.dst.shape[axis];
      i /= p_.dst.shape[axis];
      if (v.shape[axis] > 1) offset += at * v.strides[axis];
    }
    return offset;
  }

  void multiply(const float* x, const float* y, float* dst) const {
    const size_t n = p_.dst.shape.size();
    const auto transposed = [&](const View& v) { return v.strides[n - 1] != 1; };
    const auto leading = [&](const View& v) {
      return std::max(v.strides[n - 1], v.strides[n - 2]);
    };
    dnnl_sgemm(transposed(p_.x) ? 'T' : 'N', transposed(p_.y) ? 'T' : 'N', p_.dst.shape[n - 2],
               p_.dst.shape[n - 1], p_.x.shape[n - 1], 1, x, std::max<int64_t>(leading(p_.x), 1), y,
               std::max<int64_t>(leading(p_.y), 1), 0, dst, std::max<int64_t>(leading(p_.dst), 1));
  }

  Product p_;
  int64_t batches_ = 1;
};

// Source 2, where there is one, is a bias along the last axis.
bool has_bias(const LibraryRequest& r) { return r.src.size() > 2 && !r.src[2].shape.empty(); }

// The epilogue's operands in the rank of dst: they have its elements, or those of its last axis.
LibraryRequest with_operands_like(const LibraryRequest& r, const View& dst) {
  LibraryRequest q = r;
  for (const PostOp& p : r.post) {
    if (p.operand < 0) continue;
    View& v = q.src[p.operand];
    const int64_t count = *element_count(v.shape);
    if (count == *element_count(dst.shape)) v = dst;
    else v = {v.dtype, {count}, {1}};
  }
  return q;
}

// `weights`, if given, are those that a kernel of the same request has packed.
std::shared_ptr<PrimitiveKernel> make_primitive(const LibraryRequest& r, const Product& p,
                                                const memory* weights = nullptr) {
  const bool constant = weights != nullptr || r.constants[1] != nullptr;
  const memory::desc x = describe(p.x.shape, p.x.strides, p.x.dtype),
                     y = describe(p.y.shape, p.y.strides, p.y.dtype),
                     dst = describe(p.dst.shape, p.dst.strides, p.dst.dtype);
  const memory::desc packed =
      constant ? memory::desc(to_dims(p.y.shape), data_type(p.y.dtype), memory::format_tag::any)
               : y;
  const bool bias = has_bias(r);
  Shape bias_shape(p.dst.shape.size(), 1);
  bias_shape.back() = p.dst.shape.back();
  const memory::desc bias_desc =
      bias ? describe(bias_shape, codegen::dense_strides(bias_shape), r.src[2].dtype)
           : memory::desc();
  const dnnl::matmul::desc desc =
      bias ? dnnl::matmul::desc(x, packed, bias_desc, dst) : dnnl::matmul::desc(x, packed, dst);
  const LibraryRequest joined = with_operands_like(r, p.dst);
  const dnnl::matmul::primitive_desc pd(desc, make_attributes(joined, p.dst), dnnl_engine());
  auto kernel = std::make_shared<PrimitiveKernel>(pd.impl_info_str());
  kernel->set_primitive(dnnl::matmul(pd), pd.scratchpad_desc(), r.threads);
  kernel->bind_src(DNNL_ARG_SRC, x, 0);
  if (weights) kernel->bind_constant(DNNL_ARG_WEIGHTS, repack(*weights, pd.weights_desc()));
  else if (constant)
    kernel->bind_constant(DNNL_ARG_WEIGHTS, pack(r.constants[1]->data(), y, pd.weights_desc()));
  else kernel->bind_src(DNNL_ARG_WEIGHTS, y, 1);
  if (auto known = bias ? integer_bias(r, bias_shape) : std::nullopt)
    kernel->bind_constant(DNNL_ARG_BIAS, *std::move(known));
  else if (bias) kernel->bind_src(DNNL_ARG_BIAS, bias_desc, 2);
  kernel->bind_dst(DNNL_ARG_DST, dst, 0);
  kernel->bind_post(joined, p.dst);
  if (!r.integers)
    kernel->guard(joined, p.dst, [plain = without_epilogue(r), p](const memory* w) {
      return make_primitive(plain, p, w);
    });
  return kernel;
}

}  // namespace

std::shared_ptr<const runtime::Kernel> make_matmul(const LibraryRequest& r) {
  const ThreadScope scope(r.threads);
  Product p = product(r);
  join_rows(p);
  for (View* v : {&p.x, &p.y, &p.dst}) normalize(*v);
  if (!has_unit_stride(p.x) || p.dst.strides.back() != 1) return nullptr;
  const bool constant = r.constants[1] != nullptr;
  if (!constant && !has_unit_stride(p.y)) return nullptr;
  auto kernel = make_primitive(r, p);
  const bool plain = r.post.empty() && !has_bias(r) && !constant;
  if (plain && kernel->implementation().find("brg") == std::string::npos)
    return std::make_shared<BatchedGemm>(std::move(p));
  return kernel;
}

}  // namespace tessera::backend::cpu
