// SPDX-License-Identifier: Apache-2.0
// A request is written down as a meaning (the record's, its bias, the operations after it), lowered
// to a tile program, and recognized as a contraction over the request's views.
#include "backend/cpu/contraction_form.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "base/check.h"
#include "codegen/tile_contraction.h"
#include "ops/op_def.h"
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
    case PostOp::Kind::quantize: break;  // of integers, which have no tiles
  }
  TESSERA_CHECK(false, "an unknown operation");
  return x;
}

// Element of source `number` where it is broadcast to the output.
Expr operand(ir::Meaning& m, const LibraryRequest& r, int number, std::span<const Expr> output) {
  const View& v = r.src[static_cast<size_t>(number)];
  std::vector<Expr> indices;
  for (size_t axis = 0; axis < v.shape.size(); ++axis)
    indices.push_back(v.shape[axis] == 1 ? m.pool->integer(0)
                                         : output[output.size() - v.shape.size() + axis]);
  return m.pool->read(static_cast<uint32_t>(number), v.dtype, indices);
}

ir::ValueType type_of(const View& v) {
  ir::ValueType type{v.dtype, ir::Dims(v.shape.begin(), v.shape.end())};
  return type;
}

bool is_absent(const LibraryRequest& r, size_t source) {
  // Only the bias may be absent; a scalar is none.
  return source == 2 && r.src[source].shape.empty();
}

ir::Meaning meaning_of(const LibraryRequest& r) {
  const bool is_product = r.op == "matmul";
  std::vector<ir::ValueType> types;
  for (const View& v : r.src) types.push_back(type_of(v));
  ops::InputTypes given;
  for (size_t k = 0; k < (is_product ? 2 : std::min<size_t>(r.src.size(), 3)); ++k)
    given.push_back(is_absent(r, k) ? nullptr : &types[k]);
  const ir::Meaning record = ops::instantiate(ops::registry().get(r.op), given, r.attrs);
  ir::Meaning m;
  m.pool = std::make_unique<ir::ExprPool>();
  for (size_t k = 0; k < types.size(); ++k) {
    types[k].opaque = is_absent(r, k);
    m.inputs.push_back(types[k]);
  }
  std::vector<Expr> output;
  for (uint32_t axis = 0; axis < r.dst.shape.size(); ++axis)
    output.push_back(m.pool->variable({ir::Var::Kind::output, axis}));
  Expr x = m.pool->import(record.outputs[0].body, output);
  const auto source = [&](int number) { return operand(m, r, number, output); };
  if (is_product && r.src.size() > 2 && !is_absent(r, 2)) x = x + source(2);
  for (const PostOp& op : r.post) x = apply(op, x, source);
  m.outputs = {{ir::Dims(r.dst.shape.begin(), r.dst.shape.end()), x}};
  return m;
}

// Whether columns are neighbours in the result, and in what is not packed.
bool fits(const Contraction& c) {
  return c.column.dst == 1 && (c.packed || c.column.b == 1 || c.column.extent == 1) &&
         std::all_of(c.column.operands.begin(), c.column.operands.end(),
                     [](int64_t stride) { return stride == 0 || stride == 1; });
}

}  // namespace

std::optional<ContractionForm> contraction_form(const LibraryRequest& r, bool are_packed,
                                                bool keep_rows) {
  if (r.op != "matmul" && r.op != "conv") return std::nullopt;
  const ir::Meaning meaning = meaning_of(r);
  std::vector<View> views;
  std::vector<int> source_of;  // by parameter
  for (size_t k = 0; k < r.src.size(); ++k)
    if (!is_absent(r, k)) views.push_back(r.src[k]), source_of.push_back(static_cast<int>(k));
  views.push_back(r.dst);
  tile::Program program;
  try {
    program = tile::lower(meaning, r.op);
  } catch (const UserError&) {
    return std::nullopt;  // what tiles do not express is left to others
  }
  are_packed = are_packed || r.constants[1];
  const auto found = codegen::contraction_of(program, views, are_packed ? 1U : tile::none,
                                             codegen::Products::sums_and_single);
  if (!found || found->a != 0 || found->b != 1) return std::nullopt;
  ContractionForm form{found->contraction, {}};
  for (uint32_t param : found->operands) form.operands.push_back(source_of[param]);
  form.contraction.packed = are_packed;
  if (!fits(form.contraction)) return std::nullopt;
  join_axes(form.contraction, keep_rows);
  return form;
}

std::optional<ProgramForm> program_form(const LibraryRequest& r) {
  const tile::Program& p = r.kernel->program;
  std::vector<View> views;
  for (const tile::Param& param : p.params) {
    const Shape shape = ir::ValueType{param.type, param.shape}.concrete_shape();
    views.push_back({param.type, shape, codegen::dense_strides(shape)});
  }
  uint32_t constant = tile::none;
  for (uint32_t k = 0; k < p.inputs && constant == tile::none; ++k)
    if (r.constants[k] && r.constants[k]->shape().size() > 1) constant = k;
  const auto found = codegen::contraction_of(p, views, constant);
  if (!found || found->a == found->b) return std::nullopt;
  // What is packed is not kept as it was.
  if (std::count(found->operands.begin(), found->operands.end(), found->b) > 0) return std::nullopt;
  ProgramForm result{
      {found->contraction, {}, static_cast<int>(found->a), static_cast<int>(found->b)}};
  Contraction& c = result.form.contraction;
  result.form.operands.assign(found->operands.begin(), found->operands.end());
  c.packed = r.constants[found->b] != nullptr;
  if (c.reduction() == 0 || c.row_count() == 0 || c.batch_count() == 0 || c.column.extent == 0 ||
      !fits(c))
    return std::nullopt;
  const auto block = [&](tile::AxisId a) {
    const auto at = r.kernel->schedule.blocks.find(a == tile::none ? "" : p.axes[a].name);
    return at == r.kernel->schedule.blocks.end() ? 0 : at->second;
  };
  result.rows = block(found->row), result.columns = block(found->column);
  join_axes(c);
  return result;
}

}  // namespace tessera::backend::cpu
