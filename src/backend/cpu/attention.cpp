// SPDX-License-Identifier: Apache-2.0
// Attention as a kernel of the runtime: blocks of queries shared among threads.
#include <algorithm>
#include <bit>
#include <cstring>

#include "backend/cpu/attention_pairs.h"
#include "backend/cpu/contraction_kernels.h"
#include "backend/cpu/parallel.h"
#include "base/check.h"
#include "codegen/attention.h"
#include "ops/meaning_text.h"

namespace tessera::backend::cpu {
namespace {

using codegen::AttentionForm;
using codegen::View;

// Scores of a block of queries beyond this do not fit the second-level cache.
constexpr int64_t most_keys = 4096;

// The largest magnitude of n numbers, by its bits, and at least `largest`. Lanes are spelled out:
// the compiler leaves the plain loop as it is, which then takes a fifth of the attention's time.
int32_t largest_bits(const float* x, int64_t n, int32_t largest) {
  constexpr int64_t lanes = 8;
  using Lanes = int32_t __attribute__((vector_size(lanes * sizeof(int32_t))));
  Lanes most{};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    Lanes bits;
    std::memcpy(&bits, x + i, sizeof bits);
    bits &= INT32_MAX;
    most = bits > most ? bits : most;
  }
  for (int64_t lane = 0; lane < lanes; ++lane) largest = std::max(largest, most[lane]);
  for (; i < n; ++i) largest = std::max(largest, std::bit_cast<int32_t>(x[i]) & INT32_MAX);
  return largest;
}

// Of one batch, as the code wants them.
void find_magnitudes(const AttentionForm& f, const float* k, const float* v, float* to) {
  int64_t step = codegen::magnitude_floats(f) / 2 - 1;
  to[2 * step] = to[2 * step + 1] = 0;
  int32_t of_k = 0, of_v = 0;
  for (int64_t key = f.keys; key-- > 0;) {
    of_k = largest_bits(k + key * f.k_row, f.size, of_k);
    of_v = largest_bits(v + key * f.v_row, f.value_size, of_v);
    if (key % codegen::magnitude_step != 0) continue;
    --step;
    to[2 * step] = std::bit_cast<float>(of_k);
    to[2 * step + 1] = std::bit_cast<float>(of_v);
  }
}

class AttentionKernel : public runtime::Kernel {
 public:
  AttentionKernel(std::shared_ptr<codegen::Jit> jit, Code code, AttentionForm form, int64_t tasks,
                  int64_t floats, int threads)
      : jit_(std::move(jit)),
        code_(std::move(code)),
        form_(std::move(form)),
        floats_(floats),
        threads_(threads) {
    for (int64_t extent : form_.batch) batches_ *= extent;
    if (form_.hidden) count_seen(tasks / batches_);
    // A part has scratch memory of its own; two for each thread, in case one is late.
    parts_ = std::min<int64_t>(tasks, threads > 1 ? 2 * threads : 1);
  }

  void run(const runtime::KernelArgs& args) const override {
    TESSERA_CHECK(code_->run, "a kernel is run before it is finished");
    const int threads = std::min(args.threads, threads_);
    auto* const magnitudes = reinterpret_cast<float*>(args.scratch) + parts_ * floats_;
    if (form_.hidden)
      parallel_for(threads, batches_, [&](int64_t begin, int64_t end) {
        for (int64_t batch = begin; batch < end; ++batch)
          find_magnitudes(form_, place(args.src[1], form_.k_batch, batch),
                          place(args.src[2], form_.v_batch, batch),
                          magnitudes + batch * magnitude_floats(form_));
      });
    parallel_for(threads, parts_, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        std::byte* dst[] = {args.dst[0],
                            args.scratch + part * floats_ * static_cast<int64_t>(sizeof(float)),
                            reinterpret_cast<std::byte*>(magnitudes),
                            reinterpret_cast<std::byte*>(const_cast<int64_t*>(seen_.data()))};
        code_->run(args.src, dst, code_->rows * part / parts_, code_->rows * (part + 1) / parts_);
      }
    });
  }

  size_t scratch_bytes() const override {
    const int64_t magnitudes = form_.hidden ? batches_ * magnitude_floats(form_) : 0;
    return static_cast<size_t>(parts_ * floats_ + magnitudes) * sizeof(float);
  }
  std::string implementation() const override { return "attention"; }

 private:
  // How many keys each block of queries sees.
  void count_seen(int64_t blocks) {
    const int64_t width =
        floats_ / codegen::attention_scratch(form_, 1) * codegen::attention_vectors;
    constexpr int64_t multiple = codegen::attention_key_multiple;
    const auto begin = form_.hidden->visible.begin();
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * width, last = std::min(first + width, form_.queries);
      const int64_t most = std::max<int64_t>(*std::max_element(begin + first, begin + last), 1);
      seen_.push_back(std::min((most + multiple - 1) / multiple * multiple, form_.keys));
    }
  }

  // Where a batch of keys or values begins.
  const float* place(const std::byte* base, const std::vector<int64_t>& strides,
                     int64_t batch) const {
    const auto* at = reinterpret_cast<const float*>(base);
    for (size_t axis = form_.batch.size(); axis-- > 0; batch /= form_.batch[axis])
      at += batch % form_.batch[axis] * strides[axis];
    return at;
  }

  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  Code code_;
  AttentionForm form_;
  int64_t floats_ = 0, parts_ = 1, batches_ = 1;
  int threads_ = 1;
  std::vector<int64_t> seen_;  ///< by block of queries
};

// Strides over the batch axes of the destination, 0 where `v` has one element.
std::vector<int64_t> batch_strides(const View& v, size_t axes) {
  std::vector<int64_t> result(axes, 0);
  const size_t own = v.shape.size() - 2;
  for (size_t k = 0; k < std::min(axes, own); ++k)
    if (v.shape[own - 1 - k] > 1) result[axes - 1 - k] = v.strides[own - 1 - k];
  return result;
}

void append(std::string& key, const std::vector<int64_t>& numbers) {
  for (int64_t n : numbers) key += fmt::format(",{}", n);
  key += ';';
}

}  // namespace

std::string key_of(const AttentionForm& f) {
  std::string key = "attention ";
  for (const auto* list : {&f.batch, &f.q_batch, &f.k_batch, &f.v_batch, &f.dst_batch})
    append(key, *list);
  append(key, {f.queries, f.keys, f.size, f.value_size, f.q_row, f.k_row, f.k_column, f.v_row,
               f.v_column, f.dst_row});
  key += fmt::format("{} {}", f.scale, !f.pairs ? "f32" : f.has_units() ? "i16" : "bf16");
  for (const AttentionForm::Operand& o : f.operands) {
    key += fmt::format("|{},{},{}", to_string(o.dtype), o.query, o.key);
    append(key, o.batch);
  }
  if (f.score) key += ops::print_meaning(*f.score, "score");
  if (f.hidden) key += fmt::format("hidden {} {}", f.hidden->score, f.hidden->slope);
  return key;
}

namespace {

// Nothing when the kernel does not compute the request.
std::optional<AttentionForm> attention_form(const codegen::LibraryRequest& r, int lanes) {
  for (const View& v : r.src)
    if (v.shape.size() < 2) return std::nullopt;
  const View &q = r.src[0], &k = r.src[1], &v = r.src[2];
  const auto last = [](const View& view) { return view.strides.back(); };
  const auto row = [](const View& view) { return view.strides[view.strides.size() - 2]; };
  AttentionForm f;
  const size_t axes = r.dst.shape.size() - 2;
  f.batch.assign(r.dst.shape.begin(), r.dst.shape.begin() + static_cast<long>(axes));
  f.queries = r.dst.shape[axes];
  f.value_size = r.dst.shape[axes + 1];
  f.size = q.shape.back();
  f.keys = k.shape.back();
  const bool fits = f.queries > 0 && f.keys > 0 && f.keys <= most_keys && f.size > 0 &&
                    f.size % lanes == 0 && f.value_size > 0 && f.value_size % lanes == 0 &&
                    last(q) == 1 && last(r.dst) == 1;
  if (!fits || std::any_of(f.batch.begin(), f.batch.end(), [](int64_t n) { return n == 0; }))
    return std::nullopt;
  f.q_batch = batch_strides(q, axes);
  f.k_batch = batch_strides(k, axes);
  f.v_batch = batch_strides(v, axes);
  f.dst_batch = batch_strides(r.dst, axes);
  f.q_row = row(q), f.dst_row = row(r.dst);
  f.k_row = last(k), f.k_column = row(k);
  f.v_row = row(v), f.v_column = last(v);
  f.scale = r.scale;
  f.score = r.score;
  if (f.k_column == 1 && f.v_column == 1) f.hidden = r.hidden;
  for (size_t n = 3; n < r.src.size(); ++n) {
    const View& o = r.src[n];
    const int64_t queries = o.shape.back(), keys = o.shape[o.shape.size() - 2];
    if ((o.dtype != DType::f32 && o.dtype != DType::boolean) || (queries > 1 && last(o) != 1))
      return std::nullopt;
    f.operands.push_back(
        {o.dtype, batch_strides(o, axes), queries > 1 ? 1 : 0, keys > 1 ? row(o) : 0});
  }
  return f;
}

}  // namespace

std::shared_ptr<const runtime::Kernel> ContractionKernels::make_attention(
    const codegen::LibraryRequest& r) {
  const auto form = attention_form(r, unit_.lanes);
  if (!form) return nullptr;
  const int threads = std::min(r.threads, useful_threads(product_nanoseconds(r.flops, r.bytes)));
  const auto kernel = [form = *form, unit = unit_, threads](auto jit, const auto& compiled) {
    codegen::EmittedKernel emitted = attention_kernel(form, unit);
    const int64_t tasks = emitted.rows;
    return std::make_shared<AttentionKernel>(jit, compiled(std::move(emitted)), form, tasks,
                                             attention_scratch(form, unit.lanes), threads);
  };
  const auto later = [&](codegen::EmittedKernel e) { return compile(key_of(*form), std::move(e)); };
  if (r.precision == codegen::Precision::f32) return kernel(jit_, later);
  const auto direct = [kernel] {
    const auto jit = std::make_shared<codegen::Jit>();  // of its own: runs may overlap
    return kernel(jit, [&](const codegen::EmittedKernel& emitted) {
      return std::make_shared<codegen::LoopKernel>(jit->compile({}, std::span(&emitted, 1))[0]);
    });
  };
  const size_t scratch = kernel(jit_, [](const auto&) { return Code(); })->scratch_bytes();
  AttentionForm all = *form;
  all.hidden = nullptr;
  return make_attention_pairs(
      all, r.precision, threads, scratch,
      {unit_, jit_, [&](const auto& key, auto e) { return compile(key, std::move(e)); }, direct});
}

}  // namespace tessera::backend::cpu
