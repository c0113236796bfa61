// SPDX-License-Identifier: Apache-2.0
// Constants of one element become literals of the meanings that read them.
#include "plan/passes.h"
#include "plan/rewrite.h"

namespace tessera::plan {
namespace {

const Tensor* literal(const Draft& d, ValueId v) {
  if (v == no_value || !d.values[v].constant || d.values[v].elements() != 1) return nullptr;
  return &*d.values[v].constant;
}

void inline_into(Draft& d, Step& step) {
  ir::Meaning result;
  result.pool = std::make_unique<ir::ExprPool>();
  std::vector<ValueId> src;
  std::vector<uint32_t> number(step.src.size(), 0);
  for (size_t k = 0; k < step.src.size(); ++k) {
    if (literal(d, step.src[k])) continue;
    number[k] = static_cast<uint32_t>(src.size());
    src.push_back(step.src[k]);
    result.inputs.push_back(step.meaning.inputs[k]);
  }
  Copier copier(*result.pool, d.values[step.dst[0]].shape);
  const OnRead read = [&](uint32_t input, DType type, std::span<const ir::Expr> at) {
    ir::ExprPool& pool = *result.pool;
    const Tensor* value = literal(d, step.src[input]);
    if (!value) return pool.read(number[input], type, at);
    return is_float(type) ? pool.real(value->float_at(0), type)
                          : pool.integer(value->integer_at(0), type);
  };
  const ir::MeaningOutput& output = step.meaning.outputs[0];
  result.outputs = {{output.shape, copier.copy(output.body, copier.outputs(), read)}};
  step.meaning = std::move(result);
  step.src = std::move(src);
}

}  // namespace

void inline_scalars(Draft& draft) {
  for (Step& step : draft.steps) {
    // A concatenation may become a copy of all its sources.
    if (step.kind != Step::Kind::loops || step.op == "concat") continue;
    bool any = false;
    for (ValueId v : step.src) any |= literal(draft, v) != nullptr;
    if (any) inline_into(draft, step);
  }
}

}  // namespace tessera::plan
