// SPDX-License-Identifier: Apache-2.0
// Index of the maximum along one axis.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_arg_max(Decomposition& d) {
  const Val x = d.in(0);
  const int64_t axis = d.axis("axis", x.rank());
  const Val extreme = reduce("reduce_max", x, {axis});
  const Val index =
      d.op("index_of", {x, extreme}, {{"axis", axis}, {"last", d.integer("select_last_index")}});
  return {d.flag("keepdims") ? index : squeeze(index, {axis})};
}

}  // namespace

OpDef arg_max() {
  return {
      .name = "arg_max",
      .doc = "The first (or last) index of the maximum along `axis`; a NaN counts as maximum.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis", .default_value = int64_t{0}},
                {.name = "keepdims", .default_value = int64_t{1}},
                {.name = "select_last_index", .default_value = int64_t{0}}},
      .decompose = decompose_arg_max,
      .onnx = {{.op = "ArgMax",
                .export_ =
                    [](OnnxExport& c) {
                      export_as(c, "ArgMax", {{"select_last_index", 12}});
                    }}},
      .samples = {sample({3, 5}),
                  sample({2, 3, 4}, DType::f32, {{"axis", int64_t{-1}}, {"keepdims", int64_t{0}}}),
                  sample({2, 3, 4}, DType::i32, {{"select_last_index", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
