// SPDX-License-Identifier: Apache-2.0
// Element type tables and conversions (IEEE 754-2019 binary16, bfloat16 as truncated binary32 with
// round to nearest even).
#include "types/dtype.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace tessera {
namespace {

struct TypeInfo {
  std::string_view name;
  size_t size;
};

constexpr std::array<TypeInfo, dtype_count> type_table = {{{"f32", 4},
                                                           {"f16", 2},
                                                           {"bf16", 2},
                                                           {"f64", 8},
                                                           {"i8", 1},
                                                           {"i16", 2},
                                                           {"i32", 4},
                                                           {"i64", 8},
                                                           {"u8", 1},
                                                           {"u16", 2},
                                                           {"u32", 4},
                                                           {"u64", 8},
                                                           {"bool", 1}}};

template <typename T>
T load_as(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <typename T>
void store_as(std::byte* p, T value) {
  std::memcpy(p, &value, sizeof value);
}

// Rounds a double to odd in binary32, so that a second rounding to a narrower type is exact
// (Boldo and Melquiond 2008).
float round_to_odd_f32(double value) {
  const float nearest = static_cast<float>(value);
  if (!std::isfinite(value) || !std::isfinite(nearest) || static_cast<double>(nearest) == value)
    return nearest;
  uint32_t bits = std::bit_cast<uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) bits -= 1;
  return std::bit_cast<float>(bits | 1u);
}

}  // namespace

std::string_view to_string(DType type) { return type_table[static_cast<size_t>(type)].name; }

std::optional<DType> dtype_from_string(std::string_view name) {
  for (int i = 0; i < dtype_count; ++i)
    if (type_table[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

size_t size_of(DType type) { return type_table[static_cast<size_t>(type)].size; }

int bit_width(DType t) { return t == DType::boolean ? 1 : static_cast<int>(size_of(t) * 8); }

int64_t min_integer(DType t) {
  if (!is_signed_integer(t)) return 0;
  return std::numeric_limits<int64_t>::min() >> (64 - bit_width(t));
}

int64_t max_integer(DType t) {
  if (t == DType::u64) return -1;
  const int bits = bit_width(t) - (is_signed_integer(t) ? 1 : 0);
  return static_cast<int64_t>((uint64_t{1} << bits) - 1);
}

int64_t wrap_integer(int64_t value, DType t) {
  switch (t) {
    case DType::i8: return static_cast<int8_t>(value);
    case DType::i16: return static_cast<int16_t>(value);
    case DType::i32: return static_cast<int32_t>(value);
    case DType::u8: return static_cast<uint8_t>(value);
    case DType::u16: return static_cast<uint16_t>(value);
    case DType::u32: return static_cast<uint32_t>(value);
    case DType::boolean: return value != 0;
    default: return value;
  }
}

double round_to(double value, DType t) {
  switch (t) {
    case DType::f32: return static_cast<float>(value);
    case DType::f16: return f16_to_f32(f64_to_f16(value));
    case DType::bf16: return bf16_to_f32(f32_to_bf16(round_to_odd_f32(value)));
    default: return value;
  }
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)  // NaN: keep the top payload bits, stay quiet
    return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // >= 65520
  if (magnitude < 0x38800000u) {  // subnormal half: add so that the unit in the last place is 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

uint16_t f64_to_f16(double value) { return f32_to_f16(round_to_odd_f32(value)); }

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1fu) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

uint16_t f32_to_bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  bits += 0x7fffu + ((bits >> 16) & 1u);
  return static_cast<uint16_t>(bits >> 16);
}

float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

double load_float(const std::byte* p, DType t) {
  switch (t) {
    case DType::f32: return load_as<float>(p);
    case DType::f16: return f16_to_f32(load_as<uint16_t>(p));
    case DType::bf16: return bf16_to_f32(load_as<uint16_t>(p));
    case DType::f64: return load_as<double>(p);
    default: TESSERA_CHECK(false, "{} is no float type", to_string(t));
  }
  return 0;
}

int64_t load_integer(const std::byte* p, DType t) {
  switch (t) {
    case DType::i8: return load_as<int8_t>(p);
    case DType::i16: return load_as<int16_t>(p);
    case DType::i32: return load_as<int32_t>(p);
    case DType::i64: return load_as<int64_t>(p);
    case DType::u8: return load_as<uint8_t>(p);
    case DType::u16: return load_as<uint16_t>(p);
    case DType::u32: return load_as<uint32_t>(p);
    case DType::u64: return load_as<int64_t>(p);
    case DType::boolean: return load_as<uint8_t>(p) != 0;
    default: TESSERA_CHECK(false, "{} is no integer type", to_string(t));
  }
  return 0;
}

void store_float(std::byte* p, DType t, double value) {
  switch (t) {
    case DType::f32: return store_as(p, static_cast<float>(value));
    case DType::f16: return store_as(p, f64_to_f16(value));
    case DType::bf16: return store_as(p, f32_to_bf16(round_to_odd_f32(value)));
    case DType::f64: return store_as(p, value);
    default: TESSERA_CHECK(false, "{} is no float type", to_string(t));
  }
}

void store_integer(std::byte* p, DType t, int64_t value) {
  switch (size_of(t)) {
    case 1: return store_as(p, static_cast<uint8_t>(wrap_integer(value, t)));
    case 2: return store_as(p, static_cast<uint16_t>(value));
    case 4: return store_as(p, static_cast<uint32_t>(value));
    default: return store_as(p, value);
  }
}

}  // namespace tessera
