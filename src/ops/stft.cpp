// SPDX-License-Identifier: Apache-2.0
// Short-time Fourier transform.
#include <optional>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_stft(Decomposition& d) {
  const Val x = d.in(0);
  d.check(x.rank() == 3, "the signal must be [batch, length, 1 or 2], found rank {}", x.rank());
  const int64_t step = d.integer("frame_step"), length = d.integer("frame_length");
  d.check(step >= 1 && length >= 1, "frame_step = {} and frame_length = {}", step, length);
  sym::Expr width = length;
  if (d.has(1)) width = d.in(1).dim(0);
  const auto spare = (sym::Expr(length) - width).constant();
  d.check(spare && *spare >= 0, "the window is longer than a frame");
  const sym::Expr frames = sym::floor_div(x.dim(1) - sym::Expr(length), step) + sym::Expr(1);
  if (frames.is_constant()) d.check(frames.constant_part() >= 1, "the signal is too short");
  const auto count = [&](const sym::Expr& n) {
    return d.op("iota", {}, {{"length", ir::Dims{n}}});
  };
  const Val begins = unsqueeze(count(frames) * static_cast<double>(step), {1});
  Val cut = d.op("gather", {x, begins + count(width)}, {{"axis", int64_t{1}}});
  if (d.has(1)) cut = cut * unsqueeze(d.in(1), {1});
  return {d.op(
      "dft", {cut},
      {{"axis", int64_t{2}}, {"length", ir::Dims{length}}, {"onesided", d.integer("onesided")}})};
}

std::vector<Val> import_stft(OnnxImport& c) {
  const Val x = c.input(0), window = c.has_input(2) ? c.input(2) : Val{};
  const auto one = [&](int k) {
    const auto values = c.integers(k);
    if (values.size() != 1) c.fail("frame_step and frame_length must be scalars");
    return values[0];
  };
  std::optional<int64_t> length;
  if (c.has_input(3)) length = one(3);
  else length = window.present() ? window.dim(0).constant() : x.dim(1).constant();
  if (!length) c.unsupported("a symbolic frame length");
  return {c.op("stft", {x, window},
               {{"frame_step", one(1)},
                {"frame_length", *length},
                {"onesided", c.attr_int("onesided", 1)}})};
}

void export_stft(OnnxExport& c) {
  const auto scalar = [&](const char* name) {
    return c.constant(Tensor::from_integers(std::vector{std::get<int64_t>(*c.attr(name))}, {}));
  };
  c.result(c.emit(
      "STFT",
      {c.input(0), scalar("frame_step"), c.has_input(1) ? c.input(1) : "", scalar("frame_length")},
      {{"onesided", *c.attr("onesided")}}));
}

}  // namespace

OpDef stft() {
  const ir::AttrMap attrs{{"frame_step", int64_t{2}}, {"frame_length", int64_t{4}}};
  return {
      .name = "stft",
      .doc =
          "Fourier transforms of the frames of `frame_length` elements that begin every "
          "`frame_step` elements, times the window.",
      .inputs = {{"signal"}, {.name = "window", .optional = true}},
      .attrs = {{.name = "frame_step"}, {.name = "frame_length"}, int_attr("onesided", 1)},
      .decompose = decompose_stft,
      .onnx = {{.op = "STFT", .since = 17, .import = import_stft, .export_ = export_stft}},
      .samples = {sample({{1, 9, 1}, {4}}, attrs), sample({{2, 8, 2}}, attrs)},
  };
}

}  // namespace tessera::ops::records
