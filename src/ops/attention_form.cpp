// SPDX-License-Identifier: Apache-2.0
// The decomposition of attention.
#include "ops/attention_form.h"

#include <cmath>
#include <limits>

namespace tessera::ops {
namespace {

constexpr double attention_infinity = std::numeric_limits<double>::infinity();

// [batch, sequence, heads · size] as [batch, heads, sequence, size].
Val attention_heads(Decomposition& d, Val x, std::string_view attr) {
  if (x.rank() == 4) return x;
  d.check(x.rank() == 3 && d.has_attr(attr), "{} is needed for inputs of rank {}", attr, x.rank());
  const int64_t heads = d.integer(attr);
  d.check(heads > 0, "{} must be positive", attr);
  const Val split = reshape(x, {x.dim(0), x.dim(1), heads, sym::floor_div(x.dim(2), heads)});
  return transpose(split, {0, 2, 1, 3});
}

Val attention_iota(Decomposition& d, const sym::Expr& length, ir::Dims shape) {
  return reshape(d.op("iota", {}, {{"length", ir::Dims{length}}}), std::move(shape));
}

// 0 where `allowed`, −∞ elsewhere.
Val attention_bias_of(Decomposition& d, Val allowed, DType type) {
  return where(allowed, d.scalar(0, type), d.scalar(-attention_infinity, type));
}

// Everything that is added to the scores; absent when nothing is. Positions of queries count from
// the number of keys that precede them.
Val attention_bias(Decomposition& d, Val q, Val k, const sym::Expr& past) {
  const DType type = q.dtype();
  const sym::Expr rows = q.dim(2), columns = k.dim(2);
  Val bias;
  const auto add = [&](Val b) { bias = bias.present() ? bias + b : b; };
  if (d.has(3)) {
    Val mask = d.in(3);
    if (mask.dtype() == DType::boolean) mask = attention_bias_of(d, mask, type);
    if (!(mask.dim(-1) == columns)) {  // a short mask hides the keys beyond it
      ir::Dims rest = mask.shape();
      rest.back() = columns - rest.back();
      mask = concat({mask, expand(d.scalar(-attention_infinity, type), rest)}, -1);
    }
    add(cast(mask, type));
  }
  const int64_t left = d.integer("left_window_size"), right = d.integer("right_window_size");
  if (d.flag("is_causal") || left >= 0 || right >= 0) {
    Val row = attention_iota(d, rows, {rows, 1});
    const Val column = attention_iota(d, columns, {1, columns});
    if (d.has(6)) {
      const Val known = reshape(cast(d.in(6), DType::i64), {d.in(6).dim(0), 1, 1, 1});
      row = row + (known - d.op("shape_of", {}, {{"dims", ir::Dims{rows}}}));
    } else if (!(past == sym::Expr(0))) {
      row = row + d.op("shape_of", {}, {{"dims", ir::Dims{past}}});
    }
    const auto allow = [&](Val smaller, Val larger) {
      add(attention_bias_of(d, d.op("less_or_equal", {smaller, larger}), type));
    };
    if (d.flag("is_causal")) allow(column, row);
    if (left >= 0) allow(row, column + static_cast<double>(left));
    if (right >= 0) allow(column, row + static_cast<double>(right));
  }
  if (d.has(6)) {
    const Val known = reshape(cast(d.in(6), DType::i64), {d.in(6).dim(0), 1, 1, 1});
    const Val column = attention_iota(d, columns, {1, 1, 1, columns});
    add(attention_bias_of(d, d.op("less", {column, known}), type));
  }
  return bias;
}

// Softmax along the last axis; a row of nothing but −∞ gives 0.
Val attention_softmax(Decomposition& d, Val x, bool may_be_empty) {
  if (!may_be_empty) return d.op("softmax", {x});
  const DType type = x.dtype();
  const Val zero = d.scalar(0, type);
  const Val most = reduce("reduce_max", x, {-1});
  const Val empty = d.op("equal", {most, d.scalar(-attention_infinity, type)});
  const Val e = exp(x - where(empty, zero, most));
  return e / where(empty, d.scalar(1, type), reduce("reduce_sum", e, {-1}));
}

}  // namespace

Val attention_product(Val x, Val y) {
  const sym::Expr heads = x.dim(1), own = y.dim(1);
  if (heads == own) return matmul(x, y);
  const sym::Expr rows = sym::floor_div(heads, own) * x.dim(2);
  const Val z = matmul(reshape(x, {x.dim(0), own, rows, x.dim(3)}), y);
  return reshape(z, {x.dim(0), heads, x.dim(2), y.dim(3)});
}

std::vector<Val> decompose_attention(Decomposition& d) {
  const bool flat = d.in(0).rank() == 3;
  const Val q = attention_heads(d, d.in(0), "q_num_heads");
  Val k = attention_heads(d, d.in(1), "kv_num_heads");
  Val v = attention_heads(d, d.in(2), "kv_num_heads");
  const DType type = q.dtype();
  d.check(d.has(4) == d.has(5), "past keys and values come together");
  sym::Expr past(0);
  if (d.has(4)) {
    past = d.in(4).dim(2);
    k = concat({d.in(4), k}, 2);
    v = concat({d.in(5), v}, 2);
  }
  double scale = 0;
  if (d.has_attr("scale")) {
    scale = d.real("scale");
  } else {
    const auto size = q.dim(3).constant();
    if (!size) d.fail("the head size must be known, or scale given");
    scale = 1 / std::sqrt(static_cast<double>(*size));
  }
  // In half precision the product could overflow before it is scaled; elsewhere one factor on the
  // scores is less work than one on each operand.
  const bool early = type == DType::f16 || type == DType::bf16;
  const Val keys = transpose(k, {0, 1, 3, 2});
  const double root = std::sqrt(scale);
  const Val raw = early ? attention_product(q * root, keys * root) : attention_product(q, keys);
  const Val product = early || scale == 1 ? raw : raw * scale;
  const double softcap = d.real("softcap");
  const Val capped = softcap > 0 ? tanh(product / softcap) * softcap : product;
  const Val bias = attention_bias(d, q, k, past);
  const Val scores = bias.present() ? capped + bias : capped;
  const DType precision = d.has_attr("softmax_precision") ? d.dtype("softmax_precision") : type;
  const bool windowed = d.integer("left_window_size") >= 0 || d.integer("right_window_size") >= 0;
  const bool may_be_empty = d.has(3) || d.has(6) || windowed;
  const Val weights = cast(attention_softmax(d, cast(scores, precision), may_be_empty), type);
  Val y = attention_product(weights, v);
  if (flat) {
    const ir::Dims shape{y.dim(0), y.dim(2), y.dim(1) * y.dim(3)};
    y = reshape(transpose(y, {0, 2, 1, 3}), shape);
  }
  const int64_t mode = d.integer("qk_matmul_output_mode");
  d.check(mode >= 0 && mode <= 3, "qk_matmul_output_mode {} is unknown", mode);
  return {y, k, v, mode == 0 ? product : mode == 1 ? capped : mode == 2 ? scores : weights};
}

}  // namespace tessera::ops
