// SPDX-License-Identifier: Apache-2.0
// Rows of f32 numbers rounded to 16 bits: to bf16, or to integers in units such that sums of their
// products with the columns of another operand fit 32 bits (codegen::unit_of).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codegen/target.h"

namespace tessera::backend::cpu {

/// A row is what lies along one axis; a zero follows every row of odd length. REQUIRES: a processor
/// with AVX-512, and with AVX512_BF16 for round().
class RowRounding {
 public:
  /// The view's axis `inner` lies innermost in the result, the others in their order. Rows have
  /// `row` elements, an even number, the last ones zero; 0: as few as there can be. More are for
  /// round() only.
  RowRounding(const codegen::View& from, size_t inner, int64_t row = 0);

  int64_t rows() const { return rows_; }
  int64_t row_elements() const { return padded_; }  ///< of the result
  size_t bytes() const { return static_cast<size_t>(rows_ * padded_) * 2; }
  /// Strides of the result in elements, for the view's axes.
  const std::vector<int64_t>& strides() const { return strides_; }
  /// Whether rows are neighbours in f32, or the numbers of a row are: what integers need.
  bool is_dense() const { return stride_ == 1; }
  bool has_planes() const;

  /// Rows to bf16, to nearest even; NaN stays NaN, what is too small for a normal number becomes 0.
  /// `from` and `to` are where row 0 lies, here and below.
  void round(const float* from, uint16_t* to, int64_t begin, int64_t end) const;

  /// The sums of integers run over so many elements of a row, from a multiple of that number on,
  /// and over so many rows.
  void set_sums(int64_t elements, int64_t rows);
  /// Rows to integers, each in its unit; whether all numbers are finite. A row that has others, and
  /// its unit, are left undefined. REQUIRES: is_dense().
  bool to_integers(const float* from, uint16_t* to, float* units, int64_t begin, int64_t end) const;
  /// The largest unit of some rows; NaN when a number is not finite. REQUIRES: is_dense() or
  /// has_planes().
  float measure(const float* from, int64_t begin, int64_t end) const;
  /// Rows to integers in one unit. REQUIRES: as measure(), the unit is a number.
  void divide(const float* from, uint16_t* to, int64_t begin, int64_t end, float unit) const;

 private:
  struct Axis {
    int64_t extent = 1, stride = 0;
  };
  bool is_tight() const;  // rows as TightRows takes them
  const float* place(const float* from, int64_t row) const;
  float measure_row(const float* from, int64_t row) const;
  bool four_to_integers(const float* from, uint16_t* to, float* units, int64_t row) const;
  float unit_of(float squares, float largest) const;
  /// f(place of 16 rows or fewer, how many, the first one's number)
  template <typename F>
  void for_neighbours(const float* from, int64_t begin, int64_t end, F f) const;

  std::vector<Axis> outer_;
  std::vector<int64_t> strides_;
  int64_t rows_ = 1, count_ = 1, stride_ = 1, padded_ = 2;
  int64_t chunk_ = 1, share_ = 1;
  float unit_length_ = 0;  ///< the unit where the sums' numbers have length 1
};

}  // namespace tessera::backend::cpu
