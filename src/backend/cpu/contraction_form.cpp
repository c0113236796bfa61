// SPDX-License-Identifier: Apache-2.0
// Strides of products, and epilogues as expressions.
#include "backend/cpu/contraction_form.h"

#include <cmath>
#include <functional>
#include <numbers>

#include "base/check.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"

namespace tessera::backend::cpu {
namespace {

using codegen::Contraction;
using codegen::LibraryRequest;
using codegen::PostOp;
using codegen::View;
using ir::Expr;

Expr apply(const PostOp& op, Expr x, const std::function<Expr(int)>& operand) {
  switch (op.kind) {
    case PostOp::Kind::relu: return max(x, 0);
    case PostOp::Kind::clip: {
      // A bound that is infinite bounds nothing.
      if (op.alpha > -HUGE_VAL) x = max(x, op.alpha);
      return op.beta < HUGE_VAL ? min(x, op.beta) : x;
    }
    case PostOp::Kind::linear: {
      if (op.alpha != 1) x = x * op.alpha;
      return op.beta != 0 ? x + op.beta : x;
    }
    case PostOp::Kind::sigmoid: return 1 / (exp(-x) + 1);
    case PostOp::Kind::swish: return x / (exp(-x) + 1);
    case PostOp::Kind::hard_swish: return x * (min(max(x + 3, 0), 6) * (1.0 / 6));
    case PostOp::Kind::tanh: return tanh(x);
    case PostOp::Kind::leaky_relu: return select(x > 0, x, x * op.alpha);
    case PostOp::Kind::elu: return select(x > 0, x, expm1(x) * op.alpha);
    case PostOp::Kind::gelu: return x * 0.5 * (ir::erf(x * (std::numbers::sqrt2 / 2)) + 1);
    case PostOp::Kind::gelu_tanh: {
      const Expr inner =
          (x + x * x * x * 0.044715) * (std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
      return x * 0.5 * (ir::tanh(inner) + 1);
    }
    case PostOp::Kind::add: return x + operand(op.operand);
    case PostOp::Kind::mul: return x * operand(op.operand);
  }
  TESSERA_CHECK(false, "an unknown operation");
  return x;
}

// Strides of a view whose axes are the last ones of `rank`, 0 where it is broadcast.
std::vector<int64_t> broadcast_strides(const View& v, size_t rank) {
  std::vector<int64_t> strides(rank, 0);
  const size_t skip = rank - v.shape.size();
  for (size_t axis = 0; axis < v.shape.size(); ++axis)
    if (v.shape[axis] > 1) strides[skip + axis] = v.strides[axis];
  return strides;
}

}  // namespace

std::shared_ptr<const ir::Meaning> epilogue_form(const LibraryRequest& r,
                                                 std::vector<int>& operands) {
  const bool bias = r.src.size() > 2 && !r.src[2].shape.empty();
  if (!bias && r.post.empty()) return nullptr;
  auto meaning = std::make_shared<ir::Meaning>();
  meaning->pool = std::make_unique<ir::ExprPool>();
  meaning->inputs = {{DType::f32, {}}};
  const auto operand = [&](int source) {
    operands.push_back(source);
    meaning->inputs.push_back({DType::f32, {}});
    return meaning->pool->read(static_cast<uint32_t>(operands.size()), DType::f32, {});
  };
  Expr x = meaning->pool->read(0, DType::f32, {});
  if (bias) x = x + operand(2);
  for (const PostOp& op : r.post) x = apply(op, x, operand);
  meaning->outputs = {{{}, x}};
  return meaning;
}

namespace {

std::optional<ContractionForm> product_form(const LibraryRequest& r) {
  View x = r.src[0], y = r.src[1], dst = r.dst;
  const auto insert = [](View& v, size_t at) {
    v.shape.insert(v.shape.begin() + static_cast<long>(at), 1);
    v.strides.insert(v.strides.begin() + static_cast<long>(at), 1);
  };
  const bool row = x.shape.size() == 1, column = y.shape.size() == 1;
  if (row) insert(x, 0);
  if (column) insert(y, 1);
  const size_t given_rank = dst.shape.size();
  if (row) insert(dst, given_rank - (column ? 0 : 1));
  if (column) insert(dst, dst.shape.size());
  const size_t rank = dst.shape.size();
  const std::vector<int64_t> xs = broadcast_strides(x, rank), ys = broadcast_strides(y, rank);
  ContractionForm form;
  Contraction& c = form.contraction;
  c.packed = r.constants[1] != nullptr;
  c.epilogue = epilogue_form(r, form.operands);
  std::vector<std::vector<int64_t>> operand_strides;
  for (int source : form.operands) {
    View v = r.src[static_cast<size_t>(source)];
    if (row && !column && v.shape.size() == given_rank) insert(v, given_rank - 1);
    if (column && v.shape.size() >= 1) insert(v, v.shape.size());
    if (v.shape.size() > rank) return std::nullopt;
    operand_strides.push_back(broadcast_strides(v, rank));
  }
  const auto axis = [&](size_t k) {
    Contraction::Axis a{.extent = dst.shape[k], .dst = dst.strides[k]};
    for (const auto& strides : operand_strides) a.operands.push_back(strides[k]);
    return a;
  };
  for (size_t k = 0; k + 2 < rank; ++k) {
    Contraction::Axis a = axis(k);
    a.a = xs[k], a.b = ys[k];
    (a.b != 0 ? c.batch : c.rows).push_back(std::move(a));
  }
  c.rows.push_back(axis(rank - 2));
  c.rows.back().a = xs[rank - 2];
  c.column = axis(rank - 1);
  c.column.b = ys[rank - 1];
  c.reduce = {{.extent = x.shape.back(), .a = xs[rank - 1], .b = ys[rank - 2]}};
  return form;
}

std::optional<ContractionForm> convolution_form(const LibraryRequest& r) {
  const ops::AttrReader attrs(ops::registry().get("conv"), r.attrs);
  const View &x = r.src[0], &w = r.src[1], &dst = r.dst;
  const size_t rank = dst.shape.size(), spatial = rank - 2;
  const auto list = [&](const char* name, size_t size, int64_t fallback) {
    std::vector<int64_t> values = attrs.integers(name);
    if (values.empty()) values.assign(size, fallback);
    return values;
  };
  const auto steps = list("strides", spatial, 1), dilations = list("dilations", spatial, 1),
             pads = list("pads", 2 * spatial, 0);
  const int64_t group = attrs.integer("group"), outs = dst.shape[1] / group;
  ContractionForm form;
  Contraction& c = form.contraction;
  c.packed = r.constants[1] != nullptr;
  if (!c.packed) return std::nullopt;
  c.epilogue = epilogue_form(r, form.operands);
  std::vector<std::vector<int64_t>> operand_strides;
  for (int source : form.operands) {
    View v = r.src[static_cast<size_t>(source)];
    if (source == 2) v = {v.dtype, Shape(rank, 1), std::vector<int64_t>(rank, 0)};
    operand_strides.push_back(broadcast_strides(v, rank));
    if (source == 2) operand_strides.back()[1] = 1;
  }
  const auto axis = [&](size_t k, int64_t extent) {
    Contraction::Axis a{.extent = extent, .dst = dst.strides[k]};
    for (const auto& strides : operand_strides) a.operands.push_back(strides[k]);
    return a;
  };
  if (group > 1) {
    c.batch.push_back(axis(1, group));
    c.batch[0].a = w.shape[1] * x.strides[1];
    c.batch[0].b = outs * w.strides[0];
    c.batch[0].dst *= outs;
    for (int64_t& stride : c.batch[0].operands) stride *= outs;
  }
  c.rows.push_back(axis(0, dst.shape[0]));
  c.rows[0].a = x.strides[0];
  for (size_t k = 0; k < spatial; ++k) {
    c.rows.push_back(axis(k + 2, dst.shape[k + 2]));
    c.rows.back().a = steps[k] * x.strides[k + 2];
    c.reduce.push_back(
        {.extent = w.shape[k + 2], .a = dilations[k] * x.strides[k + 2], .b = w.strides[k + 2]});
    c.a_offset -= pads[k] * x.strides[k + 2];
    const int64_t last =
        (dst.shape[k + 2] - 1) * steps[k] + (w.shape[k + 2] - 1) * dilations[k] - pads[k];
    if (pads[k] > 0 || last >= x.shape[k + 2])
      c.windows.push_back({k + 1, k, steps[k], dilations[k], -pads[k], x.shape[k + 2]});
  }
  c.reduce.push_back({.extent = w.shape[1], .a = x.strides[1], .b = w.strides[1]});
  c.column = axis(1, outs);
  c.column.b = w.strides[0];
  return form;
}

}  // namespace

std::optional<ContractionForm> contraction_form(const LibraryRequest& r) {
  std::optional<ContractionForm> form;
  if (r.op == "matmul") form = product_form(r);
  else if (r.op == "conv") form = convolution_form(r);
  if (!form) return std::nullopt;
  Contraction& c = form->contraction;
  if (c.column.extent == 1) c.column.dst = 1;
  if (c.column.dst != 1 || (!c.packed && c.column.b != 1 && c.column.extent > 1))
    return std::nullopt;
  for (size_t k = 0; k < form->operands.size(); ++k) {
    if (c.column.extent == 1) c.column.operands[k] = 0;
    if (c.column.operands[k] > 1) return std::nullopt;
  }
  join_axes(c);
  return form;
}

}  // namespace tessera::backend::cpu
