// SPDX-License-Identifier: Apache-2.0
// Removal of axes of extent 1.
#include <algorithm>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void squeeze_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const std::vector<int> axes = b.axes("axes", x.rank());
  Dims shape;
  std::vector<bool> removed(x.shape().size(), false);
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool named = std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (named) b.require_equal(x.dim(axis), 1, "an axis to squeeze has another extent than 1");
    removed[axis] = named || (axes.empty() && x.dim(axis) == Size(1));
    if (!removed[axis]) shape.push_back(x.dim(axis));
  }
  b.output(shape, [&](std::span<const Expr> i) {
    Indices source;
    size_t next = 0;
    for (const bool gone : removed) source.push_back(gone ? b.integer(0) : i[next++]);
    return x(source);
  });
}

// Naming no axis means all axes that are 1 now; naming them keeps the node true to its type.
std::vector<Val> import_squeeze(OnnxImport& c, std::vector<int64_t> axes) {
  const Val x = c.input(0);
  const ir::Dims shape = x.shape();
  if (axes.empty()) {
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis] == sym::Expr(1)) axes.push_back(static_cast<int64_t>(axis));
      else if (!shape[axis].is_constant())
        c.unsupported("the rank of the result depends on the size " + shape[axis].to_string());
    }
  }
  return {axes.empty() ? c.op("identity", {x}) : squeeze(x, std::move(axes))};
}

void export_squeeze(OnnxExport& c) {
  const auto& axes = std::get<std::vector<int64_t>>(*c.attr("axes"));
  if (c.opset() < 13) {
    ir::AttrMap attrs;
    if (!axes.empty()) attrs.emplace("axes", axes);
    return c.result(c.emit("Squeeze", {c.input(0)}, std::move(attrs)));
  }
  std::vector<std::string> inputs{c.input(0)};
  if (!axes.empty()) inputs.push_back(c.dims({axes.begin(), axes.end()}));
  c.result(c.emit("Squeeze", inputs));
}

}  // namespace

OpDef squeeze() {
  return {
      .name = "squeeze",
      .doc = "x without `axes`, which have extent 1; no axes: without all axes of extent 1.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axes",
                 .kind = ir::AttrKind::integers,
                 .default_value = std::vector<int64_t>{}}},
      .meaning = squeeze_meaning,
      .onnx = {{.op = "Squeeze",
                .import = [](OnnxImport& c) { return import_squeeze(c, c.attr_ints("axes", {})); },
                .export_ = export_squeeze},
               {.op = "Squeeze",
                .since = 13,
                .import =
                    [](OnnxImport& c) {
                      return import_squeeze(
                          c, c.has_input(1) ? c.integers(1) : std::vector<int64_t>{});
                    },
                .export_ = export_squeeze}},
      .samples = {sample({1, 3, 1, 5}),
                  sample({1, 3, 1}, DType::i64, {{"axes", std::vector<int64_t>{-1}}})},
  };
}

}  // namespace tessera::ops::records
