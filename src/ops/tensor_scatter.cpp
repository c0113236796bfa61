// SPDX-License-Identifier: Apache-2.0
// A cache with new entries written along its sequence axis.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// An element of the cache knows which update, if any, lands on it. Writing past the end is the
// user's error: the read that stands for it fails.
void tensor_scatter_meaning(MeaningBuilder& b) {
  const TensorArg cache = b.in(0), update = b.in(1);
  b.check(cache.type() == update.type() && cache.rank() == update.rank() && cache.rank() >= 2,
          "cache and update must share type and rank");
  const int axis = b.axis("axis", cache.rank());
  b.check(axis != 0, "axis must not be the batch axis");
  const std::string mode = b.string("mode");
  b.check(mode == "linear" || mode == "circular", "unknown mode '{}'", mode);
  const Size extent = cache.dim(axis), count = update.dim(axis);
  for (int k = 0; k < cache.rank(); ++k)
    if (k != axis) b.require_equal(update.dim(k), cache.dim(k), "update does not fit the cache");
  b.require_at_least(extent, count, "more updates than the cache holds");
  b.output(cache.shape(), [&](std::span<const Expr> o) {
    const Expr start = b.has(2) ? cast(b.in(2)(o[0]), DType::i64) : b.integer(0);
    Expr step = o[axis] - start;
    if (mode == "circular") step = mod(step, extent);
    Indices at(o.begin(), o.end());
    at[axis] = step;
    const Expr written = b.integer(0) <= step && step < count;
    const Expr value = ir::select(written, update(at), cache(o));
    if (mode == "circular" || !b.has(2)) return value;
    Indices last(o.begin(), o.end());
    last[axis] = ir::select(start < b.integer(0), start, start + count - 1);
    const Expr fits = b.integer(0) <= start && start + count <= extent;
    return ir::select(fits, value, cache(last));
  });
}

}  // namespace

OpDef tensor_scatter() {
  const ir::ValueType x{DType::f32, {2, 3, 6, 4}}, u{DType::f32, {2, 3, 2, 4}}, w{DType::i64, {2}};
  return {
      .name = "tensor_scatter",
      .doc =
          "cache with update written along `axis` from write_indices(batch) on, wrapping around "
          "in mode circular.",
      .inputs = {{"cache"}, {"update"}, {"write_indices", true}},
      .attrs = {{.name = "mode",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("linear")},
                {.name = "axis", .default_value = int64_t{-2}}},
      .meaning = tensor_scatter_meaning,
      .onnx = {{.op = "TensorScatter", .since = 24}},
      .samples = {{{x, u, w}}, {{x, u, w}, {{"mode", std::string("circular")}}}, {{x, u}}},
  };
}

}  // namespace tessera::ops::records
