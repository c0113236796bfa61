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

const Function table[] = {
    {"halves-equal", "a constant's two halves along the last axis are equal", halves_equal},
    {"rank", "number of axes of a tensor",
     [](const Call& c) -> Result {
       return c.type(0) ? Result(Size(c.type(0)->rank())) : std::nullopt;
     }},
    {"dim", "extent of a tensor along an axis", dim},
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
    {"broadcasts-to", "the first tensor broadcasts to exactly the shape of the second",
     broadcasts_to},
    {"only-along", "a tensor has extent 1 along every axis but one, counted in a given rank",
     only_along},
};

}  // namespace

std::span<const Function> tensor_functions() { return table; }

}  // namespace tessera::rules
