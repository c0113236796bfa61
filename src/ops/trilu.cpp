// SPDX-License-Identifier: Apache-2.0
// Triangles of matrices.
#include <array>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

void trilu_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(x.rank() >= 2, "x must have rank 2 or more, found {}", x.rank());
  const bool upper = b.flag("upper");
  const int64_t k = b.integer("k");
  const size_t row = x.shape().size() - 2;
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const Expr diagonal = i[row + 1] - i[row];
    return select(upper ? b.integer(k) <= diagonal : diagonal <= k, x(i), b.literal(0, x.type()));
  });
}

std::vector<Val> import_trilu(OnnxImport& c) {
  int64_t k = 0;
  if (c.has_input(1)) {
    const auto given = c.integers(1);
    if (given.size() != 1) c.fail("k must hold one element");
    k = given[0];
  }
  return {c.op("trilu", {c.input(0)}, {{"upper", c.attr_int("upper", 1)}, {"k", k}})};
}

void export_trilu(OnnxExport& c) {
  std::vector<std::string> inputs{c.input(0)};
  const auto k = std::get<int64_t>(*c.attr("k"));
  if (k != 0) inputs.push_back(c.constant(Tensor::from_integers(std::array{k}, {})));
  c.result(c.emit("Trilu", inputs, {{"upper", *c.attr("upper")}}));
}

}  // namespace

OpDef trilu() {
  return {
      .name = "trilu",
      .doc =
          "The last two axes' part on and above (`upper`) or on and below diagonal k; zero "
          "elsewhere.",
      .inputs = {{"x"}},
      .attrs = {int_attr("upper", 1), int_attr("k", 0)},
      .meaning = trilu_meaning,
      .traits = {},
      .onnx = {{.op = "Trilu", .since = 14, .import = import_trilu, .export_ = export_trilu}},
      .samples = {sample({4, 5}), sample({2, 3, 3}, DType::i64, {{"upper", int64_t{0}}}),
                  sample({4, 3}, DType::boolean, {{"k", int64_t{-1}}})},
  };
}

}  // namespace tessera::ops::records
