// SPDX-License-Identifier: Apache-2.0
// Consecutive integers, and arithmetic progressions made of them.
#include <array>
#include <cmath>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void iota_meaning(MeaningBuilder& b) {
  const Dims length = b.dims("length");
  const DType type = b.dtype("dtype");
  b.check(length.size() == 1, "length must be one size, found {}", length.size());
  b.check(type != DType::boolean, "numbers of type bool");
  b.output(length, [&](std::span<const Expr> i) { return ir::cast(i[0], type); });
}

constexpr double iota_limit = 1LL << 40;  // more elements than any memory holds

// max(0, ⌈(limit − start) / delta⌉) elements start + k · delta.
std::vector<Val> import_range(OnnxImport& c) {
  const DType type = c.input(0).dtype();
  // Halves are computed in f32 and rounded once, as ONNX's stash_type says.
  const DType work = type == DType::f16 || type == DType::bf16 ? DType::f32 : type;
  const auto progression = [&](const sym::Expr& length, Val start, Val delta) {
    const Val steps = c.op("iota", {}, {{"length", ir::Dims{length}}, {"dtype", work}});
    return std::vector<Val>{cast(start + steps * delta, type)};
  };
  const auto start = c.try_size(0), limit = c.try_size(1), delta = c.try_size(2);
  const auto step = delta ? delta->constant() : std::nullopt;
  if (start && limit && step && *step != 0 && *step != INT64_MIN) {
    const sym::Expr distance = *step > 0 ? *limit - *start : *start - *limit;
    sym::Expr length = sym::ceil_div(distance, *step > 0 ? *step : -*step);
    if (length.is_constant()) length = sym::max(length, 0);
    const auto number = [&](int64_t v) {
      return c.builder().constant(Tensor::from_integers(std::array{v}, {}).converted(work));
    };
    Val first = start->is_constant()
                    ? number(start->constant_part())
                    : cast(reshape(c.op("shape_of", {}, {{"dims", ir::Dims{*start}}}), {}), work);
    return progression(length, first, number(*step));
  }
  const auto number = [&](int k) {
    const Tensor value = c.value(k);
    if (value.size() != 1) c.fail("start, limit and delta must be scalars");
    return value.converted(DType::f64).float_at(0);
  };
  const double from = number(0), to = number(1), by = number(2);
  if (!is_float(type)) c.fail("delta must not be 0");
  const double length = std::ceil((to - from) / by);
  if (!(length < iota_limit)) c.fail("the number of elements is not finite");
  return progression(sym::Expr(static_cast<int64_t>(std::max(0.0, length))),
                     c.builder().scalar(from, work), c.builder().scalar(by, work));
}

void export_iota(OnnxExport& c) {
  const ir::Dims length = c.attr_dims("length");
  const auto scalar = [&](int64_t v) {
    return c.constant(Tensor::from_integers(std::array{v}, {}));
  };
  const std::string shape = c.constant(Tensor::from_integers(std::vector<int64_t>{}, {0}));
  const std::string limit = c.emit("Reshape", {c.dims(length), shape})[0];
  const std::string range = c.emit("Range", {scalar(0), limit, scalar(1)})[0];
  c.result(c.emit("Cast", {range}, {{"to", c.onnx_type(std::get<DType>(*c.attr("dtype")))}}));
}

}  // namespace

OpDef iota() {
  return {
      .name = "iota",
      .doc = "0, 1, …, length − 1 as `dtype`.",
      .inputs = {},
      .attrs = {{.name = "length", .kind = ir::AttrKind::dims},
                {.name = "dtype", .kind = ir::AttrKind::dtype, .default_value = DType::i64}},
      .meaning = iota_meaning,
      .onnx = {{.op = "Range", .since = 11, .import = import_range, .export_ = export_iota}},
      .samples = {{{}, {{"length", ir::Dims{5}}}},
                  {{}, {{"length", ir::Dims{3}}, {"dtype", DType::f16}}},
                  {{}, {{"length", ir::Dims{0}}}}},
  };
}

}  // namespace tessera::ops::records
