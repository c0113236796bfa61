// SPDX-License-Identifier: Apache-2.0
// Logarithm of the sum of exponentials over axes.
#include "ops/reduce_form.h"

#include <limits>

namespace tessera::ops::records {
namespace {

// m + log Σ exp(x − m) with m the maximum, or 0 where the maximum is infinite.
std::vector<Val> decompose_reduce_log_sum_exp(Decomposition& d) {
  const Val x = d.in(0);
  const auto axes = d.integers("axes");
  const DType type = x.dtype();
  const DType work = is_float(type) ? type : DType::f64;
  const Val wide = cast(x, work);
  const Val m = reduce("reduce_max", wide, axes);
  const Val infinite =
      d.op("equal", {d.op("abs", {m}), d.scalar(std::numeric_limits<double>::infinity(), work)});
  const Val shift = where(infinite, d.scalar(0, work), m);
  Val result = log(reduce("reduce_sum", exp(wide - shift), axes)) + shift;
  if (!d.flag("keepdims")) {
    std::vector<int64_t> dropped = axes;
    for (int axis = 0; axes.empty() && axis < x.rank(); ++axis) dropped.push_back(axis);
    result = squeeze(result, dropped);
  }
  return {cast(result, type)};
}

}  // namespace

OpDef reduce_log_sum_exp() {
  const std::vector<int64_t> last{-1};
  return {
      .name = "reduce_log_sum_exp",
      .doc = "log Σ exp(x) over `axes` (empty: all), shifted by the maximum.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axes",
                 .kind = ir::AttrKind::integers,
                 .default_value = std::vector<int64_t>{}},
                {.name = "keepdims", .default_value = int64_t{1}}},
      .decompose = decompose_reduce_log_sum_exp,
      .onnx = reduction_forms("reduce_log_sum_exp", "ReduceLogSumExp", 18),
      .samples = {sample({3, 5}),
                  sample({2, 3, 4}, DType::f32, {{"axes", last}, {"keepdims", int64_t{0}}})},
  };
}

}  // namespace tessera::ops::records
