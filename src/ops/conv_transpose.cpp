// SPDX-License-Identifier: Apache-2.0
// Transposed convolution: the adjoint of conv, in its gathering form.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// An output at o collects the inputs p with p·stride + k·dilation − pad = o: at most one for each
// kernel element, namely where the division is exact.
void conv_transpose_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), w = b.in(1);
  b.common_type();
  b.check(x.rank() >= 3 && x.rank() == w.rank(), "operands of ranks {} and {}", x.rank(), w.rank());
  const int64_t group = b.integer("group");
  b.check(group >= 1, "group must be positive, found {}", group);
  b.require_equal(x.dim(1), w.dim(0), "the channels of x do not fit the weights");
  b.require_equal(sym::modulo(x.dim(1), group), 0, "the channels of x are no multiple of group");
  const Size depth = sym::floor_div(x.dim(1), group), width = w.dim(1);
  const int rank = x.rank() - 2;
  const auto list = [&](const char* name, int size, int64_t fallback) {
    std::vector<int64_t> values = b.integers(name);
    if (values.empty()) values.assign(static_cast<size_t>(size), fallback);
    b.check(static_cast<int>(values.size()) == size, "{} needs {} entries", name, size);
    return values;
  };
  const auto strides = list("strides", rank, 1), dilations = list("dilations", rank, 1),
             pads = list("pads", 2 * rank, 0), extra = list("output_padding", rank, 0);
  Dims shape{x.dim(0), width * group};
  std::vector<Size> extents{depth};
  for (int a = 0; a < rank; ++a) {
    b.check(strides[a] > 0 && dilations[a] > 0, "strides and dilations must be positive");
    shape.push_back((x.dim(a + 2) - 1) * strides[a] + (w.dim(a + 2) - 1) * dilations[a] + 1 +
                    extra[a] - pads[a] - pads[a + rank]);
    extents.push_back(w.dim(a + 2));
  }
  if (b.has(2)) b.require_equal(b.in(2).dim(0), shape[1], "the bias does not fit the weights");
  b.output(shape, [&](std::span<const Expr> i) {
    const Expr first = group == 1 ? b.integer(0) : floor_div(i[1], width) * depth;
    const Expr column = group == 1 ? i[1] : mod(i[1], width);
    const Expr total = b.reduce(ir::Reduction::sum, extents, [&](std::span<const Expr> r) {
      Indices source{i[0], first + r[0]}, tap{first + r[0], column};
      std::optional<Expr> valid;
      const auto require = [&](Expr c) { valid = valid ? (*valid && c) : c; };
      for (int a = 0; a < rank; ++a) {
        const Expr at = i[a + 2] + pads[a] - r[a + 1] * dilations[a];
        require(b.integer(0) <= at);
        if (strides[a] != 1) require(eq(mod(at, strides[a]), 0));
        source.push_back(strides[a] == 1 ? at : floor_div(at, strides[a]));
        require(source.back() < x.dim(a + 2));
        tap.push_back(r[a + 1]);
      }
      const Expr element = x(source);
      return ir::select(*valid, element, literal_like(element, 0)) * w(tap);
    });
    return b.has(2) ? total + b.in(2)(i[1]) : total;
  });
}

// `output_shape` and auto_pad fix the sum of the pads.
std::vector<Val> import_conv_transpose(OnnxImport& c) {
  const ir::Dims x = c.input(0).shape(), w = c.input(1).shape();
  if (x.size() < 3 || w.size() != x.size()) c.fail("operands need the same rank of 3 or more");
  const size_t rank = x.size() - 2;
  const std::vector<int64_t> ones(rank, 1), zeros(rank, 0), no_pads(2 * rank, 0);
  const auto strides = c.attr_ints("strides", ones), dilations = c.attr_ints("dilations", ones);
  const auto extra = c.attr_ints("output_padding", zeros);
  auto pads = c.attr_ints("pads", no_pads), wanted = c.attr_ints("output_shape", {});
  if (strides.size() != rank || dilations.size() != rank || extra.size() != rank ||
      pads.size() != 2 * rank)
    c.fail("strides, dilations, pads or output_padding have the wrong length");
  if (wanted.size() == rank + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  const std::string mode = c.attr_string("auto_pad", "NOTSET");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (mode == "VALID") pads = no_pads;
  for (size_t a = 0; (same || !wanted.empty()) && a < rank; ++a) {
    if (!wanted.empty() && wanted.size() != rank) c.fail("output_shape has the wrong length");
    const sym::Expr target = wanted.empty() ? x[a + 2] * strides[a] : sym::Expr(wanted[a]);
    const auto total =
        ((x[a + 2] - 1) * strides[a] + extra[a] + (w[a + 2] - 1) * dilations[a] + 1 - target)
            .constant();
    if (!total) c.unsupported("an output shape given for symbolic extents");
    const int64_t half = sym::floor_div(*total, 2);
    pads[a] = mode == "SAME_UPPER" ? half : *total - half;
    pads[a + rank] = *total - pads[a];
  }
  ir::AttrMap attrs;
  if (strides != ones) attrs.emplace("strides", strides);
  if (dilations != ones) attrs.emplace("dilations", dilations);
  if (pads != no_pads) attrs.emplace("pads", pads);
  if (extra != zeros) attrs.emplace("output_padding", extra);
  if (const int64_t group = c.attr_int("group", 1); group != 1) attrs.emplace("group", group);
  std::vector<Val> inputs{c.input(0), c.input(1)};
  if (c.has_input(2)) inputs.push_back(c.input(2));
  return {c.op("conv_transpose", inputs, attrs)};
}

}  // namespace

OpDef conv_transpose() {
  using Ints = std::vector<int64_t>;
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back(
      {.name = "output_padding", .kind = ir::AttrKind::integers, .default_value = Ints{}});
  attrs.push_back({.name = "group", .default_value = int64_t{1}});
  return {
      .name = "conv_transpose",
      .doc = "Transposed convolution of x[N,C,…] with w[C,M/group,…]; pads are explicit.",
      .inputs = {{"x"}, {"w"}, {"bias", true}},
      .attrs = attrs,
      .meaning = conv_transpose_meaning,
      .onnx = {{.op = "ConvTranspose",
                .import = import_conv_transpose,
                .export_ = [](OnnxExport& c) { export_as(c, "ConvTranspose"); }}},
      .samples = {sample({{1, 2, 3, 3}, {2, 3, 3, 3}, {3}}, {{"strides", Ints{2, 2}},
                                                             {"pads", Ints{1, 1, 1, 1}},
                                                             {"output_padding", Ints{1, 1}}}),
                  sample({{1, 4, 5}, {4, 2, 2}}, {{"group", int64_t{2}}, {"dilations", Ints{2}}})},
  };
}

}  // namespace tessera::ops::records
