// SPDX-License-Identifier: Apache-2.0
// Each part of the batch has scratch memory for one matrix; where there are fewer matrices than
// threads, threads share each one.
#include "backend/cpu/attention_pairs.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // in GCC's own header
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>
#include <vector>

#include "backend/cpu/parallel.h"
#include "backend/cpu/row_rounding.h"
#include "base/check.h"

namespace tessera::backend::cpu {
namespace {

using codegen::AttentionForm;
using Kind = codegen::Contraction::Pairs::Kind;

#define TESSERA_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define TESSERA_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

constexpr int64_t lanes = 16, most_vectors = 3;

size_t lines(int64_t bytes) { return static_cast<size_t>((bytes + 63) / 64 * 64); }

// The form of the code: a matrix at a time, rounded, but for the result and the operands.
AttentionForm paired(AttentionForm f, Kind kind) {
  for (auto* batch : {&f.q_batch, &f.k_batch, &f.v_batch})
    std::fill(batch->begin(), batch->end(), 0);
  f.q_row = f.k_row = f.size / 2;
  f.k_column = f.v_column = 1;
  f.v_row = f.value_size;
  f.pairs = kind;
  return f;
}

RowRounding rows_of(int64_t rows, int64_t size, int64_t row, int64_t column) {
  return {codegen::View{DType::f32, {rows, size}, {row, column}}, 1};
}

class PairAttention : public runtime::Kernel {
 public:
  PairAttention(const KernelShop& shop, Code code, const AttentionForm& f, bool integers,
                int64_t floats, size_t least_scratch, int threads)
      : jit_(shop.jit),
        code_(std::move(code)),
        make_direct_(shop.direct),
        f_(f),
        q_(rows_of(f.queries, f.size, f.q_row, 1)),
        k_(rows_of(f.keys, f.size, f.k_row, f.k_column)),
        v_(f.keys, f.value_size, f.v_row),
        integers_(integers),
        least_scratch_(least_scratch),
        threads_(threads) {
    q_.set_sums(f.size, 1), k_.set_sums(f.size, 1);
    for (int64_t extent : f.batch) matrices_ *= extent;
    blocks_ = code_tasks(f) / matrices_;
    slots_ = threads == 1           ? 1
             : matrices_ >= threads ? std::min<int64_t>(matrices_, 4 * threads)
                                    : 0;
    parts_ = slots_ > 0 ? 1 : std::min<int64_t>(blocks_, 2 * threads);
    const int64_t padded = most_vectors * lanes;
    const std::array<size_t, count> sizes = {q_.bytes(),
                                             k_.bytes(),
                                             static_cast<size_t>(v_.pairs()) * 4,
                                             static_cast<size_t>(f.queries + padded) * 4,
                                             static_cast<size_t>(f.keys) * 4,
                                             static_cast<size_t>(f.value_size) * 4,
                                             static_cast<size_t>(parts_ * floats) * 4};
    floats_ = floats;
    for (size_t n = 0; n < count; ++n) {
      at_[n] = slot_bytes_;
      slot_bytes_ += lines(static_cast<int64_t>(sizes[n]));
    }
  }

  size_t scratch_bytes() const override {
    return std::max(least_scratch_,
                    static_cast<size_t>(std::max<int64_t>(slots_, 1)) * slot_bytes_);
  }
  std::string implementation() const override {
    return integers_ ? "i16 attention" : "bf16 attention";
  }

  void run(const runtime::KernelArgs& args) const override {
    TESSERA_CHECK(code_->run, "a kernel is run before it is finished");
    const int threads = std::min(args.threads, threads_);
    std::atomic<bool> finite{true};
    const auto run_matrices = [&](int64_t first, int64_t last, std::byte* scratch, int own) {
      const float* before[2] = {nullptr, nullptr};
      for (int64_t k = first; k < last && finite; ++k)
        if (!run_matrix(args, k, scratch, own, before)) finite = false;
    };
    if (slots_ == 0) {
      run_matrices(0, matrices_, args.scratch, threads);
    } else {
      parallel_for(threads, slots_, [&](int64_t begin, int64_t end) {
        for (int64_t slot = begin; slot < end; ++slot)
          run_matrices(matrices_ * slot / slots_, matrices_ * (slot + 1) / slots_,
                       args.scratch + static_cast<size_t>(slot) * slot_bytes_, 1);
      });
    }
    if (finite) return;
    std::call_once(made_, [&] { direct_ = make_direct_(); });
    direct_->run(args);
  }

 private:
  enum Place { q_at, k_at, v_at, q_units, k_units, v_units, code_scratch, count };

  static int64_t code_tasks(const AttentionForm& f) {
    return codegen::attention_kernel(f, {.lanes = lanes, .registers = 32}).rows;
  }

  template <typename F>
  static void share(int threads, int64_t n, F f) {
    if (threads == 1) f(int64_t{0}, n);
    else parallel_for(threads, n, f);
  }

  // Where a matrix lies, in elements.
  int64_t offset(int64_t matrix, const std::vector<int64_t>& strides) const {
    int64_t result = 0;
    for (size_t axis = f_.batch.size(); axis-- > 0; matrix /= f_.batch[axis])
      result += matrix % f_.batch[axis] * strides[axis];
    return result;
  }

  // Rows in bf16, or in integers whose units are multiplied by `scale`; whether all are finite.
  bool round(const RowRounding& rows, const float* from, std::byte* to, float* units, double scale,
             int threads) const {
    std::atomic<bool> finite{true};
    // (By fours: rows are measured so, and the way they are measured shows in their last bits.)
    share(threads, (rows.rows() + 3) / 4, [&](int64_t four, int64_t last_four) {
      const int64_t begin = 4 * four, end = std::min(4 * last_four, rows.rows());
      auto* place = reinterpret_cast<uint16_t*>(to);
      if (!integers_) return rows.round(from, place, begin, end);
      if (!rows.to_integers(from, place, units, begin, end)) finite = false;
      for (int64_t k = begin; k < end; ++k) units[k] *= static_cast<float>(scale);
    });
    return finite;
  }

  bool round_values(const float* from, std::byte* to, float* units) const {
    auto* pairs = reinterpret_cast<uint32_t*>(to);
    if (!integers_) {
      v_.round(from, pairs);
      return true;
    }
    return v_.to_integers(from, codegen::attention_chunk, pairs, units);
  }

  // False when a number is not finite, with integers. `before`: the keys and values that scratch
  // holds, which several heads may share.
  bool run_matrix(const runtime::KernelArgs& args, int64_t matrix, std::byte* scratch, int threads,
                  const float* (&before)[2]) const {
    const auto source = [&](size_t n, const std::vector<int64_t>& strides) {
      return reinterpret_cast<const float*>(args.src[n]) + offset(matrix, strides);
    };
    const auto units = [&](Place p) { return reinterpret_cast<float*>(scratch + at_[p]); };
    const float *q = source(0, f_.q_batch), *k = source(1, f_.k_batch), *v = source(2, f_.v_batch);
    if (!round(q_, q, scratch + at_[q_at], units(q_units), 1, threads)) return false;
    // (Queries that a block has too many are its last one.)
    if (integers_)
      std::fill_n(units(q_units) + f_.queries, most_vectors * lanes,
                  units(q_units)[f_.queries - 1]);
    if (k != before[0] && !round(k_, k, scratch + at_[k_at], units(k_units), f_.scale, threads))
      return false;
    if (v != before[1] && !round_values(v, scratch + at_[v_at], units(v_units))) return false;
    before[0] = k, before[1] = v;

    std::vector<const std::byte*>& src = sources();
    src.assign({scratch + at_[q_at], scratch + at_[k_at], scratch + at_[v_at]});
    for (size_t n = 0; n < f_.operands.size(); ++n) src.push_back(args.src[3 + n]);
    for (Place p : {q_units, k_units, v_units}) src.push_back(scratch + at_[p]);
    const std::byte* const* all = src.data();
    share(threads, parts_, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        std::byte* dst[] = {args.dst[0], scratch + at_[code_scratch] + part * floats_ * 4};
        code_->run(all, dst, matrix * blocks_ + blocks_ * part / parts_,
                   matrix * blocks_ + blocks_ * (part + 1) / parts_);
      }
    });
    return true;
  }

  // Of the calling thread, so that a run allocates nothing once it has run.
  static std::vector<const std::byte*>& sources() {
    thread_local std::vector<const std::byte*> src;
    return src;
  }

  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  Code code_;
  std::function<std::shared_ptr<const runtime::Kernel>()> make_direct_;
  AttentionForm f_;
  RowRounding q_, k_;
  RowPairs v_;
  bool integers_;
  size_t least_scratch_, slot_bytes_ = 0;
  std::array<size_t, count> at_{};  // in the scratch memory of a slot
  int64_t matrices_ = 1, blocks_ = 1, floats_ = 0;
  int64_t slots_ = 0;  // parts of the batch; 0: threads share each matrix
  int64_t parts_ = 1;  // of a matrix
  int threads_ = 1;
  mutable std::once_flag made_;
  mutable std::shared_ptr<const runtime::Kernel> direct_;
};

TESSERA_AVX512 inline __m512 row_or_zero(const float* from, bool is_there) {
  return is_there ? _mm512_loadu_ps(from) : _mm512_setzero_ps();
}

}  // namespace

TESSERA_BF16 void RowPairs::round(const float* from, uint32_t* to) const {
  alignas(64) uint16_t order[2 * lanes];
  for (int k = 0; k < lanes; ++k)
    order[2 * k] = static_cast<uint16_t>(k), order[2 * k + 1] = static_cast<uint16_t>(lanes + k);
  const __m512i interleaved = _mm512_load_si512(order);
  for (int64_t row = 0; row < rows_; row += 2)
    for (int64_t n = 0; n < columns_; n += lanes) {
      const float* low = from + row * stride_ + n;
      const bool has_high = row + 1 < rows_;
      const __m512 high = has_high ? _mm512_loadu_ps(low + stride_) : _mm512_setzero_ps();
      const __m512bh both = _mm512_cvtne2ps_pbh(high, _mm512_loadu_ps(low));
      _mm512_storeu_si512(
          to + row / 2 * columns_ + n,
          _mm512_permutexvar_epi16(interleaved, reinterpret_cast<const __m512i&>(both)));
    }
}

// Units of 16 columns.
TESSERA_AVX512 bool RowPairs::measure(const float* from, int64_t chunk, int64_t column,
                                      float* units) const {
  __m512 longest = _mm512_setzero_ps(), largest = longest, total = longest;
  for (int64_t first = 0; first < rows_; first += chunk) {
    __m512 squares = _mm512_setzero_ps();
    for (int64_t row = first; row < std::min(first + chunk, rows_); ++row) {
      const __m512 x = _mm512_loadu_ps(from + row * stride_ + column);
      squares = _mm512_fmadd_ps(x, x, squares);
      largest = _mm512_max_ps(_mm512_abs_ps(x), largest);
      total = _mm512_add_ps(_mm512_abs_ps(x), total);  // the maximum may lose a NaN
    }
    longest = _mm512_max_ps(squares, longest);
  }
  if (_mm512_cmp_ps_mask(total, _mm512_set1_ps(HUGE_VALF), _CMP_LT_OQ) != 0xffff) return false;
  alignas(64) float squares[lanes], most[lanes];
  _mm512_store_ps(squares, longest), _mm512_store_ps(most, largest);
  for (int k = 0; k < lanes; ++k) {
    // (Squares overflow before numbers do.)
    const double root = std::sqrt(static_cast<double>(std::min(chunk, rows_)));
    const double length =
        squares[k] < HUGE_VALF ? std::sqrt(static_cast<double>(squares[k])) : root * most[k];
    units[column + k] = codegen::unit_of(length, most[k], chunk);
  }
  return true;
}

TESSERA_AVX512 bool RowPairs::to_integers(const float* from, int64_t chunk, uint32_t* to,
                                          float* units) const {
  for (int64_t n = 0; n < columns_; n += lanes) {
    if (!measure(from, chunk, n, units)) return false;
    alignas(64) float inverse[lanes];
    for (int k = 0; k < lanes; ++k) inverse[k] = units[n + k] > 0 ? 1 / units[n + k] : 0;
    const __m512 factor = _mm512_load_ps(inverse);
    for (int64_t row = 0; row < rows_; row += 2) {
      const float* place = from + row * stride_ + n;
      const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(place), factor));
      const __m512i high =
          _mm512_cvtps_epi32(_mm512_mul_ps(row_or_zero(place + stride_, row + 1 < rows_), factor));
      _mm512_storeu_si512(to + row / 2 * columns_ + n,
                          _mm512_mask_mov_epi16(_mm512_slli_epi32(high, 16), 0x55555555, low));
    }
  }
  return true;
}

std::shared_ptr<const runtime::Kernel> make_attention_pairs(const AttentionForm& form,
                                                            codegen::Precision precision,
                                                            int threads, size_t scratch,
                                                            const KernelShop& shop) {
  const bool integers = precision == codegen::Precision::i16;
  if (!integers && precision != codegen::Precision::bf16) return nullptr;
  if (!(integers ? shop.unit.has_i16 : shop.unit.has_bf16) || shop.unit.lanes != lanes ||
      form.size % (2 * lanes) != 0 || form.value_size % lanes != 0 || form.v_column != 1)
    return nullptr;
  if (form.k_column != 1 && (integers || form.k_row != 1)) return nullptr;
  const AttentionForm f = paired(form, integers ? Kind::i16 : Kind::bf16);
  const Code code = shop.compile(key_of(f), attention_kernel(f, shop.unit));
  return std::make_shared<PairAttention>(shop, code, form, integers,
                                         codegen::attention_scratch(f, lanes), scratch, threads);
}

}  // namespace tessera::backend::cpu
