// SPDX-License-Identifier: Apache-2.0
// Lane loops, compiled for several instruction sets; products and sums are never contracted, so
// every set and the tree walker give the same bits.
#include "ops/loop_kernels.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ir/scalar_eval.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TESSERA_MULTIARCH \
  [[gnu::flatten, gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define TESSERA_MULTIARCH
#endif

// The destination may be an operand, but no other overlap occurs.
#ifdef __clang__
#define TESSERA_LANES _Pragma("clang loop vectorize(assume_safety)")
#else
#define TESSERA_LANES _Pragma("GCC ivdep")
#endif

namespace tessera::ops::lanes {
namespace {

using ir::Prim;
using ir::Scalar;

template <typename T, typename R, typename F>
inline __attribute__((always_inline)) void each(R* dst, Slot a, int64_t n, F f) {
  const T* x = static_cast<const T*>(a.data);
  TESSERA_LANES
  for (int64_t i = 0; i < n; ++i) dst[i] = f(x[i]);
}

template <typename T, typename R, typename F>
inline __attribute__((always_inline)) void each(R* dst, Slot a, Slot b, int64_t n, F f) {
  const T* x = static_cast<const T*>(a.data);
  const T* y = static_cast<const T*>(b.data);
  if (a.uniform && n > 1) {
    const T v = *x;
    TESSERA_LANES
    for (int64_t i = 0; i < n; ++i) dst[i] = f(v, y[i]);
  } else if (b.uniform && n > 1) {
    const T v = *y;
    TESSERA_LANES
    for (int64_t i = 0; i < n; ++i) dst[i] = f(x[i], v);
  } else {
    TESSERA_LANES
    for (int64_t i = 0; i < n; ++i) dst[i] = f(x[i], y[i]);
  }
}

/// False: the primitive has no quick loop.
TESSERA_MULTIARCH bool quick_real(Prim prim, void* dst, Slot a, Slot b, int64_t n) {
  auto* r = static_cast<double*>(dst);
  auto* flag = static_cast<int64_t*>(dst);
  switch (prim) {
    case Prim::neg: each<double>(r, a, n, [](double x) { return -x; }); return true;
    case Prim::abs: each<double>(r, a, n, [](double x) { return std::fabs(x); }); return true;
    case Prim::sqrt: each<double>(r, a, n, [](double x) { return std::sqrt(x); }); return true;
    case Prim::is_nan:
      each<double>(flag, a, n, [](double x) -> int64_t { return x != x; });
      return true;
    case Prim::add: each<double>(r, a, b, n, [](double x, double y) { return x + y; }); return true;
    case Prim::sub: each<double>(r, a, b, n, [](double x, double y) { return x - y; }); return true;
    case Prim::mul: each<double>(r, a, b, n, [](double x, double y) { return x * y; }); return true;
    case Prim::div: each<double>(r, a, b, n, [](double x, double y) { return x / y; }); return true;
    case Prim::min:
      each<double>(r, a, b, n, [](double x, double y) { return x < y || x != x ? x : y; });
      return true;
    case Prim::max:
      each<double>(r, a, b, n, [](double x, double y) { return x > y || x != x ? x : y; });
      return true;
    case Prim::eq:
      each<double>(flag, a, b, n, [](double x, double y) -> int64_t { return x == y; });
      return true;
    case Prim::ne:
      each<double>(flag, a, b, n, [](double x, double y) -> int64_t { return x != y; });
      return true;
    case Prim::lt:
      each<double>(flag, a, b, n, [](double x, double y) -> int64_t { return x < y; });
      return true;
    case Prim::le:
      each<double>(flag, a, b, n, [](double x, double y) -> int64_t { return x <= y; });
      return true;
    default: return false;
  }
}

using U = uint64_t;

TESSERA_MULTIARCH bool quick_integer(Prim prim, void* dst, Slot a, Slot b, int64_t n) {
  auto* r = static_cast<U*>(dst);
  switch (prim) {
    case Prim::neg: each<U>(r, a, n, [](U x) { return U{0} - x; }); return true;
    case Prim::logical_not: each<U>(r, a, n, [](U x) -> U { return x == 0; }); return true;
    case Prim::add: each<U>(r, a, b, n, [](U x, U y) { return x + y; }); return true;
    case Prim::sub: each<U>(r, a, b, n, [](U x, U y) { return x - y; }); return true;
    case Prim::mul: each<U>(r, a, b, n, [](U x, U y) { return x * y; }); return true;
    case Prim::eq: each<U>(r, a, b, n, [](U x, U y) -> U { return x == y; }); return true;
    case Prim::ne: each<U>(r, a, b, n, [](U x, U y) -> U { return x != y; }); return true;
    case Prim::logical_and:
      each<U>(r, a, b, n, [](U x, U y) -> U { return x != 0 && y != 0; });
      return true;
    case Prim::logical_or:
      each<U>(r, a, b, n, [](U x, U y) -> U { return (x | y) != 0; });
      return true;
    default: return false;
  }
}

using I = int64_t;

TESSERA_MULTIARCH bool quick_signed(Prim prim, void* dst, Slot a, Slot b, int64_t n) {
  auto* r = static_cast<I*>(dst);
  switch (prim) {
    case Prim::lt: each<I>(r, a, b, n, [](I x, I y) -> I { return x < y; }); return true;
    case Prim::le: each<I>(r, a, b, n, [](I x, I y) -> I { return x <= y; }); return true;
    case Prim::min: each<I>(r, a, b, n, [](I x, I y) { return x < y ? x : y; }); return true;
    case Prim::max: each<I>(r, a, b, n, [](I x, I y) { return x < y ? y : x; }); return true;
    default: return false;
  }
}

TESSERA_MULTIARCH void wrap(DType type, void* data, int64_t n) {
  auto* r = static_cast<int64_t*>(data);
  const Slot self{data, false};
  switch (type) {
    case DType::i8: each<I>(r, self, n, [](I x) -> I { return static_cast<int8_t>(x); }); break;
    case DType::u8: each<I>(r, self, n, [](I x) -> I { return static_cast<uint8_t>(x); }); break;
    case DType::i32: each<I>(r, self, n, [](I x) -> I { return static_cast<int32_t>(x); }); break;
    case DType::i64:
    case DType::u64: break;
    default:
      for (int64_t i = 0; i < n; ++i) r[i] = wrap_integer(r[i], type);
  }
}

int64_t step(Slot slot) { return slot.uniform ? 0 : 1; }

void slow_apply(Prim prim, DType type, void* dst, Slot a, Slot b, int64_t n) {
  const int64_t da = step(a), db = step(b);
  const bool is_unary = ir::arity(prim) == 1, boolean = ir::gives_boolean(prim);
  for (int64_t i = 0; i < n; ++i) {
    Scalar x, y;
    if (is_float(type)) {
      x.real = static_cast<const double*>(a.data)[i * da];
      if (!is_unary) y.real = static_cast<const double*>(b.data)[i * db];
    } else {
      x.integer = static_cast<const int64_t*>(a.data)[i * da];
      if (!is_unary) y.integer = static_cast<const int64_t*>(b.data)[i * db];
    }
    const Scalar result = ir::apply(prim, type, x, y);
    if (is_float(type) && !boolean) static_cast<double*>(dst)[i] = result.real;
    else static_cast<int64_t*>(dst)[i] = result.integer;
  }
}

}  // namespace

void apply(Prim prim, DType type, void* dst, Slot a, Slot b, int64_t n) {
  if (is_float(type)) {
    if (!quick_real(prim, dst, a, b, n)) slow_apply(prim, type, dst, a, b, n);
    return;
  }
  const bool is_signed = is_signed_integer(type) || type == DType::boolean;
  if (quick_integer(prim, dst, a, b, n) || (is_signed && quick_signed(prim, dst, a, b, n))) {
    if (!ir::gives_boolean(prim)) wrap(type, dst, n);
    return;
  }
  slow_apply(prim, type, dst, a, b, n);
}

void convert(DType from, DType to, void* dst, Slot a, int64_t n) {
  const auto* real = static_cast<const double*>(a.data);
  const auto* integer = static_cast<const int64_t*>(a.data);
  if (is_float(from) && to == DType::f64) {
    std::copy(real, real + n, static_cast<double*>(dst));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const Scalar x = is_float(from) ? Scalar::of(real[i]) : Scalar::of_integer(integer[i]);
    const Scalar result = ir::convert(x, from, to);
    if (is_float(to)) static_cast<double*>(dst)[i] = result.real;
    else static_cast<int64_t*>(dst)[i] = result.integer;
  }
}

TESSERA_MULTIARCH void select(void* dst, Slot condition, Slot a, Slot b, int64_t n) {
  const auto* c = static_cast<const int64_t*>(condition.data);
  const auto* x = static_cast<const int64_t*>(a.data);
  const auto* y = static_cast<const int64_t*>(b.data);
  auto* __restrict r = static_cast<int64_t*>(dst);
  if (b.uniform && !a.uniform) {
    const int64_t v = *y;
    for (int64_t i = 0; i < n; ++i) r[i] = c[i] ? x[i] : v;
  } else if (a.uniform && !b.uniform) {
    const int64_t v = *x;
    for (int64_t i = 0; i < n; ++i) r[i] = c[i] ? v : y[i];
  } else if (a.uniform) {
    const int64_t v = *x, w = *y;
    for (int64_t i = 0; i < n; ++i) r[i] = c[i] ? v : w;
  } else {
    for (int64_t i = 0; i < n; ++i) r[i] = c[i] ? x[i] : y[i];
  }
}

TESSERA_MULTIARCH void round_f32(void* data, int64_t n) {
  auto* r = static_cast<double*>(data);
  for (int64_t i = 0; i < n; ++i) r[i] = static_cast<float>(r[i]);
}

TESSERA_MULTIARCH void multiply_add(double* __restrict dst, Slot a, Slot b, int64_t n) {
  if (a.uniform) std::swap(a, b);
  const auto* x = static_cast<const double*>(a.data);
  const auto* y = static_cast<const double*>(b.data);
  if (a.uniform) {
    const double v = *x * *y;
    for (int64_t i = 0; i < n; ++i) dst[i] += v;
  } else if (b.uniform) {
    const double v = *y;
    for (int64_t i = 0; i < n; ++i) dst[i] += x[i] * v;
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i] += x[i] * y[i];
  }
}

void fill(int64_t* dst, int64_t value, int64_t n) { std::fill(dst, dst + n, value); }

TESSERA_MULTIARCH void add_scaled(int64_t* __restrict dst, Slot a, int64_t coefficient, int64_t n) {
  const auto* x = static_cast<const int64_t*>(a.data);
  const auto c = static_cast<U>(coefficient);
  const auto plus = [](int64_t v, U w) { return static_cast<int64_t>(static_cast<U>(v) + w); };
  if (a.uniform) {
    const U v = static_cast<U>(*x) * c;
    for (int64_t i = 0; i < n; ++i) dst[i] = plus(dst[i], v);
  } else if (coefficient == 1) {
    for (int64_t i = 0; i < n; ++i) dst[i] = plus(dst[i], static_cast<U>(x[i]));
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i] = plus(dst[i], static_cast<U>(x[i]) * c);
  }
}

TESSERA_MULTIARCH void at_least(int64_t* __restrict dst, const int64_t* lanes, int64_t limit,
                                int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = lanes[i] >= limit;
}

TESSERA_MULTIARCH void gather(int64_t* __restrict dst, const int64_t* src, int64_t size,
                              const int64_t* lanes, int64_t offset, bool is_inside, int64_t n) {
  if (size == 0) {
    std::fill(dst, dst + n, 0);
  } else if (is_inside) {
    for (int64_t i = 0; i < n; ++i) dst[i] = src[offset + lanes[i]];
  } else {
    for (int64_t i = 0; i < n; ++i) {
      const U at = static_cast<U>(offset) + static_cast<U>(lanes[i]);
      dst[i] = at < static_cast<U>(size) ? src[at] : 0;
    }
  }
}

void mark_outside(int64_t* dst, Slot index, int64_t extent, int64_t n) {
  const auto* x = static_cast<const int64_t*>(index.data);
  const int64_t d = step(index);
  for (int64_t i = 0; i < n; ++i) dst[i] |= x[i * d] < 0 || x[i * d] >= extent;
}

TESSERA_MULTIARCH void summarize(const int64_t* lanes, int64_t n, int64_t& low, int64_t& high,
                                 bool& contiguous) {
  int64_t smallest = lanes[0], largest = lanes[0], gaps = 0;
  for (int64_t i = 0; i < n; ++i) {
    smallest = std::min(smallest, lanes[i]);
    largest = std::max(largest, lanes[i]);
    gaps |= static_cast<int64_t>(static_cast<U>(lanes[i]) - static_cast<U>(lanes[0])) ^ i;
  }
  low = smallest;
  high = largest;
  contiguous = gaps == 0;
}

}  // namespace tessera::ops::lanes
