// SPDX-License-Identifier: Apache-2.0
// Inner loops of the quick reference evaluator: one primitive over up to a block of lanes. Floats
// are doubles and integers int64, both in 8-byte slots; a uniform operand has one slot.
#pragma once

#include <cstdint>

#include "ir/scalar.h"

namespace tessera::ops::lanes {

inline constexpr int64_t block = 256;

/// What a register holds: `count` lanes or one value for all of them.
struct Slot {
  const void* data = nullptr;
  bool uniform = true;
};

/// dst = prim(a, b) over n lanes with operands of `type`; integers are wrapped. Not for select.
void apply(ir::Prim prim, DType type, void* dst, Slot a, Slot b, int64_t n);
void convert(DType from, DType to, void* dst, Slot a, int64_t n);
void select(void* dst, Slot condition, Slot a, Slot b, int64_t n);
/// Rounds doubles to f32.
void round_f32(void* data, int64_t n);
/// dst += a · b, as two roundings.
void multiply_add(double* dst, Slot a, Slot b, int64_t n);
/// dst = constant + Σ term · coefficient is made of these.
void fill(int64_t* dst, int64_t value, int64_t n);
void add_scaled(int64_t* dst, Slot a, int64_t coefficient, int64_t n);
/// dst = lanes >= limit, as 0 or 1.
void at_least(int64_t* dst, const int64_t* lanes, int64_t limit, int64_t n);
/// dst = src[offset + lanes[i]], 0 where that lies outside [0, size).
void gather(int64_t* dst, const int64_t* src, int64_t size, const int64_t* lanes, int64_t offset,
            bool is_inside, int64_t n);
/// dst |= index < 0 || index >= extent.
void mark_outside(int64_t* dst, Slot index, int64_t extent, int64_t n);
/// Bounds of the lanes, and whether each is one more than the one before.
void summarize(const int64_t* lanes, int64_t n, int64_t& low, int64_t& high, bool& contiguous);

}  // namespace tessera::ops::lanes
