// SPDX-License-Identifier: Apache-2.0
// Four rows are measured at a time, so that what a row needs besides its numbers is shared.
#include "backend/cpu/row_rounding.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // in GCC's own header
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <cmath>

#include "codegen/contraction.h"
#include "types/dtype.h"

namespace tessera::backend::cpu {
namespace {

#define TESSERA_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define TESSERA_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

__mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1U << std::min<int64_t>(count, 16)) - 1);
}

TESSERA_BF16 void round_row(const float* from, int64_t count, uint16_t* to) {
  int64_t k = 0;
  for (; k + 32 <= count; k += 32) {
    const __m512bh pair =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + k + 16), _mm512_loadu_ps(from + k));
    _mm512_storeu_si512(to + k, reinterpret_cast<const __m512i&>(pair));
  }
  for (; k < count; k += 16) {
    const __mmask16 mask = first_lanes(count - k);
    const __m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from + k));
    _mm256_mask_storeu_epi16(to + k, mask, reinterpret_cast<const __m256i&>(half));
  }
}

enum class Fold { sum, largest };

template <Fold fold>
TESSERA_AVX512 inline __m512 both(__m512 a, __m512 b) {
  return fold == Fold::sum ? _mm512_add_ps(a, b) : _mm512_max_ps(a, b);
}

// Lane k of each quarter: the sum, or the maximum, of the lanes of x[k].
template <Fold fold>
TESSERA_AVX512 __m512 fold_each(const __m512 (&x)[4]) {
  const __m512 ab = both<fold>(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
  const __m512 cd = both<fold>(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
  const __m512d p = _mm512_castps_pd(ab), q = _mm512_castps_pd(cd);
  __m512 all = both<fold>(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)),
                          _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
  all = both<fold>(all, _mm512_shuffle_f32x4(all, all, 0x4e));
  return both<fold>(all, _mm512_shuffle_f32x4(all, all, 0xb1));
}

// Of four rows, row k in lane k of each quarter: the largest sum of squares of a part of `chunk`
// numbers, the largest magnitude, and a sum that is finite when all numbers are.
struct RowSizes {
  __m512 squares, largest, total;
};

template <bool whole_vectors>
TESSERA_AVX512 RowSizes size_of_rows(const float* const (&rows)[4], int64_t count, int64_t chunk) {
  const __m512 zero = _mm512_setzero_ps();
  RowSizes size{zero, zero, zero};
  __m512 largest[4] = {zero, zero, zero, zero};
  for (int64_t first = 0; first < count; first += chunk) {
    const int64_t end = std::min(first + chunk, count);
    __m512 squares[4] = {zero, zero, zero, zero};
    for (int64_t k = first; k < end; k += 16)
#pragma GCC unroll 4  // the sums stay in registers
      for (int row = 0; row < 4; ++row) {
        const __m512 x = whole_vectors ? _mm512_loadu_ps(rows[row] + k)
                                       : _mm512_maskz_loadu_ps(first_lanes(end - k), rows[row] + k);
        squares[row] = _mm512_fmadd_ps(x, x, squares[row]);
        largest[row] = _mm512_max_ps(_mm512_abs_ps(x), largest[row]);
      }
    const __m512 sums = fold_each<Fold::sum>(squares);
    size.squares = _mm512_max_ps(size.squares, sums);
    size.total = _mm512_add_ps(size.total, sums);  // the maximum may lose a NaN
  }
  size.largest = fold_each<Fold::largest>(largest);
  return size;
}

TESSERA_AVX512 RowSizes size_of_rows(const float* const (&rows)[4], int64_t count, int64_t chunk) {
  return count % 16 == 0 && std::min(chunk, count) % 16 == 0
             ? size_of_rows<true>(rows, count, chunk)
             : size_of_rows<false>(rows, count, chunk);
}

TESSERA_AVX512 bool is_finite(__m512 sums) {
  return _mm512_cmp_ps_mask(sums, _mm512_set1_ps(HUGE_VALF), _CMP_LT_OQ) == 0xffff;
}

TESSERA_AVX512 void divide_row(const float* from, int64_t count, float inverse, uint16_t* to) {
  const __m512 factor = _mm512_set1_ps(inverse);
  const auto integers = [&](int64_t k) __attribute__((always_inline, target("avx512f"))) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(from + k), factor));
  };
  // Packing leaves quarters of both vectors by turns.
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  int64_t k = 0;
  for (; k + 32 <= count; k += 32) {
    const __m512i both = _mm512_packs_epi32(integers(k), integers(k + 16));
    _mm512_storeu_si512(to + k, _mm512_permutexvar_epi64(order, both));
  }
  for (; k + 16 <= count; k += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k), _mm512_cvtsepi32_epi16(integers(k)));
  if (k == count) return;
  const __mmask16 mask = first_lanes(count - k);
  const __m512i x =
      _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, from + k), factor));
  _mm256_mask_storeu_epi16(to + k, mask, _mm512_cvtsepi32_epi16(x));
}

// Rows of 1, 3, 7 or 15 numbers that follow each other without a gap, with a zero behind each in
// the result: vectors of whole rows, spread over the lanes of `mask`.
struct TightRows {
  __mmask16 mask = 0;
  int64_t numbers = 0;  // of a vector of the result
  explicit TightRows(int64_t count) {
    for (int64_t lane = 0; lane < 16; ++lane)
      if (lane % (count + 1) != count) mask = static_cast<__mmask16>(mask | 1U << lane), ++numbers;
  }
};

TESSERA_AVX512 inline __m512 spread(const TightRows& rows, const float* from, int64_t left) {
  const __mmask16 there = first_lanes(std::clamp<int64_t>(left, 0, rows.numbers));
  return _mm512_maskz_expand_ps(rows.mask, _mm512_maskz_loadu_ps(there, from));
}

// `left` numbers become `elements`: integers, or bf16 (only then that processor is needed).
template <bool integers>
TESSERA_BF16 void spread_rows(const TightRows& rows, const float* from, int64_t left,
                              int64_t elements, float inverse, uint16_t* to) {
  const __m512 factor = _mm512_set1_ps(inverse);
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  for (; elements > 0; elements -= 32, to += 32) {
    const __m512 low = spread(rows, from, left);
    const __m512 high = spread(rows, from + rows.numbers, left - rows.numbers);
    from += 2 * rows.numbers, left -= 2 * rows.numbers;
    __m512i both;
    if constexpr (integers) {
      both = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(low, factor)),
                                _mm512_cvtps_epi32(_mm512_mul_ps(high, factor)));
      both = _mm512_permutexvar_epi64(order, both);
    } else {
      const __m512bh pair = _mm512_cvtne2ps_pbh(high, low);
      both = reinterpret_cast<const __m512i&>(pair);
    }
    const __mmask32 mask = elements < 32 ? (1U << elements) - 1 : ~__mmask32{0};
    _mm512_mask_storeu_epi16(to, mask, both);
  }
}

// Numbers of 16 bits in the low halves of lanes. A unit of 0: bf16.
TESSERA_AVX512 __m512i halves(__m512 x, float inverse) {
  const __m512i low = _mm512_set1_epi32(0xffff);
  if (inverse != 0) {
    const __m512i n = _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(inverse)));
    const __m512i most = _mm512_set1_epi32(32767);
    return _mm512_and_si512(low,
                            _mm512_max_epi32(_mm512_min_epi32(n, most), _mm512_set1_epi32(-32768)));
  }
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(
      _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  return _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                               _mm512_set1_epi32(0x7fc0));
}

// `rows` rows, at most 16, that are neighbours: number k of each lies `stride` after number k − 1.
TESSERA_AVX512 void gather_rows(const float* from, int64_t rows, int64_t count, int64_t stride,
                                float inverse, uint16_t* to, int64_t padded) {
  const __mmask16 mask = first_lanes(rows);
  const auto pairs = static_cast<int>(padded / 2);
  const __m512i places =
      _mm512_mullo_epi32(_mm512_set1_epi32(pairs),
                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  for (int64_t k = 0; k < count; k += 2) {
    const float* first = from + k * stride;
    __m512i pair = halves(_mm512_maskz_loadu_ps(mask, first), inverse);
    if (k + 1 < count) {
      const __m512i second = halves(_mm512_maskz_loadu_ps(mask, first + stride), inverse);
      pair = _mm512_or_si512(pair, _mm512_slli_epi32(second, 16));
    }
    _mm512_mask_i32scatter_epi32(to + k, mask, places, pair, 4);
  }
}

// Of neighbouring rows: the largest sum of squares and magnitude; not finite when a number is.
struct Largest {
  float squares = 0, largest = 0;
};
TESSERA_AVX512 void measure_rows(const float* from, int64_t rows, int64_t count, int64_t stride,
                                 Largest& found) {
  const __mmask16 mask = first_lanes(rows);
  __m512 squares = _mm512_setzero_ps(), largest = squares;
  for (int64_t k = 0; k < count; ++k) {
    const __m512 x = _mm512_maskz_loadu_ps(mask, from + k * stride);
    squares = _mm512_fmadd_ps(x, x, squares);
    largest = _mm512_max_ps(_mm512_abs_ps(x), largest);
  }
  if (!is_finite(squares)) found.squares = HUGE_VALF;
  found.squares = std::max(found.squares, _mm512_reduce_max_ps(squares));
  found.largest = std::max(found.largest, _mm512_reduce_max_ps(largest));
}

// The largest magnitude of all; not finite when a number is not.
TESSERA_AVX512 float largest_of(const float* from, int64_t count) {
  __m512 total = _mm512_setzero_ps(), largest = total;
  for (int64_t k = 0; k < count; k += 16) {
    const __m512 x = _mm512_abs_ps(_mm512_maskz_loadu_ps(first_lanes(count - k), from + k));
    total = _mm512_add_ps(total, x);  // the maximum may lose a NaN
    largest = _mm512_max_ps(x, largest);
  }
  return is_finite(total) ? _mm512_reduce_max_ps(largest) : HUGE_VALF;
}

TESSERA_AVX512 void measure_row_of(const float* from, int64_t count, int64_t chunk,
                                   Largest& found) {
  const RowSizes size = size_of_rows({from, from, from, from}, count, chunk);
  found.squares = is_finite(size.total) ? _mm512_cvtss_f32(size.squares) : HUGE_VALF;
  found.largest = _mm512_cvtss_f32(size.largest);
}

struct FourUnits {
  float unit[4], inverse[4];
};

// False when one of the rows needs care: a number that is not finite, or a row that is very long or
// short.
TESSERA_AVX512 bool find_four_units(const float* const (&rows)[4], int64_t count, int64_t chunk,
                                    float share, float unit_length, FourUnits& found) {
  const RowSizes size = size_of_rows(rows, count, chunk);
  const __m512 squares = _mm512_mul_ps(size.squares, _mm512_set1_ps(share));
  if (!is_finite(size.total) ||
      _mm512_cmp_ps_mask(squares, _mm512_set1_ps(1e-25F), _CMP_GT_OQ) != 0xffff ||
      _mm512_cmp_ps_mask(squares, _mm512_set1_ps(1e30F), _CMP_LT_OQ) != 0xffff)
    return false;
  const __m512 unit =
      _mm512_max_ps(_mm512_mul_ps(_mm512_sqrt_ps(squares), _mm512_set1_ps(unit_length)),
                    _mm512_mul_ps(size.largest, _mm512_set1_ps(1 / 32767.0F)));
  _mm_storeu_ps(found.unit, _mm512_castps512_ps128(unit));
  const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(1), unit);
  _mm_storeu_ps(found.inverse, _mm512_castps512_ps128(inverse));
  return true;
}

float inverse_of(float unit) { return unit > 0 ? 1 / unit : 0; }

}  // namespace

RowRounding::RowRounding(const codegen::View& from, size_t inner, int64_t row)
    : strides_(from.shape.size(), 0) {
  count_ = from.shape[inner];
  stride_ = from.strides[inner];
  padded_ = row > 0 ? row : (count_ + 1) / 2 * 2;
  strides_[inner] = 1;
  for (size_t k = from.shape.size(); k-- > 0;) {
    if (k == inner) continue;
    strides_[k] = rows_ * padded_;
    rows_ *= from.shape[k];
    if (from.shape[k] != 1) outer_.insert(outer_.begin(), {from.shape[k], from.strides[k]});
  }
  // Axes that are walked like one become one.
  for (size_t k = outer_.size(); k-- > 1;) {
    if (outer_[k - 1].stride != outer_[k].stride * outer_[k].extent) continue;
    outer_[k - 1] = {outer_[k - 1].extent * outer_[k].extent, outer_[k].stride};
    outer_.erase(outer_.begin() + static_cast<long>(k));
  }
}

bool RowRounding::is_tight() const {
  return outer_.size() == 1 && stride_ == 1 && outer_[0].stride == count_ &&
         padded_ == count_ + 1 && 16 % padded_ == 0;
}

bool RowRounding::has_planes() const { return !outer_.empty() && outer_.back().stride == 1; }

const float* RowRounding::place(const float* from, int64_t row) const {
  if (outer_.size() == 1) return from + row * outer_[0].stride;
  for (size_t k = outer_.size(); k-- > 0; row /= outer_[k].extent)
    from += row % outer_[k].extent * outer_[k].stride;
  return from;
}

template <typename F>
void RowRounding::for_neighbours(const float* from, int64_t begin, int64_t end, F f) const {
  const int64_t line = outer_.back().extent;
  for (int64_t row = begin; row < end;) {
    const int64_t count = std::min({int64_t{16}, end - row, line - row % line});
    f(place(from, row), count, row);
    row += count;
  }
}

void RowRounding::round(const float* from, uint16_t* to, int64_t begin, int64_t end) const {
  if (outer_.size() == 1 && stride_ == 1 && padded_ == count_ && outer_[0].stride == count_)
    return round_row(from + begin * count_, (end - begin) * count_, to + begin * count_);
  if (is_tight())
    return spread_rows<false>(TightRows(count_), from + begin * count_, (end - begin) * count_,
                              (end - begin) * padded_, 0, to + begin * padded_);
  if (stride_ != 1 && has_planes())
    return for_neighbours(from, begin, end, [&](const float* x, int64_t rows, int64_t row) {
      gather_rows(x, rows, count_, stride_, 0, to + row * padded_, padded_);
      for (int64_t k = row; k < row + rows; ++k)
        std::fill(to + k * padded_ + count_, to + (k + 1) * padded_, uint16_t{0});
    });
  for (int64_t row = begin; row < end; ++row) {
    const float* x = place(from, row);
    uint16_t* y = to + row * padded_;
    if (stride_ == 1) round_row(x, count_, y);
    else
      for (int64_t k = 0; k < count_; ++k) y[k] = f32_to_bf16(x[k * stride_]);
    std::fill(y + count_, y + padded_, uint16_t{0});
  }
}

void RowRounding::set_sums(int64_t elements, int64_t rows) {
  chunk_ = elements;
  share_ = rows;
  unit_length_ = codegen::unit_of(1, 0.001, chunk_ * share_);
}

float RowRounding::unit_of(float squares, float largest) const {
  if (!(squares < HUGE_VALF)) return NAN;
  const double length = std::sqrt(static_cast<double>(squares) * static_cast<double>(share_));
  return codegen::unit_of(length, largest, chunk_ * share_);
}

float RowRounding::measure_row(const float* from, int64_t row) const {
  Largest found;
  measure_row_of(place(from, row), count_, chunk_, found);
  return unit_of(found.squares, found.largest);
}

float RowRounding::measure(const float* from, int64_t begin, int64_t end) const {
  if (stride_ != 1) {
    Largest found;
    for_neighbours(from, begin, end, [&](const float* x, int64_t rows, int64_t) {
      measure_rows(x, rows, count_, stride_, found);
    });
    return unit_of(found.squares, found.largest);
  }
  if (is_tight()) {  // no row is longer than one of such numbers
    const float largest = largest_of(from + begin * count_, (end - begin) * count_);
    return unit_of(static_cast<float>(count_) * largest * largest, largest);
  }
  float unit = 0;
  for (int64_t row = begin; row < end; ++row) {
    const float own = measure_row(from, row);
    if (std::isnan(own)) return NAN;
    unit = std::max(unit, own);
  }
  return unit;
}

bool RowRounding::four_to_integers(const float* from, uint16_t* to, float* units,
                                   int64_t row) const {
  const float* rows[4];
  for (int64_t k = 0; k < 4; ++k) rows[k] = place(from, row + k);
  FourUnits found;
  if (!find_four_units(rows, count_, chunk_, static_cast<float>(share_), unit_length_, found))
    return false;
  for (int64_t k = 0; k < 4; ++k) {
    units[row + k] = found.unit[k];
    uint16_t* y = to + (row + k) * padded_;
    divide_row(rows[k], count_, found.inverse[k], y);
    if (padded_ > count_) y[count_] = 0;
  }
  return true;
}

bool RowRounding::to_integers(const float* from, uint16_t* to, float* units, int64_t begin,
                              int64_t end) const {
  bool finite = true;
  for (int64_t row = begin; row < end;) {
    if (row + 4 <= end && four_to_integers(from, to, units, row)) {
      row += 4;
      continue;
    }
    const int64_t last = std::min(row + 4, end);
    for (; row < last; ++row) {
      units[row] = measure_row(from, row);
      if (std::isnan(units[row])) finite = false;
      else divide(from, to, row, row + 1, units[row]);
    }
  }
  return finite;
}

void RowRounding::divide(const float* from, uint16_t* to, int64_t begin, int64_t end,
                         float unit) const {
  const float inverse = inverse_of(unit);
  if (stride_ != 1) {
    if (inverse == 0) return std::fill(to + begin * padded_, to + end * padded_, uint16_t{0});
    return for_neighbours(from, begin, end, [&](const float* x, int64_t rows, int64_t row) {
      gather_rows(x, rows, count_, stride_, inverse, to + row * padded_, padded_);
    });
  }
  if (is_tight() && inverse != 0)
    return spread_rows<true>(TightRows(count_), from + begin * count_, (end - begin) * count_,
                             (end - begin) * padded_, inverse, to + begin * padded_);
  for (int64_t row = begin; row < end; ++row) {
    uint16_t* y = to + row * padded_;
    divide_row(place(from, row), count_, inverse, y);
    if (padded_ > count_) y[count_] = 0;
  }
}

}  // namespace tessera::backend::cpu
