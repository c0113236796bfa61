// SPDX-License-Identifier: Apache-2.0
// Meanings under construction: reads, reductions, broadcasting.
#include "ops/meaning_builder.h"

#include <optional>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "ops/op_def.h"

namespace tessera::ops {

DType TensorArg::type() const { return builder_->meaning_.inputs[number_].dtype; }
const Dims& TensorArg::shape() const { return builder_->meaning_.inputs[number_].shape; }

const Size& TensorArg::dim(int axis) const {
  const int r = rank();
  if (axis < -r || axis >= r)
    builder_->fail(fmt::format("input {} has rank {}, which is too small", number_, r));
  return shape()[axis < 0 ? axis + r : axis];
}

Expr TensorArg::at(std::span<const Expr> indices) const {
  // Reading with a number of indices states the rank that the operator expects.
  builder_->check(static_cast<int>(indices.size()) == rank(), "input {} has rank {}, expected {}",
                  number_, rank(), indices.size());
  return builder_->pool().read(number_, type(), indices);
}

Expr TensorArg::broadcast_at(std::span<const Expr> indices) const {
  Indices own;
  const size_t skip = indices.size() - shape().size();
  for (size_t axis = 0; axis < shape().size(); ++axis)
    own.push_back(shape()[axis] == Size(1) ? builder_->integer(0) : indices[skip + axis]);
  return at(own);
}

MeaningBuilder::MeaningBuilder(const OpDef& def, const ir::AttrMap& attrs,
                               std::span<const ir::ValueType* const> inputs)
    : AttrReader(def, attrs) {
  meaning_.pool = std::make_unique<ir::ExprPool>();
  for (const ir::ValueType* type : inputs) {
    ir::ValueType absent;
    absent.opaque = true;
    meaning_.inputs.push_back(type ? *type : absent);
  }
}

TensorArg MeaningBuilder::in(int k) {
  if (!has(k)) fail(fmt::format("input {} is missing", k));
  return {*this, static_cast<uint32_t>(k)};
}

DType MeaningBuilder::common_type(int first, int last) const {
  if (last < 0) last = input_count() - 1;
  const ir::ValueType* reference = nullptr;
  for (int k = first; k <= last; ++k) {
    if (!has(k)) continue;
    const ir::ValueType& type = meaning_.inputs[k];
    if (reference && type.dtype != reference->dtype)
      fail(fmt::format("inputs of types {} and {}", reference->to_string(), type.to_string()));
    reference = &type;
  }
  TESSERA_CHECK(reference != nullptr, "{}: no inputs", def().name);
  return reference->dtype;
}

void MeaningBuilder::output(Dims shape, const std::function<Expr(std::span<const Expr>)>& body) {
  Indices indices;
  for (uint32_t axis = 0; axis < shape.size(); ++axis) {
    if (auto extent = shape[axis].constant(); extent && *extent < 0)
      fail(fmt::format("the output's extent along axis {} would be {}", axis, *extent));
    // An axis of one element has only the index 0.
    indices.push_back(shape[axis] == Size(1) ? integer(0)
                                             : pool().variable({ir::Var::Kind::output, axis}));
  }
  const Expr element = body(indices);
  meaning_.outputs.push_back({std::move(shape), element});
}

Expr MeaningBuilder::reduce(ir::Reduction reduction, const Size& extent, const Body& body) {
  return reduce(reduction, size(extent), body);
}

Expr MeaningBuilder::reduce(ir::Reduction reduction, Expr extent, const Body& body) {
  const Expr variable = pool().fresh_variable();
  const Expr element = body(variable);
  const bool narrow = element.type() == DType::f16 || element.type() == DType::bf16;
  const bool accumulates = reduction == ir::Reduction::sum || reduction == ir::Reduction::prod;
  if (!narrow || !accumulates) return pool().reduce(reduction, variable, extent, element);
  const Expr wide = pool().reduce(reduction, variable, extent, ir::cast(element, DType::f32));
  return ir::cast(wide, element.type());
}

Expr MeaningBuilder::reduce(ir::Reduction reduction, std::span<const Size> extents,
                            const std::function<Expr(std::span<const Expr>)>& body) {
  Indices indices;
  const bool accumulates = reduction == ir::Reduction::sum || reduction == ir::Reduction::prod;
  std::optional<DType> narrow;  // then all levels work in f32 and the result is rounded once
  std::function<Expr(size_t)> nest = [&](size_t depth) -> Expr {
    if (depth == extents.size()) {
      const Expr element = body(indices);
      const DType type = element.type();
      if (!accumulates || (type != DType::f16 && type != DType::bf16)) return element;
      narrow = type;
      return ir::cast(element, DType::f32);
    }
    return reduce(reduction, extents[depth], [&](Expr i) {
      indices.push_back(i);
      const Expr inner = nest(depth + 1);
      indices.pop_back();
      return inner;
    });
  };
  const Expr result = nest(0);
  return narrow ? ir::cast(result, *narrow) : result;
}

void MeaningBuilder::require_equal(const Size& lhs, const Size& rhs, std::string message) {
  if (lhs == rhs) return;
  if ((lhs - rhs).is_constant())
    fail(fmt::format("{} ({} and {})", message, lhs.to_string(), rhs.to_string()));
  meaning_.requirements.push_back({ir::Requirement::Kind::equal, lhs, rhs, std::move(message)});
}

void MeaningBuilder::require_at_least(const Size& lhs, const Size& rhs, std::string message) {
  if (auto difference = (lhs - rhs).constant()) {
    if (*difference >= 0) return;
    fail(fmt::format("{} ({} < {})", message, lhs.to_string(), rhs.to_string()));
  }
  meaning_.requirements.push_back({ir::Requirement::Kind::at_least, lhs, rhs, std::move(message)});
}

void MeaningBuilder::fail(const std::string& message) const {
  fail_user(ErrorKind::invalid_input, "{}: {}", def().name, message);
}

ir::Meaning MeaningBuilder::finish() && {
  TESSERA_CHECK(!meaning_.outputs.empty(), "{} defines no output", def().name);
  return std::move(meaning_);
}

Expr reduction_identity(MeaningBuilder& b, ir::Reduction reduction, DType type) {
  const ir::Scalar value = ir::identity(reduction, type);
  return is_float(type) ? b.pool().real(value.real, type) : b.pool().integer(value.integer, type);
}

Dims broadcast(MeaningBuilder& b, const Dims& x, const Dims& y) {
  const Dims& longer = x.size() >= y.size() ? x : y;
  const Dims& shorter = x.size() >= y.size() ? y : x;
  Dims result = longer;
  const size_t skip = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    Size& d = result[skip + i];
    if (d == shorter[i] || shorter[i] == Size(1)) continue;
    if (d == Size(1)) {
      d = shorter[i];
      continue;
    }
    b.require_equal(
        d, shorter[i],
        fmt::format("shapes {} and {} do not broadcast", sym::to_string(x), sym::to_string(y)));
    if (shorter[i].is_constant()) d = shorter[i];
  }
  return result;
}

Dims broadcast_inputs(MeaningBuilder& b, int first, int last) {
  if (last < 0) last = b.input_count() - 1;
  Dims shape;
  for (int k = first; k <= last; ++k)
    if (b.has(k)) shape = broadcast(b, shape, b.in(k).shape());
  return shape;
}

MeaningFn elementwise(std::function<Expr(Expr)> f) {
  return [f = std::move(f)](MeaningBuilder& b) {
    const TensorArg x = b.in(0);
    b.output(x.shape(), [&](std::span<const Expr> i) { return f(x(i)); });
  };
}

MeaningFn elementwise(std::function<Expr(Expr, Expr)> f) {
  return [f = std::move(f)](MeaningBuilder& b) {
    b.common_type();
    b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
      return f(b.in(0).broadcast_at(i), b.in(1).broadcast_at(i));
    });
  };
}

MeaningFn elementwise(std::function<Expr(MeaningBuilder&, std::span<const Expr>)> f) {
  return [f = std::move(f)](MeaningBuilder& b) {
    b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
      Indices elements;
      for (int k = 0; k < b.input_count(); ++k)
        elements.push_back(b.has(k) ? b.in(k).broadcast_at(i) : Expr{});
      return f(b, elements);
    });
  };
}

}  // namespace tessera::ops
