// SPDX-License-Identifier: Apache-2.0
// What terms can ask about tensors.
#include <algorithm>
#include <cmath>

#include "rules/term_call.h"

namespace tessera::rules {
namespace {

Result dim(const Call& c) {
  const ir::ValueType* t = c.type(0);
  if (!t) return std::nullopt;
  const auto axis = normalized(c, 1, t->rank());
  return axis ? Result(t->shape[*axis]) : std::nullopt;
}

Result product(const Call& c) {
  const Sizes* s = c.sizes(0);
  if (s) return sym::product(*s);
  const ir::ValueType* t = c.type(0);
  return t ? Result(sym::product(t->shape)) : std::nullopt;
}

// The extents along a list of axes; an empty list means all.
Result dims(const Call& c) {
  const ir::ValueType* t = c.type(0);
  const auto axes = c.integers(1);
  if (!t || !axes) return std::nullopt;
  if (axes->empty()) return t->shape;
  Sizes r;
  for (int64_t a : *axes) {
    if (a < -t->rank() || a >= t->rank()) return std::nullopt;
    r.push_back(t->shape[a < 0 ? a + t->rank() : a]);
  }
  return r;
}

// Whether x broadcasts to the shape of y without changing it.
Result broadcasts_to(const Call& c) {
  const ir::ValueType *x = c.type(0), *y = c.type(1);
  if (!x || !y || x->rank() > y->rank()) return false;
  for (int k = 1; k <= x->rank(); ++k) {
    const Size& d = x->shape[x->rank() - k];
    if (!(d == Size(1)) && !(d == y->shape[y->rank() - k])) return false;
  }
  return true;
}

// Whether x, broadcast to rank `rank` (argument 1), has extent 1 everywhere but along axis (2).
Result only_along(const Call& c) {
  const ir::ValueType* x = c.type(0);
  const auto rank = c.integer(1);
  if (!x || !rank || x->rank() > *rank) return false;
  const auto axis = normalized(c, 2, *rank);
  if (!axis) return false;
  for (int k = 0; k < x->rank(); ++k)
    if (*rank - x->rank() + k != *axis && !(x->shape[k] == Size(1))) return false;
  return true;
}

// The extent of x along axis (2) once it is broadcast to rank (1).
Result broadcast_dim(const Call& c) {
  const ir::ValueType* x = c.type(0);
  const auto rank = c.integer(1);
  if (!x || !rank || x->rank() > *rank) return std::nullopt;
  const auto axis = normalized(c, 2, *rank);
  if (!axis) return std::nullopt;
  const int64_t own = *axis - (*rank - x->rank());
  return own < 0 ? Size(1) : x->shape[own];
}

Result scalar_value(const Call& c) {
  if (!c.value(0)) return std::nullopt;
  const auto v = uniform_value(c.graph, *c.value(0));
  return v ? Result(*v) : std::nullopt;
}

// The elements of a small integer constant.
Result elements(const Call& c) {
  const Tensor* t = c.value(0) ? c.graph.tensor(*c.value(0)) : nullptr;
  if (!t || t->size() > 64 || is_float(t->type())) return std::nullopt;
  const auto v = t->to_integers();
  return Sizes(v.begin(), v.end());
}

// Whether the two halves of a constant along its last axis are equal.
Result halves_equal(const Call& c) {
  const Tensor* t = c.value(0) ? c.graph.tensor(*c.value(0)) : nullptr;
  if (!t || t->rank() == 0 || t->shape().back() % 2 != 0 || !is_float(t->type())) return false;
  const int64_t n = t->shape().back(), half = n / 2;
  for (int64_t row = 0; row < (n ? t->size() / n : 0); ++row)
    for (int64_t k = 0; k < half; ++k)
      if (t->float_at(row * n + k) != t->float_at(row * n + half + k)) return false;
  return true;
}

// A constant as rows · columns · taps, the form of convolutions' weights.
struct Weights {
  const Tensor* tensor = nullptr;
  int64_t rows = 0, columns = 0, taps = 0;
  double at(int64_t r, int64_t c, int64_t t) const {
    return tensor->float_at((r * columns + c) * taps + t);
  }
};

std::optional<Weights> weights(const Call& c) {
  const Tensor* t = c.value(0) ? c.graph.tensor(*c.value(0)) : nullptr;
  if (!t || t->rank() < 2 || t->size() == 0 || !is_float(t->type())) return std::nullopt;
  const int64_t rows = t->shape()[0], columns = t->shape()[1];
  return Weights{t, rows, columns, t->size() / (rows * columns)};
}

Result unit_matrix(const Call& c) {
  const auto w = weights(c);
  if (!w || w->tensor->rank() != 2 || w->rows != w->columns) return false;
  for (int64_t i = 0; i < w->tensor->size(); ++i)
    if (w->tensor->float_at(i) != (i / w->rows == i % w->rows ? 1 : 0)) return false;
  return true;
}

// Whether a convolution with these weights, pads (argument 1) and groups (2) copies its input.
Result unit_kernel(const Call& c) {
  const auto w = weights(c);
  const auto pads = c.integers(1);
  const auto groups = c.integer(2);
  if (!w || !pads || !groups || *groups < 1 || w->rows != w->columns * *groups) return false;
  int64_t tap = 0;
  for (int axis = 2; axis < w->tensor->rank(); ++axis) {
    const int64_t extent = w->tensor->shape()[axis];
    const int64_t at = pads->empty() ? 0 : pads->at(axis - 2);
    if (at >= extent) return false;
    tap = tap * extent + at;
  }
  for (int64_t r = 0; r < w->rows; ++r)
    for (int64_t k = 0; k < w->columns; ++k)
      for (int64_t t = 0; t < w->taps; ++t)
        if (w->at(r, k, t) != (r % w->columns == k && t == tap ? 1 : 0)) return false;
  return true;
}

// The most equal blocks on the diagonal of rows and columns outside of which a constant is zero.
Result blocks(const Call& c) {
  if (const Size* assumed = c.value(0) ? c.graph.assumed_blocks(*c.value(0)) : nullptr)
    return *assumed;
  const auto w = weights(c);
  if (!w) return std::nullopt;
  for (int64_t t = 0; t < w->taps; ++t)  // the corner is off the diagonal of any blocks
    if (w->at(0, w->columns - 1, t) != 0) return Size(1);
  for (int64_t n = std::min(w->rows, w->columns); n > 1; --n) {
    if (w->rows % n != 0 || w->columns % n != 0) continue;
    bool zero = true;
    for (int64_t r = 0; r < w->rows && zero; ++r)
      for (int64_t k = 0; k < w->columns && zero; ++k)
        if (r / (w->rows / n) != k / (w->columns / n))
          for (int64_t t = 0; t < w->taps && zero; ++t) zero = w->at(r, k, t) == 0;
    if (zero) return Size(n);
  }
  return Size(1);
}

// By the operators that make it, over the reals: of other values nothing is known.
bool is_positive(const WorkGraph& graph, ir::Value v, int depth) {
  if (!v.present() || depth == 0) return false;
  if (const Tensor* t = graph.tensor(v)) {
    if (!is_float(t->type())) return false;
    for (int64_t i = 0; i < t->size(); ++i)
      if (!(t->float_at(i) > 0)) return false;
    return true;
  }
  const std::string& op = graph.def(v.node).name;
  if (op == "exp" || op == "sigmoid" || op == "softmax" || op == "softplus") return true;
  const auto of = [&](size_t k) { return is_positive(graph, graph.inputs(v.node)[k], depth - 1); };
  if (op == "add" || op == "mul" || op == "div") return of(0) && of(1);
  return (op == "sqrt" || op == "reciprocal" || op == "expand" || op == "reshape" ||
          op == "transpose") &&
         of(0);
}

const Function table[] = {
    {"unit-matrix", "a constant identity matrix", unit_matrix},
    {"unit-kernel", "convolving with the constant weights, given pads and groups, copies",
     unit_kernel},
    {"blocks", "blocks on the diagonal of the first two axes outside of which a constant is 0",
     blocks},
    {"halves-equal", "a constant's two halves along the last axis are equal", halves_equal},
    {"positive", "every element is above 0 by the operators that make the tensor",
     [](const Call& c) -> Result {
       return c.type(0) ? Result(is_positive(c.graph, *c.value(0), 8)) : std::nullopt;
     }},
    {"rank", "number of axes of a tensor",
     [](const Call& c) -> Result {
       return c.type(0) ? Result(Size(c.type(0)->rank())) : std::nullopt;
     }},
    {"dim", "extent of a tensor along an axis", dim},
    {"dims", "extents of a tensor along a list of axes", dims},
    {"shape", "all extents of a tensor",
     [](const Call& c) -> Result { return c.type(0) ? Result(c.type(0)->shape) : std::nullopt; }},
    {"product", "product of a list, or element count of a tensor", product},
    {"dtype", "element type of a tensor",
     [](const Call& c) -> Result { return c.type(0) ? Result(c.type(0)->dtype) : std::nullopt; }},
    {"float", "the elements are floating-point numbers",
     [](const Call& c) -> Result {
       return c.type(0) ? Result(is_float(c.type(0)->dtype)) : std::nullopt;
     }},
    {"integer", "the elements are integers",
     [](const Call& c) -> Result {
       return c.type(0) ? Result(is_integer(c.type(0)->dtype)) : std::nullopt;
     }},
    {"widens", "every value of the first element type has its own value in the second",
     [](const Call& c) -> Result {
       const auto* a = std::get_if<DType>(&c.args.at(0));
       const auto* b = std::get_if<DType>(&c.args.at(1));
       if (!a || !b) return std::nullopt;
       if (*a == *b) return true;
       if (is_float(*a)) return is_float(*b) && size_of(*b) > size_of(*a);
       if (*a == DType::boolean) return true;
       if (is_float(*b))
         return bit_width(*a) <= (*b == DType::f64 ? 32 : *b == DType::f32 ? 16 : 8);
       if (*b == DType::boolean) return false;
       if (is_unsigned_integer(*a) && is_signed_integer(*b)) return bit_width(*b) > bit_width(*a);
       return is_unsigned_integer(*a) == is_unsigned_integer(*b) && bit_width(*b) >= bit_width(*a);
     }},
    {"const", "the tensor depends on constants only",
     [](const Call& c) -> Result {
       return c.value(0) && c.value(0)->present() ? Result(c.graph.is_constant(*c.value(0)))
                                                  : std::nullopt;
     }},
    {"uses", "number of uses of a node's results",
     [](const Call& c) -> Result {
       return c.value(0) ? Result(Size(static_cast<int64_t>(c.graph.use_count(c.value(0)->node))))
                         : std::nullopt;
     }},
    {"value", "the one value all elements of a constant have", scalar_value},
    {"elements", "the elements of a small integer constant", elements},
    {"broadcast-dim", "extent of a tensor along an axis of the rank it is broadcast to",
     broadcast_dim},
    {"broadcasts-to", "the first tensor broadcasts to exactly the shape of the second",
     broadcasts_to},
    {"only-along", "a tensor has extent 1 along every axis but one, counted in a given rank",
     only_along},
};

}  // namespace

std::span<const Function> tensor_functions() { return table; }

}  // namespace tessera::rules
