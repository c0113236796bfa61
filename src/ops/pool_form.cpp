// SPDX-License-Identifier: Apache-2.0
// Shared parts of convolution and pooling records.
#include "ops/pool_form.h"

#include "base/check.h"

namespace tessera::ops {
namespace {

// A symbolic pad may be any number from 0 on.
bool may_be_positive(const Size& pad) { return !pad.is_constant() || pad.constant_part() > 0; }

}  // namespace

Size Windows::count(int axis) const {
  const Size padded = input[axis] + begin[axis] + end[axis];
  const Size span = (kernel[axis] - 1) * dilations[axis] + 1;
  if (!ceil) return sym::floor_div(padded - span, strides[axis]) + 1;
  return sym::min(sym::ceil_div(padded - span, strides[axis]) + 1,
                  sym::ceil_div(input[axis] + begin[axis], strides[axis]));
}

std::vector<Size> Windows::counts() const {
  std::vector<Size> result;
  for (int axis = 0; axis < rank(); ++axis) result.push_back(count(axis));
  return result;
}

Expr Windows::position(int axis, Expr window, Expr element) const {
  Expr at = window * strides[axis] + element * dilations[axis];
  return begin[axis] == Size(0) ? at : at - begin[axis];
}

bool Windows::may_leave(int axis) const {
  return may_be_positive(begin[axis]) || may_be_positive(end[axis]) ||
         (ceil && strides[axis] != Size(1));
}

Expr Windows::guarded(MeaningBuilder& b, std::span<const Expr> positions, Expr inside,
                      Expr outside) const {
  std::optional<Expr> condition;
  const auto require = [&](Expr c) { condition = condition ? (*condition && c) : c; };
  for (int axis = 0; axis < rank(); ++axis) {
    if (may_be_positive(begin[axis])) require(b.integer(0) <= positions[axis]);
    if (may_be_positive(end[axis]) || (ceil && strides[axis] != Size(1)))
      require(positions[axis] < input[axis]);
  }
  return condition ? ir::select(*condition, inside, outside) : inside;
}

Expr Windows::elements_within(int axis, Expr window, const Size& before, const Size& after) const {
  const Expr start = window * strides[axis] - begin[axis];
  const Expr last =
      min(floor_div(input[axis] + (after - Size(1)) - start, dilations[axis]), kernel[axis] - 1);
  const Expr first = max(-floor_div(start + before, dilations[axis]), 0);
  return last - first + 1;
}

Windows windows_of(MeaningBuilder& b, std::vector<Size> input, std::vector<Size> kernel) {
  Windows w;
  w.input = std::move(input);
  w.kernel = std::move(kernel);
  const size_t rank = w.input.size();
  b.check(w.kernel.size() == rank, "a kernel of {} axes over {} spatial axes", w.kernel.size(),
          rank);
  const auto list = [&](const char* name, size_t size, int64_t fallback) {
    Dims values = b.dims(name);
    if (values.empty()) values.assign(size, Size(fallback));
    b.check(values.size() == size, "{} needs {} entries, found {}", name, size, values.size());
    return values;
  };
  w.strides = list("strides", rank, 1);
  w.dilations = list("dilations", rank, 1);
  const Dims pads = list("pads", 2 * rank, 0);
  w.begin.assign(pads.begin(), pads.begin() + static_cast<long>(rank));
  w.end.assign(pads.begin() + static_cast<long>(rank), pads.end());
  w.ceil = b.has_attr("ceil_mode") && b.flag("ceil_mode");
  for (size_t axis = 0; axis < rank; ++axis) {
    b.require_at_least(w.strides[axis], 1, "strides must be positive");
    b.require_at_least(w.dilations[axis], 1, "dilations must be positive");
    for (const Size& pad : {w.begin[axis], w.end[axis]})
      if (!pad.is_constant()) b.require_at_least(pad, 0, "a symbolic pad must not be negative");
    b.require_at_least(w.kernel[axis], 1, "the kernel is empty");
    b.require_at_least(w.count(static_cast<int>(axis)), 0,
                       "the kernel is larger than the padded input");
  }
  return w;
}

std::vector<AttrDef> window_attrs() {
  std::vector<AttrDef> attrs;
  for (const char* name : {"strides", "dilations", "pads"})
    attrs.push_back(
        {.name = name, .kind = ir::AttrKind::integers, .default_value = std::vector<int64_t>{}});
  return attrs;
}

Windows pool_windows(MeaningBuilder& b, const TensorArg& x) {
  b.check(x.rank() >= 3, "x must have rank 3 or more, found {}", x.rank());
  const Dims kernel = b.dims("kernel_shape");
  return windows_of(b, {x.shape().begin() + 2, x.shape().end()}, {kernel.begin(), kernel.end()});
}

Dims pool_shape(const TensorArg& x, const Windows& windows) {
  Dims shape{x.dim(0), x.dim(1)};
  for (const Size& s : windows.counts()) shape.push_back(s);
  return shape;
}

Expr combine_window(MeaningBuilder& b, const TensorArg& x, const Windows& windows,
                    std::span<const Expr> i, ir::Reduction reduction, Expr outside,
                    const std::function<Expr(Expr)>& of) {
  return b.reduce(reduction, windows.kernel, [&](std::span<const Expr> k) {
    Indices source{i[0], i[1]};
    for (int axis = 0; axis < windows.rank(); ++axis)
      source.push_back(windows.position(axis, i[axis + 2], k[axis]));
    const Expr element = x(source);
    return windows.guarded(b, std::span(source).subspan(2), of ? of(element) : element, outside);
  });
}

std::vector<AttrDef> pool_attrs() {
  std::vector<AttrDef> attrs = window_attrs();
  attrs.push_back({.name = "kernel_shape", .kind = ir::AttrKind::integers});
  attrs.push_back({.name = "ceil_mode", .default_value = int64_t{0}});
  return attrs;
}

ir::AttrMap import_pool(OnnxImport& c) {
  const ir::Dims x = c.input(0).shape();
  if (x.size() < 3) c.fail("x must have rank 3 or more");
  const std::vector<int64_t> kernel = c.attr_ints("kernel_shape", {});
  ir::AttrMap attrs = import_windows(c, {x.begin() + 2, x.end()}, kernel);
  attrs.emplace("kernel_shape", kernel);
  if (c.attr_int("ceil_mode", 0) != 0) attrs.emplace("ceil_mode", int64_t{1});
  return attrs;
}

ir::AttrMap import_convolution(OnnxImport& c, int weights) {
  const ir::Dims x = c.input(0).shape(), w = c.input(weights).shape();
  if (x.size() < 3 || w.size() != x.size()) c.fail("operands need the same rank of 3 or more");
  std::vector<int64_t> kernel;
  for (size_t axis = 2; axis < w.size(); ++axis) {
    const auto extent = w[axis].constant();
    if (!extent) c.unsupported("weights of symbolic kernel size");
    kernel.push_back(*extent);
  }
  if (c.attr_ints("kernel_shape", kernel) != kernel)
    c.fail("kernel_shape differs from the weights");
  ir::AttrMap attrs = import_windows(c, {x.begin() + 2, x.end()}, kernel);
  if (const int64_t group = c.attr_int("group", 1); group != 1) attrs.emplace("group", group);
  return attrs;
}

std::vector<Val> all_inputs(OnnxImport& c) {
  std::vector<Val> inputs;
  for (int k = 0; k < c.input_count(); ++k) inputs.push_back(c.input(k));
  return inputs;
}

ir::AttrMap import_windows(OnnxImport& c, const ir::Dims& input,
                           const std::vector<int64_t>& kernel) {
  const size_t rank = kernel.size();
  const std::vector<int64_t> ones(rank, 1), zeros(2 * rank, 0);
  const std::vector<int64_t> strides = c.attr_ints("strides", ones);
  const std::vector<int64_t> dilations = c.attr_ints("dilations", ones);
  std::vector<int64_t> pads = c.attr_ints("pads", zeros);
  if (strides.size() != rank || dilations.size() != rank || pads.size() != 2 * rank ||
      input.size() != rank)
    c.fail(fmt::format("strides, dilations or pads do not fit a kernel of {} axes over {}", rank,
                       sym::to_string(input)));
  for (size_t a = 0; a < rank; ++a)
    if (strides[a] <= 0 || dilations[a] <= 0 || kernel[a] <= 0)
      c.fail("kernel, strides and dilations must be positive");
  const std::string mode = c.attr_string("auto_pad", "NOTSET");
  if (mode == "VALID") pads = zeros;
  else if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    for (size_t a = 0; a < rank; ++a) {
      const sym::Expr windows = sym::ceil_div(input[a], strides[a]);
      const sym::Expr needed =
          (windows - 1) * strides[a] + (sym::Expr(kernel[a]) - 1) * dilations[a] + 1 - input[a];
      const auto total = sym::max(needed, 0).constant();
      if (!total) c.unsupported("auto_pad over a symbolic extent; bind the input's dimensions");
      const int64_t small = *total / 2, large = *total - small;
      pads[a] = mode == "SAME_UPPER" ? small : large;
      pads[a + rank] = mode == "SAME_UPPER" ? large : small;
    }
  } else if (mode != "NOTSET" && !mode.empty()) {
    c.fail(fmt::format("unknown auto_pad '{}'", mode));
  }
  ir::AttrMap attrs;
  if (strides != ones) attrs.emplace("strides", strides);
  if (dilations != ones) attrs.emplace("dilations", dilations);
  if (pads != zeros) attrs.emplace("pads", pads);
  return attrs;
}

std::vector<std::string> export_inputs(OnnxExport& c) {
  std::vector<std::string> names;
  for (int k = 0; k < static_cast<int>(c.node().inputs.size()); ++k)
    names.push_back(c.has_input(k) ? c.input(k) : std::string());
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

void export_as(OnnxExport& c, const std::string& op, std::initializer_list<AttrSince> newer) {
  for (const AttrSince& a : newer)
    if (c.opset() < a.opset && c.node().attrs.contains(a.name))
      c.unsupported(fmt::format("{} of {} needs operator set {}", a.name, op, a.opset));
  c.result(c.emit(op, export_inputs(c), c.node().attrs, static_cast<int>(c.node().outputs.size())));
}

}  // namespace tessera::ops
