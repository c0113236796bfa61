// SPDX-License-Identifier: Apache-2.0
// Pairs of numbers that the reduction takes together lie side by side in a lane.
#include "backend/cpu/activation_pairs.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // in GCC's own header
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <array>

#include "backend/cpu/parallel.h"
#include "backend/cpu/row_rounding.h"
#include "base/check.h"
#include "codegen/loop_kernel.h"

namespace tessera::backend::cpu {
namespace {

using codegen::Contraction;
using codegen::ContractionSchedule;
using codegen::LibraryRequest;

#define TESSERA_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

constexpr size_t most_operands = 14;
constexpr int64_t lanes = 16;

__mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1U << std::clamp<int64_t>(count, 0, lanes)) - 1);
}

TESSERA_BF16 inline __m512i to_bf16(__m512 low, __m512 high) {
  const __m512bh both = _mm512_cvtne2ps_pbh(high, low);
  return reinterpret_cast<const __m512i&>(both);
}

// Column k of x becomes its row k.
TESSERA_BF16 void transpose(__m512i (&x)[lanes]) {
  __m512i y[lanes];
  for (int k = 0; k < lanes; k += 2) {
    y[k] = _mm512_unpacklo_epi32(x[k], x[k + 1]);
    y[k + 1] = _mm512_unpackhi_epi32(x[k], x[k + 1]);
  }
  for (int k = 0; k < lanes; k += 4)
    for (int j = 0; j < 2; ++j) {
      x[k + 2 * j] = _mm512_unpacklo_epi64(y[k + j], y[k + j + 2]);
      x[k + 2 * j + 1] = _mm512_unpackhi_epi64(y[k + j], y[k + j + 2]);
    }
  for (int k = 0; k < 4; ++k) {
    y[k] = _mm512_shuffle_i32x4(x[k], x[k + 4], 0x88);
    y[k + 4] = _mm512_shuffle_i32x4(x[k], x[k + 4], 0xdd);
    y[k + 8] = _mm512_shuffle_i32x4(x[k + 8], x[k + 12], 0x88);
    y[k + 12] = _mm512_shuffle_i32x4(x[k + 8], x[k + 12], 0xdd);
  }
  for (int k = 0; k < 8; ++k) {
    x[k] = _mm512_shuffle_i32x4(y[k], y[k + 8], 0x88);
    x[k + 8] = _mm512_shuffle_i32x4(y[k], y[k + 8], 0xdd);
  }
}

class ActivationKernel : public runtime::Kernel {
 public:
  ActivationKernel(const KernelShop& shop, Code code, const Contraction& c,
                   const ContractionSchedule& s, RowRounding rounding, std::vector<int> operands,
                   int threads)
      : jit_(shop.jit),
        code_(std::move(code)),
        rounding_(std::move(rounding)),
        packing_(c, s),
        operands_(std::move(operands)),
        implementation_("bf16 tiles " + s.to_string() + " of activations"),
        matrices_(c.batch_count()),
        rows_(c.row_count()),
        b_stride_(c.batch.empty() ? 0 : c.batch[0].b) {
    tasks_ = cut_tiles(c, s).tasks / matrices_;
    packed_floats_ = codegen::packed_elements(c, s) / matrices_;
    const double bytes = 4.0 * static_cast<double>(c.reduction() * c.column.extent);
    threads_ = std::min(threads, useful_threads(product_nanoseconds(c.flops() / 2, bytes)));
    if (threads_ == 1) slots_ = 1;
    else if (matrices_ >= threads_) slots_ = std::min<int64_t>(matrices_, 4 * int64_t{threads_});
  }

  std::string implementation() const override { return implementation_; }
  size_t scratch_bytes() const override {
    return static_cast<size_t>(std::max<int64_t>(slots_, 1)) * slot_bytes();
  }

  void run(const runtime::KernelArgs& args) const override {
    TESSERA_CHECK(code_->run, "a kernel is run before it is finished");
    const int threads = std::min(args.threads, threads_);
    if (slots_ == 0) {
      for (int64_t matrix = 0; matrix < matrices_; ++matrix)
        run_matrix(args, matrix, args.scratch, threads);
      return;
    }
    parallel_for(threads, slots_, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot)
        for (int64_t k = matrices_ * slot / slots_; k < matrices_ * (slot + 1) / slots_; ++k)
          run_matrix(args, k, args.scratch + static_cast<size_t>(slot) * slot_bytes(), 1);
    });
  }

 private:
  size_t packed_bytes() const { return static_cast<size_t>(packed_floats_) * sizeof(float); }
  // Packed numbers are whole lines.
  size_t slot_bytes() const {
    const auto rows = static_cast<size_t>(rows_ * rounding_.row_elements()) * 2;
    return packed_bytes() + (rows + 63) / 64 * 64;
  }

  template <typename F>
  static void share(int threads, int64_t count, F f) {
    if (threads == 1) f(int64_t{0}, count);
    else parallel_for(threads, count, f);
  }

  void run_matrix(const runtime::KernelArgs& args, int64_t matrix, std::byte* scratch,
                  int threads) const {
    auto* packed = reinterpret_cast<float*>(scratch);
    const float* b = reinterpret_cast<const float*>(args.src[1]) + matrix * b_stride_;
    // Where row 0 of the first matrix would lie.
    auto* rows = reinterpret_cast<uint16_t*>(scratch + packed_bytes()) -
                 matrix * rows_ * rounding_.row_elements();
    share(threads, packing_.panels(),
          [&](int64_t begin, int64_t end) { packing_.pack(b, packed, begin, end); });
    share(threads, rows_, [&](int64_t begin, int64_t end) {
      rounding_.round(reinterpret_cast<const float*>(args.src[0]), rows, matrix * rows_ + begin,
                      matrix * rows_ + end);
    });
    std::array<const std::byte*, most_operands + 2> src{
        reinterpret_cast<const std::byte*>(rows),
        reinterpret_cast<const std::byte*>(packed - matrix * packed_floats_)};
    for (size_t k = 0; k < operands_.size(); ++k)
      src[k + 2] = args.src[static_cast<size_t>(operands_[k])];
    share(threads, tasks_, [&](int64_t begin, int64_t end) {
      code_->run(src.data(), args.dst, matrix * tasks_ + begin, matrix * tasks_ + end);
    });
  }

  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  Code code_;
  RowRounding rounding_;
  PairPacking packing_;
  std::vector<int> operands_;
  std::string implementation_;
  int64_t matrices_, rows_, b_stride_, tasks_ = 0, packed_floats_ = 0;
  int64_t slots_ = 0;  // parts of the batch with scratch of their own; 0: threads share each matrix
  int threads_ = 1;
};

// Whether rounded rows, and the matrices of b, follow each other as the kernel takes them.
bool follows(const Contraction& c, int64_t row) {
  if (c.batch.size() > 1 || c.rows.size() != 1 || c.reduce.size() != 1 || c.a_offset != 0)
    return false;
  if (c.rows[0].extent > 1 && c.rows[0].a != row) return false;
  return c.batch.empty() || (c.batch[0].a == c.rows[0].extent * row && c.batch[0].b != 0);
}

}  // namespace

PairPacking::PairPacking(const Contraction& c, const ContractionSchedule& s)
    : columns_(c.column.extent),
      pairs_(c.reduce[0].extent),
      numbers_(c.pairs->numbers),
      along_(c.pairs->b),
      across_(c.column.b) {
  TESSERA_CHECK(along_ == 1 || across_ == 1 || columns_ == 1);
  const codegen::ContractionTiles t = cut_tiles(c, s);
  panels_ = t.panels, panel_width_ = t.panel_width, last_width_ = t.last_width;
}

void PairPacking::pack(const float* b, float* to, int64_t begin, int64_t end) const {
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * panel_width_;
    const int64_t width = panel + 1 < panels_ ? panel_width_ : last_width_;
    const int64_t count = std::min(width, columns_ - first);
    float* place = to + first * pairs_;
    if (across_ == 1) pack_columns(b + first, place, width, count);
    else pack_rows(b + first * across_, place, width, count);
  }
}

// Two rows of b are interleaved.
TESSERA_BF16 void PairPacking::pack_columns(const float* b, float* to, int64_t width,
                                            int64_t count) const {
  alignas(64) uint16_t order[2 * lanes];
  for (int k = 0; k < lanes; ++k)
    order[2 * k] = static_cast<uint16_t>(k), order[2 * k + 1] = static_cast<uint16_t>(lanes + k);
  const __m512i interleaved = _mm512_load_si512(order);
  for (int64_t pair = 0; pair < pairs_; ++pair) {
    const float* low = b + 2 * pair * along_;
    const bool has_high = 2 * pair + 1 < numbers_;
    for (int64_t n = 0; n < width; n += lanes) {
      const __mmask16 mask = first_lanes(count - n);
      const __m512 x = _mm512_maskz_loadu_ps(mask, low + n);
      const __m512 y = _mm512_maskz_loadu_ps(has_high ? mask : __mmask16{0}, low + along_ + n);
      _mm512_store_si512(to + pair * width + n,
                         _mm512_permutexvar_epi16(interleaved, to_bf16(x, y)));
    }
  }
}

// Sixteen pairs of sixteen columns are transposed.
TESSERA_BF16 void PairPacking::pack_rows(const float* b, float* to, int64_t width,
                                         int64_t count) const {
  for (int64_t n = 0; n < width; n += lanes)
    for (int64_t pair = 0; pair < pairs_; pair += lanes) {
      __m512i x[lanes];
      const int64_t left = numbers_ - 2 * pair;
      const __mmask16 low = first_lanes(left), high = first_lanes(left - lanes);
      for (int64_t k = 0; k < lanes; ++k) {
        const float* from = b + (n + k) * across_ + 2 * pair;
        const bool is_there = n + k < count;
        x[k] = to_bf16(_mm512_maskz_loadu_ps(is_there ? low : __mmask16{0}, from),
                       _mm512_maskz_loadu_ps(is_there ? high : __mmask16{0}, from + lanes));
      }
      transpose(x);
      for (int64_t k = 0; k < std::min(lanes, pairs_ - pair); ++k)
        _mm512_store_si512(to + (pair + k) * width + n, x[k]);
    }
}

std::shared_ptr<const runtime::Kernel> make_activation_pairs(const LibraryRequest& r,
                                                             const KernelShop& shop) {
  if (!shop.unit.has_bf16 || r.op != "matmul" || r.constants[1] || r.src[0].shape.empty())
    return nullptr;
  LibraryRequest rounded = r;
  RowRounding rounding(r.src[0], r.src[0].shape.size() - 1);
  if (!rounding.is_dense()) return nullptr;
  rounded.src[0].strides = rounding.strides();
  std::optional<ContractionForm> form = contraction_form(rounded, true);
  if (!form || form->contraction.reduction() == 0 || form->operands.size() > most_operands ||
      form->contraction.row_count() == 0 || form->contraction.batch_count() == 0 ||
      form->contraction.column.extent < shop.unit.lanes || shop.unit.lanes != lanes ||
      !follows(form->contraction, rounding.row_elements()))
    return nullptr;
  const std::optional<Contraction> c = pair_up(form->contraction, Contraction::Pairs::Kind::bf16);
  if (!c || (c->pairs->b != 1 && c->column.b != 1)) return nullptr;
  ContractionSchedule s = choose_schedule(*c, shop.unit);
  s.columns_outer = s.prefetch = s.batch_inner = false;  // all of a matrix is near
  return std::make_shared<ActivationKernel>(
      shop, shop.compile(key_of(*c, s), contraction_kernel(*c, s)), *c, s, std::move(rounding),
      std::move(form->operands), r.threads);
}

}  // namespace tessera::backend::cpu
