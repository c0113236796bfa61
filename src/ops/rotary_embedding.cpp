// SPDX-License-Identifier: Apache-2.0
// Rotation of pairs of channels by an angle that depends on the position.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// x is [batch, heads, sequence, size] or [batch, sequence, heads · size]. Pairs are neighbours
// (interleaved) or channels half the rotated width apart.
void rotary_embedding_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), cosine = b.in(1), sine = b.in(2);
  b.check(x.rank() == 3 || x.rank() == 4, "x must have rank 3 or 4, found {}", x.rank());
  const int64_t heads = b.integer("num_heads");
  b.check(x.rank() == 4 || heads > 0, "num_heads is needed for x of rank 3");
  const Size size = x.rank() == 4 ? x.dim(3) : sym::floor_div(x.dim(2), heads);
  const int64_t rotated = b.integer("rotary_embedding_dim");
  const Size width = rotated > 0 ? Size(rotated) : size;
  const Size half = sym::floor_div(width, 2);
  const bool interleaved = b.flag("interleaved"), positions = b.has(3);
  b.check(cosine.rank() == (positions ? 2 : 3) && sine.rank() == cosine.rank(),
          "caches of ranks {} and {}", cosine.rank(), sine.rank());
  b.require_equal(cosine.dim(-1), half, "the cosine cache does not fit the rotated width");
  b.require_equal(sine.dim(-1), half, "the sine cache does not fit the rotated width");
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const bool flat = x.rank() == 3;
    const Expr position = flat ? i[1] : i[2];
    const Expr d = flat ? mod(i[2], size) : i[3];
    const auto shifted = [&](Expr offset) {
      Indices at(i.begin(), i.end());
      at.back() = at.back() + offset;
      return x(at);
    };
    const Expr pair = interleaved ? floor_div(d, 2) : mod(d, half);
    const Expr is_first = interleaved ? eq(mod(d, 2), 0) : d < half;
    const Expr distance = interleaved ? b.integer(1) : b.size(half);
    const auto angle = [&](const TensorArg& cache) {
      if (!positions) return cache(i[0], position, pair);
      return cache(cast(b.in(3)(i[0], position), DType::i64), pair);
    };
    const Expr c = cast(angle(cosine), x.type()), s = cast(angle(sine), x.type());
    const Expr turned = ir::select(is_first, c * x(i) - s * shifted(distance),
                                   s * shifted(b.integer(0) - distance) + c * x(i));
    return width == size ? turned : ir::select(d < width, turned, x(i));
  });
}

}  // namespace

OpDef rotary_embedding() {
  const ir::ValueType x{DType::f32, {2, 3, 4, 8}}, flat{DType::f32, {2, 4, 24}},
      cache{DType::f32, {5, 4}}, direct{DType::f32, {2, 4, 4}}, position{DType::i64, {2, 4}};
  const int64_t one = 1;
  return {
      .name = "rotary_embedding",
      .doc = "x with pairs of channels rotated by position-dependent angles (Su et al., 2021).",
      .inputs = {{"x"}, {"cos_cache"}, {"sin_cache"}, {"position_ids", true}},
      .attrs = {{.name = "interleaved", .default_value = int64_t{0}},
                {.name = "num_heads", .default_value = int64_t{0}},
                {.name = "rotary_embedding_dim", .default_value = int64_t{0}}},
      .meaning = rotary_embedding_meaning,
      .onnx = {{.op = "RotaryEmbedding", .since = 23}},
      .samples = {{{x, cache, cache, position}},
                  {{flat, direct, direct}, {{"num_heads", int64_t{3}}, {"interleaved", one}}}},
  };
}

}  // namespace tessera::ops::records
