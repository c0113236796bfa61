// SPDX-License-Identifier: Apache-2.0
// Lists, axes and permutations.
#include <algorithm>

#include "rules/term_call.h"

namespace tessera::rules {
namespace {

// compose p q: the permutation of transpose[q] after transpose[p]; an empty one reverses.
Result compose(const Call& c) {
  auto p = c.integers(0), q = c.integers(1);
  if (!p || !q || p->size() != q->size()) return std::nullopt;
  Sizes r;
  for (int64_t k : *q) {
    if (k < 0 || k >= static_cast<int64_t>(p->size())) return std::nullopt;
    r.push_back((*p)[k]);
  }
  return r;
}

Result inverse(const Call& c) {
  const auto p = c.integers(0);
  if (!p) return std::nullopt;
  Sizes r(p->size());
  for (size_t k = 0; k < p->size(); ++k) {
    if ((*p)[k] < 0 || (*p)[k] >= static_cast<int64_t>(p->size())) return std::nullopt;
    r[(*p)[k]] = static_cast<int64_t>(k);
  }
  return r;
}

// permutation ?p ?x: p, or the reversal that an empty one stands for.
Result permutation(const Call& c) {
  const Sizes* p = c.sizes(0);
  const ir::ValueType* t = c.type(1);
  if (!p || !t) return std::nullopt;
  if (!p->empty()) return *p;
  Sizes r;
  for (int k = t->rank(); k-- > 0;) r.push_back(k);
  return r;
}

Result is_identity(const Call& c) {
  const auto p = c.integers(0);
  if (!p) return std::nullopt;
  for (size_t k = 0; k < p->size(); ++k)
    if ((*p)[k] != static_cast<int64_t>(k)) return false;
  return true;
}

Result range(const Call& c) {
  const auto from = c.integer(0), to = c.integer(1);
  if (!from || !to || *to - *from > 64) return std::nullopt;
  Sizes r;
  for (int64_t k = *from; k < *to; ++k) r.push_back(k);
  return r;
}

Result part(const Call& c, bool first) {
  const Sizes* s = c.sizes(0);
  const auto n = c.integer(1);
  if (!s || !n || *n < 0 || *n > static_cast<int64_t>(s->size())) return std::nullopt;
  return first ? Sizes(s->begin(), s->begin() + *n) : Sizes(s->begin() + *n, s->end());
}

Result at(const Call& c) {
  const Sizes* s = c.sizes(0);
  if (!s) return std::nullopt;
  const auto k = normalized(c, 1, static_cast<int64_t>(s->size()));
  return k ? Result((*s)[*k]) : std::nullopt;
}

Result append(const Call& c) {
  Sizes r;
  for (size_t k = 0; k < c.count(); ++k) {
    if (const Sizes* s = c.sizes(k)) r.insert(r.end(), s->begin(), s->end());
    else if (const Size* one = c.size(k)) r.push_back(*one);
    else return std::nullopt;
  }
  return r;
}

Result with(const Call& c) {  // (with list index value)
  const Sizes* s = c.sizes(0);
  if (!s || !c.size(2)) return std::nullopt;
  const auto k = normalized(c, 1, static_cast<int64_t>(s->size()));
  if (!k) return std::nullopt;
  Sizes r = *s;
  r[*k] = *c.size(2);
  return r;
}

Result elementwise(const Call& c, Size (*f)(const Size&, const Size&)) {
  const Sizes *a = c.sizes(0), *b = c.sizes(1);
  if (!a || !b || a->size() != b->size()) return std::nullopt;
  Sizes r;
  for (size_t k = 0; k < a->size(); ++k) r.push_back(f((*a)[k], (*b)[k]));
  return r;
}

// (select-list list indices): the elements at the indices, which may count from the end.
Result select_list(const Call& c) {
  const Sizes* s = c.sizes(0);
  const auto indices = c.integers(1);
  if (!s || !indices) return std::nullopt;
  const auto n = static_cast<int64_t>(s->size());
  Sizes r;
  for (int64_t k : *indices) {
    if (k < -n || k >= n) return std::nullopt;
    r.push_back((*s)[k < 0 ? k + n : k]);
  }
  return r;
}

Result contains(const Call& c) {
  const Sizes* s = c.sizes(0);
  if (!s || !c.size(1)) return std::nullopt;
  return std::find(s->begin(), s->end(), *c.size(1)) != s->end();
}

// All axes of a reduction, normalized and sorted; an empty list means all of them.
Result axes_of(const Call& c) {
  const auto axes = c.integers(0);
  const auto rank = c.integer(1);
  if (!axes || !rank) return std::nullopt;
  std::vector<int64_t> r = *axes;
  if (r.empty())
    for (int64_t k = 0; k < *rank; ++k) r.push_back(k);
  for (int64_t& a : r) {
    if (a < -*rank || a >= *rank) return std::nullopt;
    if (a < 0) a += *rank;
  }
  std::sort(r.begin(), r.end());
  return Sizes(r.begin(), r.end());
}

// Whether a transpose by p moves only axes of extent 1, so that the elements keep their order.
Result keeps_order(const Call& c) {
  const auto p = c.integers(0);
  const ir::ValueType* t = c.type(1);
  if (!p || !t || static_cast<int>(p->size()) != t->rank()) return std::nullopt;
  int64_t last = -1;
  for (int64_t k : *p) {
    if (t->shape.at(k) == Size(1)) continue;
    if (k < last) return false;
    last = k;
  }
  return true;
}

// Whether p swaps the last two axes of `rank` and leaves the others.
Result swaps_last(const Call& c) {
  const auto p = c.integers(0);
  if (!p || p->size() < 2) return false;
  const auto n = static_cast<int64_t>(p->size());
  for (int64_t k = 0; k < n; ++k) {
    const int64_t wanted = k == n - 1 ? n - 2 : k == n - 2 ? n - 1 : k;
    if ((*p)[k] != wanted) return false;
  }
  return true;
}

Result all_elements(const Call& c, bool (*test)(int64_t)) {
  const auto s = c.integers(0);
  if (!s) return std::nullopt;
  return std::all_of(s->begin(), s->end(), test);
}

Result repeat(const Call& c) {
  const auto n = c.integer(1);
  if (!c.size(0) || !n || *n < 0 || *n > 64) return std::nullopt;
  return Sizes(static_cast<size_t>(*n), *c.size(0));
}

const Function table[] = {
    {"keeps-order", "a transpose moves only axes of extent 1", keeps_order},
    {"swaps-last", "a permutation swaps the last two axes only", swaps_last},
    {"ones", "all elements of a list are 1",
     [](const Call& c) { return all_elements(c, [](int64_t k) { return k == 1; }); }},
    {"nonnegative", "no element of a list is negative",
     [](const Call& c) { return all_elements(c, [](int64_t k) { return k >= 0; }); }},
    {"repeat", "a list of n equal elements", repeat},
    {"default", "the first list, or the second if it is empty",
     [](const Call& c) -> Result {
       if (!c.sizes(0) || !c.sizes(1)) return std::nullopt;
       return c.sizes(0)->empty() ? *c.sizes(1) : *c.sizes(0);
     }},
    {"compose", "permutation of a transpose by q after one by p", compose},
    {"inverse", "inverse permutation", inverse},
    {"permutation", "the permutation of a transpose of a tensor", permutation},
    {"identity", "the permutation changes nothing", is_identity},
    {"axes", "normalized axes of a reduction over a rank", axes_of},
    {"axis", "an axis counted from the front of a rank",
     [](const Call& c) -> Result {
       const auto rank = c.integer(1);
       const auto a = rank ? normalized(c, 0, *rank) : std::nullopt;
       return a ? Result(Size(*a)) : std::nullopt;
     }},
    {"list", "a list", append},
    {"append", "lists one after the other", append},
    {"range", "integers from a up to b", range},
    {"take", "first elements of a list", [](const Call& c) { return part(c, true); }},
    {"drop", "a list without its first elements", [](const Call& c) { return part(c, false); }},
    {"at", "element of a list", at},
    {"with", "a list with one element replaced", with},
    {"select-list", "elements of a list at a list of indices", select_list},
    {"sum", "sum of a list",
     [](const Call& c) -> Result {
       if (!c.sizes(0)) return std::nullopt;
       Size total(0);
       for (const Size& k : *c.sizes(0)) total = total + k;
       return total;
     }},
    {"contains", "a list has a given element", contains},
    {"len", "length of a list",
     [](const Call& c) -> Result {
       return c.sizes(0) ? Result(Size(static_cast<int64_t>(c.sizes(0)->size()))) : std::nullopt;
     }},
    {"add-lists", "elementwise sum of two lists",
     [](const Call& c) {
       return elementwise(c, [](const Size& a, const Size& b) { return a + b; });
     }},
    {"sub-lists", "elementwise difference of two lists",
     [](const Call& c) {
       return elementwise(c, [](const Size& a, const Size& b) { return a - b; });
     }},
    {"mul-lists", "elementwise product of two lists",
     [](const Call& c) {
       return elementwise(c, [](const Size& a, const Size& b) { return a * b; });
     }},
};

}  // namespace

std::span<const Function> list_functions() { return table; }

}  // namespace tessera::rules
