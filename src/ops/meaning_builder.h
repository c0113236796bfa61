// SPDX-License-Identifier: Apache-2.0
// What an operator record writes its meaning with: inputs that are called with indices, reductions
// that are called with a body, and outputs with a shape.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "ir/meaning.h"
#include "ops/attr_reader.h"

namespace tessera::ops {

using ir::Dims;
using ir::Expr;
using Size = sym::Expr;
using Indices = std::vector<Expr>;

class MeaningBuilder;

/// An input tensor inside a meaning: `x(i, j)` reads an element.
class TensorArg {
 public:
  TensorArg(MeaningBuilder& builder, uint32_t number) : builder_(&builder), number_(number) {}

  DType type() const;
  const Dims& shape() const;
  int rank() const { return static_cast<int>(shape().size()); }
  /// Extent of an axis; negative axes count from the end.
  const Size& dim(int axis) const;
  /// The element at `indices`. REQUIRES: one i64 index per axis.
  Expr at(std::span<const Expr> indices) const;
  template <typename... Index>
  Expr operator()(Index... index) const {
    const std::array<Expr, sizeof...(Index)> indices{index...};
    return at(indices);
  }
  Expr operator()(const Indices& indices) const { return at(indices); }
  Expr operator()(std::span<const Expr> indices) const { return at(indices); }
  /// Reads at output indices under NumPy broadcasting: axes align at the end, and an axis of
  /// extent 1 is read at 0.
  Expr broadcast_at(std::span<const Expr> indices) const;

 private:
  MeaningBuilder* builder_;
  uint32_t number_;
};

/// Collects the outputs and requirements of one operator instance. Inputs that are absent have
/// `has(k) == false`.
class MeaningBuilder : public AttrReader {
 public:
  MeaningBuilder(const OpDef& def, const ir::AttrMap& attrs,
                 std::span<const ir::ValueType* const> inputs);

  int input_count() const { return static_cast<int>(meaning_.inputs.size()); }
  bool has(int k) const { return k < input_count() && !meaning_.inputs[k].opaque; }
  TensorArg in(int k);
  /// The element type that all of the given present inputs share; UserError if they differ.
  DType common_type(int first = 0, int last = -1) const;

  /// Defines the next output: `body` receives one index per axis and returns the element.
  void output(Dims shape, const std::function<Expr(std::span<const Expr>)>& body);
  /// Several indices at once: `[&](Expr i, Expr j) {…}` for a known rank.
  template <typename Body>
  void output2(Size n, Size m, Body body) {
    output({std::move(n), std::move(m)}, [&](std::span<const Expr> i) { return body(i[0], i[1]); });
  }

  using Body = std::function<Expr(Expr)>;
  /// Reductions over [0, extent). `sum` and `prod` of f16 and bf16 accumulate in f32 and are
  /// rounded back once. An extent may be an expression of outer indices (triangular sums).
  Expr sum(const Size& extent, const Body& body) {
    return reduce(ir::Reduction::sum, extent, body);
  }
  Expr prod(const Size& extent, const Body& body) {
    return reduce(ir::Reduction::prod, extent, body);
  }
  Expr max(const Size& extent, const Body& body) {
    return reduce(ir::Reduction::max, extent, body);
  }
  Expr min(const Size& extent, const Body& body) {
    return reduce(ir::Reduction::min, extent, body);
  }
  Expr reduce(ir::Reduction reduction, const Size& extent, const Body& body);
  Expr reduce(ir::Reduction reduction, Expr extent, const Body& body);
  /// Nested reductions over several extents; `body` receives one index per extent.
  Expr reduce(ir::Reduction reduction, std::span<const Size> extents,
              const std::function<Expr(std::span<const Expr>)>& body);

  Expr integer(int64_t value) { return pool().integer(value); }
  Expr literal(double value, DType type) { return pool().literal(value, type); }
  Expr size(const Size& size) { return pool().size_of(size); }
  ir::ExprPool& pool() { return *meaning_.pool; }
  using AttrReader::integer;

  /// States a condition on sizes. Decided now when both sides are known (UserError if it fails).
  void require_equal(const Size& lhs, const Size& rhs, std::string message);
  void require_at_least(const Size& lhs, const Size& rhs, std::string message);
  /// Throws UserError naming the operator unless `condition` holds (ranks, attributes, types).
  template <typename... Args>
  void check(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) fail(fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail(const std::string& message) const;

  ir::Meaning finish() &&;

 private:
  friend class TensorArg;
  ir::Meaning meaning_;
};

/// What a reduction over nothing gives: 0, 1, −∞ or the lowest value, +∞ or the highest.
Expr reduction_identity(MeaningBuilder& b, ir::Reduction reduction, DType type);

/// NumPy broadcasting of two shapes; symbolic dimensions must be equal or 1 (a requirement is
/// recorded where that cannot be decided).
Dims broadcast(MeaningBuilder& b, const Dims& x, const Dims& y);
/// Broadcast shape of inputs [first, last] (last = -1: all).
Dims broadcast_inputs(MeaningBuilder& b, int first = 0, int last = -1);

using MeaningFn = std::function<void(MeaningBuilder&)>;

/// out = f(x) elementwise.
MeaningFn elementwise(std::function<Expr(Expr)> f);
/// out = f(x, y) elementwise under broadcasting; both inputs have one type.
MeaningFn elementwise(std::function<Expr(Expr, Expr)> f);
/// As above with attributes: `f` receives the builder and the inputs' elements.
MeaningFn elementwise(std::function<Expr(MeaningBuilder&, std::span<const Expr>)> f);

}  // namespace tessera::ops
