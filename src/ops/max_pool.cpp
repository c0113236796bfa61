// SPDX-License-Identifier: Apache-2.0
// Maximum over sliding windows.
#include "ops/pool_form.h"

#include <limits>

namespace tessera::ops::records {
namespace {

Expr max_pool_lowest(MeaningBuilder& b, DType type) {
  return is_float(type) ? b.literal(-std::numeric_limits<double>::infinity(), type)
                        : b.pool().integer(min_integer(type), type);
}

void max_pool_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const Windows windows = pool_windows(b, x);
  b.output(pool_shape(x, windows), [&](std::span<const Expr> i) {
    return combine_window(b, x, windows, i, ir::Reduction::max, max_pool_lowest(b, x.type()));
  });
}

// The optional second output, positions of the maxima, is an operator of its own.
std::vector<Val> import_max_pool(OnnxImport& c) {
  ir::AttrMap attrs = import_pool(c);
  std::vector<Val> results{c.op("max_pool", {c.input(0)}, attrs)};
  if (c.wants_output(1)) {
    if (c.attr_int("storage_order", 0) != 0) attrs.emplace("storage_order", int64_t{1});
    results.push_back(c.op("max_pool_indices", {c.input(0), results[0]}, attrs));
  }
  return results;
}

}  // namespace

OpDef max_pool() {
  using Ints = std::vector<int64_t>;
  return {
      .name = "max_pool",
      .doc = "Maximum over sliding windows of x[N,C,…]; padding is never chosen.",
      .inputs = {{"x"}},
      .attrs = pool_attrs(),
      .meaning = max_pool_meaning,
      .onnx = {{.op = "MaxPool",
                .import = import_max_pool,
                .export_ =
                    [](OnnxExport& c) {
                      export_as(c, "MaxPool", {{"ceil_mode", 10}, {"dilations", 10}});
                    }}},
      .samples =
          {sample(
               {1, 2, 6, 6}, DType::f32,
               {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}),
           sample({1, 2, 7}, DType::f32,
                  {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"ceil_mode", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
