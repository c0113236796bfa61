// SPDX-License-Identifier: Apache-2.0
// Triangular filters on the mel scale.
#include <cmath>
#include <numbers>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

// The spectrogram bin of mel point k, as an integer in f64.
Expr mel_bin(MeaningBuilder& b, Expr k) {
  const auto mel = [](double hertz) { return 2595 * std::log1p(hertz / 700) / std::numbers::ln10; };
  const double low = mel(b.real("lower_edge")), high = mel(b.real("upper_edge"));
  const auto bins = static_cast<double>(b.integer("mel_bins"));
  const double step = (high - low) / (bins + 2);
  const Expr at = ir::cast(k, DType::f64) * step + low;
  const Expr hertz = 700 * ir::expm1(at / 2595 * std::numbers::ln10);
  const auto scale = static_cast<double>(b.integer("dft_length") + 1);
  return ir::floor(scale * hertz / static_cast<double>(b.integer("sample_rate")));
}

void mel_weight_matrix_meaning(MeaningBuilder& b) {
  const int64_t bins = b.integer("mel_bins"), length = b.integer("dft_length");
  b.check(bins >= 0 && length >= 0 && b.integer("sample_rate") > 0,
          "mel_bins = {}, dft_length = {}, sample_rate = {}", bins, length,
          b.integer("sample_rate"));
  const DType type = b.dtype("dtype");
  b.output2(length / 2 + 1, bins, [&](Expr i, Expr j) {
    const Expr low = mel_bin(b, j), centre = mel_bin(b, j + 1), high = mel_bin(b, j + 2);
    const Expr at = ir::cast(i, DType::f64), zero = literal_like(at, 0);
    const Expr rising = select(low <= at && at <= centre, (at - low) / (centre - low), zero);
    const Expr left = select(ir::eq(low, centre), ir::cast(ir::eq(at, centre), DType::f64), rising);
    const Expr falling = (high - at) / (high - centre);
    return ir::cast(select(centre <= at && at < high, falling, left), type);
  });
}

double mel_scalar(OnnxImport& c, int k) {
  const Tensor value = c.value(k);
  if (value.size() != 1) c.fail("the inputs must be scalars");
  return value.converted(DType::f64).float_at(0);
}

std::vector<Val> import_mel_weight_matrix(OnnxImport& c) {
  const auto integer = [&](int k) { return static_cast<int64_t>(mel_scalar(c, k)); };
  return {c.op("mel_weight_matrix", {},
               {{"mel_bins", integer(0)},
                {"dft_length", integer(1)},
                {"sample_rate", integer(2)},
                {"lower_edge", mel_scalar(c, 3)},
                {"upper_edge", mel_scalar(c, 4)},
                {"dtype", c.dtype_of(c.attr_int("output_datatype", 1))}})};
}

void export_mel_weight_matrix(OnnxExport& c) {
  std::vector<std::string> inputs;
  for (const char* name : {"mel_bins", "dft_length", "sample_rate"})
    inputs.push_back(
        c.constant(Tensor::from_integers(std::vector{std::get<int64_t>(*c.attr(name))}, {})));
  for (const char* name : {"lower_edge", "upper_edge"})
    inputs.push_back(
        c.constant(Tensor::from_floats(std::vector{std::get<double>(*c.attr(name))}, {})));
  c.result(c.emit("MelWeightMatrix", inputs,
                  {{"output_datatype", c.onnx_type(std::get<DType>(*c.attr("dtype")))}}));
}

}  // namespace

OpDef mel_weight_matrix() {
  const ir::AttrMap attrs{{"mel_bins", int64_t{4}},
                          {"dft_length", int64_t{16}},
                          {"sample_rate", int64_t{8192}},
                          {"lower_edge", 0.0},
                          {"upper_edge", 4096.0}};
  return {
      .name = "mel_weight_matrix",
      .doc =
          "Triangular filters, evenly spaced on the mel scale between two frequencies, as a "
          "matrix from spectrogram bins to mel bins.",
      .inputs = {},
      .attrs = {{.name = "mel_bins"},
                {.name = "dft_length"},
                {.name = "sample_rate"},
                {.name = "lower_edge", .kind = ir::AttrKind::real},
                {.name = "upper_edge", .kind = ir::AttrKind::real},
                {.name = "dtype", .kind = ir::AttrKind::dtype, .default_value = DType::f32}},
      .meaning = mel_weight_matrix_meaning,
      .onnx = {{.op = "MelWeightMatrix",
                .since = 17,
                .import = import_mel_weight_matrix,
                .export_ = export_mel_weight_matrix}},
      .samples = {{{}, attrs}},
  };
}

}  // namespace tessera::ops::records
