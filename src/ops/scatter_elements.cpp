// SPDX-License-Identifier: Apache-2.0
// Elements replaced or combined at positions given along one axis.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// out(o) combines data(o) with every update r along the axis whose index says o. Of several
// updates without a reduction the last counts. An index outside data is the user's error: the
// read that stands for it fails.
void scatter_elements_meaning(MeaningBuilder& b) {
  const TensorArg data = b.in(0), indices = b.in(1), updates = b.in(2);
  b.check(data.type() == updates.type() && is_integer(indices.type()),
          "data and updates must share a type and indices be integers");
  const int axis = b.axis("axis", data.rank());
  b.check(indices.rank() == data.rank() && updates.rank() == data.rank(), "ranks differ");
  for (int k = 0; k < data.rank(); ++k) {
    b.require_equal(updates.dim(k), indices.dim(k), "updates and indices differ in shape");
    if (k != axis) b.require_at_least(data.dim(k), indices.dim(k), "more indices than data");
  }
  const std::string mode = b.string("reduction");
  const Size extent = data.dim(axis), count = indices.dim(axis);
  b.output(data.shape(), [&](std::span<const Expr> o) {
    std::optional<Expr> covered;  // indices may be smaller than data along the other axes
    for (int k = 0; k < data.rank(); ++k) {
      if (k == axis || indices.dim(k) == data.dim(k)) continue;
      const Expr inside = o[k] < indices.dim(k);
      covered = covered ? (*covered && inside) : inside;
    }
    Indices at(o.begin(), o.end());
    const auto matches = [&](Expr r) {
      at[axis] = r;
      const Expr raw = cast(indices(at), DType::i64);
      const Expr index = ir::select(raw < b.integer(0), raw + extent, raw);
      Indices bad(o.begin(), o.end());
      bad[axis] = index;
      const Expr valid = b.integer(0) <= index && index < extent;
      return ir::select(valid, eq(index, o[axis]), cast(data(bad), DType::boolean));
    };
    const auto update = [&](Expr r) {
      at[axis] = r;
      return updates(at);
    };
    const Expr old = data(o);
    Expr result;
    if (mode == "none") {
      const Expr last =
          b.max(count, [&](Expr r) { return ir::select(matches(r), r, b.integer(-1)); });
      result = ir::select(last < b.integer(0), old, update(last));
    } else {
      const auto combine = [&](ir::Reduction reduction, auto join) {
        const Expr neutral = reduction_identity(b, reduction, data.type());
        return join(old, b.reduce(reduction, count, [&](Expr r) {
          return ir::select(matches(r), update(r), neutral);
        }));
      };
      if (mode == "add") result = combine(ir::Reduction::sum, [](Expr x, Expr y) { return x + y; });
      else if (mode == "mul")
        result = combine(ir::Reduction::prod, [](Expr x, Expr y) { return x * y; });
      else if (mode == "max")
        result = combine(ir::Reduction::max, [](Expr x, Expr y) { return max(x, y); });
      else if (mode == "min")
        result = combine(ir::Reduction::min, [](Expr x, Expr y) { return min(x, y); });
      else b.fail(fmt::format("unknown reduction '{}'", mode));
    }
    return covered ? ir::select(*covered, result, old) : result;
  });
}

}  // namespace

OpDef scatter_elements() {
  const ir::ValueType x{DType::f32, {3, 5}}, i{DType::i64, {2, 3}}, u{DType::f32, {2, 3}};
  const std::string add = "add";
  return {
      .name = "scatter_elements",
      .doc =
          "data with data(…, indices(o), …) replaced by or combined with updates(o) along `axis`.",
      .inputs = {{"data"}, {"indices"}, {"updates"}},
      .attrs = {{.name = "axis", .default_value = int64_t{0}},
                {.name = "reduction",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("none")}},
      .meaning = scatter_elements_meaning,
      .onnx = {{.op = "ScatterElements",
                .since = 11,
                .export_ =
                    [](OnnxExport& c) {
                      export_as(c, "ScatterElements", {{"reduction", 16}});
                    }},
               {.op = "Scatter", .since = 9}},
      .samples = {{{x, i, u}}, {{x, i, u}, {{"axis", int64_t{1}}, {"reduction", add}}}},
  };
}

}  // namespace tessera::ops::records
