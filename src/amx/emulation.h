// SPDX-License-Identifier: Apache-2.0
// The instructions of AMX in plain C++, so that tests of the code around them run on any processor.
// As there, shapes that do not fit each other are refused, and everything else of a tile is zero.
#pragma once

#include <array>
#include <cmath>
#include <cstring>

#include "amx/kernel.h"
#include "base/check.h"
#include "types/dtype.h"

namespace tessera::amx::emulation {

struct Tile {
  int rows = 0, row_bytes = 0;
  std::array<std::array<std::byte, 64>, 16> bytes{};
};

inline std::array<Tile, 8>& tiles() {
  static thread_local std::array<Tile, 8> own;
  return own;
}
inline Tile& tile(int32_t number) {
  Tile& t = tiles().at(static_cast<size_t>(number));
  TESSERA_CHECK(t.rows > 0 && t.row_bytes > 0, "tile {} is not configured", number);
  return t;
}

inline void configure(const void* shapes) {
  const auto* bytes = static_cast<const uint8_t*>(shapes);
  TESSERA_CHECK(bytes[0] == 1 && bytes[1] == 0, "palette {}, start {}", bytes[0], bytes[1]);
  for (size_t k = 0; k < 8; ++k) {
    Tile& t = tiles()[k] = Tile();
    t.row_bytes = bytes[16 + 2 * k] | bytes[17 + 2 * k] << 8;
    t.rows = bytes[48 + k];
    TESSERA_CHECK(t.rows <= 16 && t.row_bytes <= 64);
  }
}
inline void release() { tiles() = {}; }
inline void zero(int32_t number) { tile(number).bytes = {}; }

inline void load(int32_t number, const void* from, int64_t stride) {
  Tile& t = tile(number);
  t.bytes = {};
  for (int k = 0; k < t.rows; ++k)
    std::memcpy(t.bytes[static_cast<size_t>(k)].data(),
                static_cast<const std::byte*>(from) + k * stride, static_cast<size_t>(t.row_bytes));
}
inline void store(int32_t number, void* to, int64_t stride) {
  const Tile& t = tile(number);
  for (int k = 0; k < t.rows; ++k)
    std::memcpy(static_cast<std::byte*>(to) + k * stride, t.bytes[static_cast<size_t>(k)].data(),
                static_cast<size_t>(t.row_bytes));
}

inline void multiply(int32_t sums, int32_t rows, int32_t columns) {
  Tile &s = tile(sums), &a = tile(rows), &b = tile(columns);
  TESSERA_CHECK(s.rows == a.rows && s.row_bytes == b.row_bytes && a.row_bytes == 4 * b.rows &&
                a.row_bytes % 4 == 0 && b.row_bytes % 4 == 0 && sums != rows && sums != columns &&
                rows != columns);
  for (size_t m = 0; m < static_cast<size_t>(a.rows); ++m)
    for (size_t k = 0; k < static_cast<size_t>(b.rows); ++k)
      for (size_t n = 0; n < static_cast<size_t>(b.row_bytes) / 4; ++n) {
        uint16_t x[2], y[2];
        std::memcpy(x, &a.bytes[m][4 * k], 4);
        std::memcpy(y, &b.bytes[k][4 * n], 4);
        float sum;
        std::memcpy(&sum, &s.bytes[m][4 * n], 4);
        for (const int i : {0, 1}) sum = std::fma(bf16_to_f32(x[i]), bf16_to_f32(y[i]), sum);
        std::memcpy(&s.bytes[m][4 * n], &sum, 4);
      }
}

inline constexpr Machine machine{configure, release, zero, load, store, multiply};

}  // namespace tessera::amx::emulation
