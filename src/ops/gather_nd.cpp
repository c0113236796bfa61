// SPDX-License-Identifier: Apache-2.0
// Slices chosen by tuples of indices.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void gather_nd_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), indices = b.in(1);
  b.check(is_signed_integer(indices.type()), "indices must be signed integers, found {}",
          to_string(indices.type()));
  b.check(x.rank() >= 1 && indices.rank() >= 1, "operands must have rank 1 or more");
  const int64_t stated = b.integer("batch_dims");
  const auto width = indices.dim(-1).constant();
  b.check(width.has_value(), "the last extent of the indices must be known");
  b.check(stated >= 0 && stated < indices.rank() && *width >= 0 && stated + *width <= x.rank(),
          "batch_dims = {} and tuples of {} indices for rank {}", stated, *width, x.rank());
  const auto batch = static_cast<size_t>(stated), count = static_cast<size_t>(*width);
  for (size_t a = 0; a < batch; ++a)
    b.require_equal(x.shape()[a], indices.shape()[a], "batch extents differ");
  const size_t outer = indices.shape().size() - 1;
  Dims shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), x.shape().begin() + static_cast<long>(batch + count), x.shape().end());
  b.output(shape, [&](std::span<const Expr> i) {
    Indices source(i.begin(), i.begin() + static_cast<long>(batch));
    Indices tuple(i.begin(), i.begin() + static_cast<long>(outer));
    tuple.push_back(b.integer(0));
    for (size_t k = 0; k < count; ++k) {
      tuple.back() = b.integer(static_cast<int64_t>(k));
      const Expr chosen = ir::cast(indices(tuple), DType::i64);
      source.push_back(select(chosen < 0, chosen + x.shape()[batch + k], chosen));
    }
    source.insert(source.end(), i.begin() + static_cast<long>(outer), i.end());
    return x(source);
  });
}

}  // namespace

OpDef gather_nd() {
  const ir::ValueType x{DType::f32, {2, 3, 4}};
  return {
      .name = "gather_nd",
      .doc =
          "x at the tuples of indices that the last axis of the indices holds; the first "
          "`batch_dims` axes of both are paired.",
      .inputs = {{"x"}, {"indices"}},
      .attrs = {{.name = "batch_dims", .default_value = int64_t{0}}},
      .meaning = gather_nd_meaning,
      .onnx = {{.op = "GatherND", .since = 11}},
      .samples = {{{x, {DType::i64, {5, 2}}}},
                  {{x, {DType::i64, {2, 2, 1}}}, {{"batch_dims", int64_t{1}}}},
                  {{x, {DType::i64, {3}}}}},
  };
}

}  // namespace tessera::ops::records
