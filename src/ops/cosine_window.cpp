// SPDX-License-Identifier: Apache-2.0
// Windows that are sums of cosines: Hann, Hamming, Blackman.
#include <array>
#include <numbers>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

// Computed in f64, because positions beyond 2048 are no halves and the window is short.
void cosine_window_meaning(MeaningBuilder& b) {
  const Dims length = b.dims("length");
  const std::vector<double> weights = b.reals("coefficients");
  const DType type = b.dtype("dtype");
  b.check(length.size() == 1, "length must be one size, found {}", length.size());
  b.check(!weights.empty(), "coefficients are empty");
  const Size period = b.flag("periodic") ? length[0] : length[0] - Size(1);
  b.output(length, [&](std::span<const Expr> i) {
    const Expr turn = ir::cast(i[0], DType::f64) / ir::cast(b.size(period), DType::f64);
    Expr total = b.literal(weights[0], DType::f64);
    for (size_t k = 1; k < weights.size(); ++k)
      total = total + weights[k] * ir::cos((2 * std::numbers::pi * static_cast<double>(k)) * turn);
    return ir::cast(total, type);
  });
}

struct CosineWindow {
  const char* op;
  std::array<double, 3> coefficients;
};
constexpr std::array cosine_windows{
    CosineWindow{"HannWindow", {0.5, -0.5, 0.0}},
    CosineWindow{"HammingWindow", {25.0 / 46, -21.0 / 46, 0.0}},
    CosineWindow{"BlackmanWindow", {0.42, -0.5, 0.08}},
};

void export_cosine_window(OnnxExport& c) {
  const auto& weights = std::get<std::vector<double>>(*c.attr("coefficients"));
  const ir::Dims length = c.attr_dims("length");
  const std::string scalar = c.constant(Tensor::from_integers(std::vector<int64_t>{}, {0}));
  for (const CosineWindow& w : cosine_windows) {
    if (!std::equal(weights.begin(), weights.end(), w.coefficients.begin(), w.coefficients.end()))
      continue;
    const std::string size = c.emit("Reshape", {c.dims(length), scalar})[0];
    return c.result(c.emit(w.op, {size},
                           {{"periodic", *c.attr("periodic")},
                            {"output_datatype", c.onnx_type(std::get<DType>(*c.attr("dtype")))}}));
  }
  c.unsupported("a window with other coefficients");
}

std::vector<OnnxForm> cosine_window_forms() {
  std::vector<OnnxForm> forms;
  for (const CosineWindow& w : cosine_windows) {
    const std::vector<double> weights(w.coefficients.begin(), w.coefficients.end());
    forms.push_back({.op = w.op,
                     .since = 17,
                     .import = [weights](OnnxImport& c) -> std::vector<Val> {
                       return {c.op("cosine_window", {},
                                    {{"length", c.dims(0)},
                                     {"coefficients", weights},
                                     {"periodic", c.attr_int("periodic", 1)},
                                     {"dtype", c.dtype_of(c.attr_int("output_datatype", 1))}})};
                     },
                     .export_ = export_cosine_window});
  }
  return forms;
}

}  // namespace

OpDef cosine_window() {
  const std::vector<double> blackman{0.42, -0.5, 0.08};
  return {
      .name = "cosine_window",
      .doc =
          "Σ_k coefficients[k] · cos(2π k n / N) for n < length, where N is the length, or one "
          "less unless `periodic`.",
      .inputs = {},
      .attrs = {{.name = "length", .kind = ir::AttrKind::dims},
                {.name = "coefficients", .kind = ir::AttrKind::reals},
                int_attr("periodic", 1),
                {.name = "dtype", .kind = ir::AttrKind::dtype, .default_value = DType::f32}},
      .meaning = cosine_window_meaning,
      .onnx = cosine_window_forms(),
      .samples = {{{}, {{"length", ir::Dims{8}}, {"coefficients", blackman}}},
                  {{},
                   {{"length", ir::Dims{5}},
                    {"coefficients", blackman},
                    {"periodic", int64_t{0}},
                    {"dtype", DType::f64}}}},
  };
}

}  // namespace tessera::ops::records
