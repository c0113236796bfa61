// SPDX-License-Identifier: Apache-2.0
// Scalar and index expressions: the vocabulary in which every operator's meaning is written.
//
// An expression is a node of a hash-consed pool, so equality is identity of ids. Index variables,
// reads of tensor elements, reductions and about 40 scalar primitives are all there is; padding,
// slicing, strides and dilation are integer arithmetic on indices, and an index that contains a
// `read` is data-dependent (gather).
//
// Semantics (what every evaluator implements)
//  * Floats f16 and bf16 are computed in f32 and rounded once, where an output is stored or at a
//    `cast`; sums and products of them accumulate in f32. The float64 reference computes every
//    float in double and rounds nowhere.
//  * Integers wrap modulo 2^bits at every primitive; bool is {0,1}. `div` of integers truncates
//    toward zero and by zero gives 0; `floor_div` and `mod` round toward minus infinity.
//  * `cast` float→integer truncates, NaN gives 0, see float_to_integer(); →bool is x != 0.
//  * `min` and `max` of floats return NaN if either is NaN. Comparisons with NaN are false, `ne`
//  true.
//  * `select(c, a, b)` is lazy: only the chosen branch is evaluated, so it may guard a read.
//  * A read outside the tensor that no `select` guards: if the index holds a `read`, the user's
//    data is wrong (UserError); otherwise the meaning is (InternalError).
//  * A reduction over an empty range gives its identity: 0, 1, −∞ / lowest, +∞ / highest, and for
//    bool `max` (any) 0 and `min` (all) 1.
//
// Adding a primitive touches: the table below, eval (ops/tree_eval.cpp, ops/loop_eval.cpp),
// codegen, and later prove and tile; each is an exhaustive switch under -Werror=switch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sym/expr.h"
#include "types/dtype.h"

namespace tessera::ir {

// name, arity, result: same as the first operand unless `boolean`
// clang-format off
#define TESSERA_SCALAR_PRIMITIVES(X)                                                            \
  X(neg, 1) X(abs, 1) X(sign, 1) X(floor, 1) X(ceil, 1) X(round, 1) X(trunc, 1) X(sqrt, 1)      \
  X(exp, 1) X(expm1, 1) X(log, 1) X(log1p, 1) X(sin, 1) X(cos, 1) X(asin, 1) X(acos, 1)         \
  X(atan, 1) X(tanh, 1) X(erf, 1) X(is_nan, 1) X(logical_not, 1) X(bit_not, 1) X(add, 2)        \
  X(sub, 2) X(mul, 2) X(div, 2) X(floor_div, 2) X(mod, 2) X(fmod, 2) X(pow, 2) X(min, 2)        \
  X(max, 2) X(eq, 2) X(ne, 2) X(lt, 2) X(le, 2) X(logical_and, 2) X(logical_or, 2)              \
  X(bit_and, 2) X(bit_or, 2) X(bit_xor, 2) X(shift_left, 2) X(shift_right, 2) X(select, 3)
// clang-format on

/// `round` is to nearest even; `sign` of NaN is NaN, of ±0 is ±0; `fmod` truncates like C;
/// `shift_right` is logical on unsigned and arithmetic on signed integers.
enum class Prim : uint8_t {
#define X(name, arity) name,
  TESSERA_SCALAR_PRIMITIVES(X)
#undef X
};

std::string_view to_string(Prim prim);
std::optional<Prim> prim_from_string(std::string_view name);
int arity(Prim prim);
/// True for is_nan, comparisons and the logical connectives.
bool gives_boolean(Prim prim);

enum class Reduction : uint8_t { sum, prod, max, min };
std::string_view to_string(Reduction reduction);

enum class ExprKind : uint8_t { constant, size, variable, read, primitive, cast, reduce };

using ExprId = uint32_t;

/// An index variable. Output variables count the axes of the output that is defined; bound ones
/// belong to a reduction and are numbered by its height (1 + the height of the reductions inside),
/// so equal reductions are equal nodes; free ones exist only while an expression is built.
struct Var {
  enum class Kind : uint8_t { output, bound, free };
  Kind kind = Kind::output;
  uint32_t number = 0;
  bool operator==(const Var&) const = default;
};

struct ExprNode {
  ExprKind kind = ExprKind::constant;
  DType type = DType::i64;
  Prim prim = Prim::add;                 ///< of a primitive
  Reduction reduction = Reduction::sum;  ///< of a reduce
  Var var;                               ///< of a variable, and the variable that a reduce binds
  uint32_t input = 0;                    ///< of a read: the number of the input tensor
  int64_t bits = 0;          ///< of a constant: the integer, or the bit pattern of the double
  uint32_t size = 0;         ///< of a size: index into ExprPool::sizes()
  uint32_t height = 0;       ///< height of the reductions inside: 0 when there is none
  std::vector<ExprId> args;  ///< operands · indices of a read · {extent, body} of a reduce
};

class ExprPool;

/// Handle of an expression in a pool; overloaded operators build larger ones. Integer and float
/// literals take the type of the other operand.
struct Expr {
  ExprPool* pool = nullptr;
  ExprId id = 0;

  const ExprNode& node() const;
  DType type() const;
  bool operator==(const Expr& o) const { return id == o.id; }  // same node
};

/// Owns hash-consed expression nodes. Folds constants and removes exact identities (x·1, x+0 of
/// integers, select of a constant) as nodes are made. Not thread-safe; ids grow from operands to
/// results, so iterating ids upward visits operands first.
class ExprPool {
 public:
  ExprPool();
  ~ExprPool();
  ExprPool(const ExprPool&) = delete;
  ExprPool& operator=(const ExprPool&) = delete;

  const ExprNode& node(ExprId id) const { return nodes_[id]; }
  size_t size() const { return nodes_.size(); }
  const std::vector<sym::Expr>& sizes() const { return sizes_; }

  Expr integer(int64_t value, DType type = DType::i64);
  Expr real(double value, DType type);
  /// A literal in `type`, whichever kind it is.
  Expr literal(double value, DType type);
  /// A symbolic size (a constant when it is known), of type i64.
  Expr size_of(const sym::Expr& size);
  Expr variable(Var var);
  Expr fresh_variable();
  Expr read(uint32_t input, DType type, std::span<const Expr> indices);
  Expr primitive(Prim prim, std::span<const Expr> args);
  Expr cast(Expr value, DType type);
  /// Reduction of `body` over `variable` (made by fresh_variable) in [0, extent).
  Expr reduce(Reduction reduction, Expr variable, Expr extent, Expr body);

  /// Rebuilds `root` bottom-up. `replace` may map a node to another expression of the same type in
  /// this pool before its operands are visited; nothing means "rebuild from the operands".
  /// Bound variables are renamed apart, so replacements are never captured.
  Expr rewrite(Expr root, const std::function<std::optional<Expr>(Expr)>& replace);
  /// Copies `root` of another pool into this one, mapping output variable i to output[i] (when
  /// given) and a read of input k at indices (already copied) through `read` (when given).
  Expr import(Expr root, std::span<const Expr> output,
              const std::function<Expr(uint32_t, DType, std::span<const Expr>)>& read = {});

 private:
  Expr intern(ExprNode node);

  std::vector<ExprNode> nodes_;
  std::vector<sym::Expr> sizes_;
  std::unordered_multimap<size_t, ExprId> index_;
  uint32_t next_free_ = 0;
};

inline const ExprNode& Expr::node() const { return pool->node(id); }
inline DType Expr::type() const { return node().type; }

double real_value(const ExprNode& constant);

// Operators and functions over expressions; a literal on either side is converted.
Expr unary(Prim prim, Expr x);
Expr binary(Prim prim, Expr a, Expr b);
Expr select(Expr condition, Expr a, Expr b);
Expr cast(Expr value, DType type);

#define TESSERA_UNARY(name) \
  inline Expr name(Expr x) { return unary(Prim::name, x); }
TESSERA_UNARY(abs)
TESSERA_UNARY(sign)
TESSERA_UNARY(floor)
TESSERA_UNARY(ceil)
TESSERA_UNARY(round)
TESSERA_UNARY(trunc)
TESSERA_UNARY(sqrt)
TESSERA_UNARY(exp)
TESSERA_UNARY(expm1)
TESSERA_UNARY(log)
TESSERA_UNARY(log1p)
TESSERA_UNARY(sin)
TESSERA_UNARY(cos)
TESSERA_UNARY(asin)
TESSERA_UNARY(acos)
TESSERA_UNARY(atan)
TESSERA_UNARY(tanh)
TESSERA_UNARY(erf)
TESSERA_UNARY(is_nan)
#undef TESSERA_UNARY
inline Expr operator-(Expr x) { return unary(Prim::neg, x); }
inline Expr operator!(Expr x) { return unary(Prim::logical_not, x); }
inline Expr operator~(Expr x) { return unary(Prim::bit_not, x); }

inline Expr literal_like(Expr x, double value) { return x.pool->literal(value, x.type()); }
inline Expr literal_like(Expr x, const sym::Expr& value) {
  return cast(x.pool->size_of(value), x.type());
}

#define TESSERA_BINARY(spelling, prim)                                                         \
  inline Expr spelling(Expr a, Expr b) { return binary(Prim::prim, a, b); }                    \
  inline Expr spelling(Expr a, double b) { return binary(Prim::prim, a, literal_like(a, b)); } \
  inline Expr spelling(double a, Expr b) { return binary(Prim::prim, literal_like(b, a), b); } \
  inline Expr spelling(Expr a, int b) { return spelling(a, static_cast<double>(b)); }          \
  inline Expr spelling(int a, Expr b) { return spelling(static_cast<double>(a), b); }          \
  inline Expr spelling(Expr a, int64_t b) {                                                    \
    return binary(Prim::prim, a, literal_like(a, sym::Expr(b)));                               \
  }                                                                                            \
  inline Expr spelling(Expr a, const sym::Expr& b) {                                           \
    return binary(Prim::prim, a, literal_like(a, b));                                          \
  }                                                                                            \
  inline Expr spelling(const sym::Expr& a, Expr b) {                                           \
    return binary(Prim::prim, literal_like(b, a), b);                                          \
  }
TESSERA_BINARY(operator+, add)
TESSERA_BINARY(operator-, sub)
TESSERA_BINARY(operator*, mul)
TESSERA_BINARY(operator/, div)
TESSERA_BINARY(operator&&, logical_and)
TESSERA_BINARY(operator||, logical_or)
TESSERA_BINARY(operator<, lt)
TESSERA_BINARY(operator<=, le)
TESSERA_BINARY(eq, eq)
TESSERA_BINARY(ne, ne)
TESSERA_BINARY(min, min)
TESSERA_BINARY(max, max)
TESSERA_BINARY(pow, pow)
TESSERA_BINARY(mod, mod)
TESSERA_BINARY(fmod, fmod)
TESSERA_BINARY(floor_div, floor_div)
TESSERA_BINARY(bit_and, bit_and)
TESSERA_BINARY(bit_or, bit_or)
TESSERA_BINARY(bit_xor, bit_xor)
TESSERA_BINARY(shift_left, shift_left)
TESSERA_BINARY(shift_right, shift_right)
#undef TESSERA_BINARY
template <typename T>
Expr operator>(Expr a, const T& b) {
  if constexpr (std::is_same_v<T, Expr>) return b < a;
  else return (b < a);
}
template <typename T>
Expr operator>=(Expr a, const T& b) {
  return (b <= a);
}

}  // namespace tessera::ir
