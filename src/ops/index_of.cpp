// SPDX-License-Identifier: Apache-2.0
// Where a value stands along an axis; arg_max and arg_min are made of it.
#include <limits>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// A NaN stands for itself; a value that is nowhere gives the extent (first) or −1 (last).
void index_of_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), y = b.in(1);
  b.common_type();
  const int axis = b.axis("axis", x.rank());
  const bool last = b.flag("last");
  Dims shape = x.shape();
  shape[axis] = 1;
  b.check(y.rank() == x.rank(), "operands of ranks {} and {}", x.rank(), y.rank());
  for (int k = 0; k < x.rank(); ++k)
    b.require_equal(y.dim(k), shape[k], "y must have extent 1 along the axis and x's elsewhere");
  b.output(shape, [&](std::span<const Expr> i) {
    const Size extent = x.dim(axis);
    return b.reduce(last ? ir::Reduction::max : ir::Reduction::min, extent, [&](Expr r) {
      Indices at(i.begin(), i.end());
      at[axis] = r;
      const Expr element = x(at);
      Expr found = eq(element, y(i));
      if (is_float(x.type())) found = found || ir::is_nan(element);
      return ir::select(found, r, last ? b.integer(-1) : b.size(extent));
    });
  });
}

}  // namespace

OpDef index_of() {
  return {
      .name = "index_of",
      .doc = "The first (or last) index along `axis` at which x equals y.",
      .inputs = {{"x"}, {"y"}},
      .attrs = {{.name = "axis"}, {.name = "last", .default_value = int64_t{0}}},
      .meaning = index_of_meaning,
      .samples = {sample({{3, 5}, {3, 1}}, {{"axis", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
