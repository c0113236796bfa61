// SPDX-License-Identifier: Apache-2.0
// Mean over sliding windows.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// With count_include_pad the divisor counts padding, though not what `ceil_mode` adds beyond it.
Expr average_pool_count(MeaningBuilder& b, const Windows& windows, std::span<const Expr> i,
                        bool include_pad) {
  Expr count = b.integer(1);
  for (int axis = 0; axis < windows.rank(); ++axis) {
    const bool beyond = windows.ceil && windows.strides[axis] != Size(1);
    if (beyond || (!include_pad && windows.may_leave(axis)))
      count = count * windows.elements_within(axis, i[axis + 2],
                                              include_pad ? windows.begin[axis] : Size(0),
                                              include_pad ? windows.end[axis] : Size(0));
    else count = count * windows.kernel[axis];
  }
  return count;
}

void average_pool_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(is_float(x.type()), "x must be a float tensor");
  const Windows windows = pool_windows(b, x);
  b.output(pool_shape(x, windows), [&](std::span<const Expr> i) {
    const Expr total = combine_window(b, x, windows, i, ir::Reduction::sum, b.literal(0, x.type()));
    return total / cast(average_pool_count(b, windows, i, b.flag("count_include_pad")), x.type());
  });
}

std::vector<Val> import_average_pool(OnnxImport& c) {
  ir::AttrMap attrs = import_pool(c);
  if (c.attr_int("count_include_pad", 0) != 0) attrs.emplace("count_include_pad", int64_t{1});
  return {c.op("average_pool", {c.input(0)}, attrs)};
}

}  // namespace

OpDef average_pool() {
  using Ints = std::vector<int64_t>;
  std::vector<AttrDef> attrs = pool_attrs();
  attrs.push_back({.name = "count_include_pad", .default_value = int64_t{0}});
  return {
      .name = "average_pool",
      .doc = "Mean over sliding windows of x[N,C,…], of their elements inside x or of all.",
      .inputs = {{"x"}},
      .attrs = attrs,
      .meaning = average_pool_meaning,
      .onnx = {{.op = "AveragePool",
                .import = import_average_pool,
                .export_ =
                    [](OnnxExport& c) {
                      export_as(c, "AveragePool", {{"ceil_mode", 10}, {"dilations", 19}});
                    }}},
      .samples = {sample({1, 2, 6, 6}, DType::f32,
                         {{"kernel_shape", Ints{3, 3}},
                          {"strides", Ints{2, 2}},
                          {"pads", Ints{1, 1, 1, 1}}}),
                  sample({1, 2, 7}, DType::f32,
                         {{"kernel_shape", Ints{3}},
                          {"strides", Ints{2}},
                          {"pads", Ints{1, 0}},
                          {"ceil_mode", int64_t{1}},
                          {"count_include_pad", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
