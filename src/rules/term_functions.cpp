// SPDX-License-Identifier: Apache-2.0
// One row per function of the condition language.
#include "rules/term_functions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/check.h"

namespace tessera::rules {
namespace {

using Size = sym::Expr;
using Sizes = std::vector<Size>;
using Result = std::optional<TermValue>;

struct Call {
  std::vector<TermValue>& args;
  const WorkGraph& graph;

  size_t count() const { return args.size(); }
  const ir::ValueType* type(size_t k) const {
    const auto* v = k < args.size() ? std::get_if<ir::Value>(&args[k]) : nullptr;
    return v && v->present() ? &graph.type(*v) : nullptr;
  }
  const ir::Value* value(size_t k) const {
    return k < args.size() ? std::get_if<ir::Value>(&args[k]) : nullptr;
  }
  const Size* size(size_t k) const {
    return k < args.size() ? std::get_if<Size>(&args[k]) : nullptr;
  }
  std::optional<int64_t> integer(size_t k) const {
    const Size* s = size(k);
    return s ? s->constant() : std::nullopt;
  }
  const Sizes* sizes(size_t k) const {
    return k < args.size() ? std::get_if<Sizes>(&args[k]) : nullptr;
  }
  std::optional<std::vector<int64_t>> integers(size_t k) const {
    const Sizes* s = sizes(k);
    return s ? sym::constants(*s) : std::nullopt;
  }
  std::optional<double> real(size_t k) const {
    if (k >= args.size()) return std::nullopt;
    if (const auto* d = std::get_if<double>(&args[k])) return *d;
    if (const auto n = integer(k)) return static_cast<double>(*n);
    return std::nullopt;
  }
};

// Arithmetic on sizes where both are sizes, else on reals.
template <typename OnSizes, typename OnReals>
Result arithmetic(const Call& c, OnSizes on_sizes, OnReals on_reals) {
  if (c.count() < 2) return std::nullopt;
  if (c.size(0)) {
    bool all = true;
    for (size_t k = 1; k < c.count(); ++k) all &= c.size(k) != nullptr;
    if (all) {
      Size r = *c.size(0);
      for (size_t k = 1; k < c.count(); ++k) r = on_sizes(r, *c.size(k));
      return r;
    }
  }
  auto r = c.real(0);
  for (size_t k = 1; r && k < c.count(); ++k) {
    const auto next = c.real(k);
    r = next ? std::optional(on_reals(*r, *next)) : std::nullopt;
  }
  return r ? Result(*r) : std::nullopt;
}

Result compare(const Call& c, bool or_equal) {
  const auto a = c.real(0), b = c.real(1);
  if (a && b) return or_equal ? *a <= *b : *a < *b;
  if (!c.size(0) || !c.size(1)) return std::nullopt;
  const auto difference = (*c.size(1) - *c.size(0)).constant();
  if (!difference) return std::nullopt;
  return or_equal ? *difference >= 0 : *difference > 0;
}

Result equal(const Call& c) {
  for (size_t k = 1; k < c.count(); ++k) {
    const auto a = c.real(0), b = c.real(k);
    if (a && b) {
      if (*a != *b) return false;
    } else if (!(c.args[0] == c.args[k])) {
      return false;
    }
  }
  return true;
}

std::optional<int64_t> normalized(const Call& c, size_t k, int64_t rank) {
  const auto a = c.integer(k);
  if (!a || *a < -rank || *a >= rank) return std::nullopt;
  return *a < 0 ? *a + rank : *a;
}

Result dim(const Call& c) {
  const ir::ValueType* t = c.type(0);
  if (!t) return std::nullopt;
  const auto axis = normalized(c, 1, t->rank());
  return axis ? Result(t->shape[*axis]) : std::nullopt;
}

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

Result elementwise_sum(const Call& c) {
  const Sizes *a = c.sizes(0), *b = c.sizes(1);
  if (!a || !b || a->size() != b->size()) return std::nullopt;
  Sizes r;
  for (size_t k = 0; k < a->size(); ++k) r.push_back((*a)[k] + (*b)[k]);
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

Result product(const Call& c) {
  const Sizes* s = c.sizes(0);
  if (s) return sym::product(*s);
  const ir::ValueType* t = c.type(0);
  return t ? Result(sym::product(t->shape)) : std::nullopt;
}

Result real_function(const Call& c, double (*f)(double)) {
  const auto x = c.real(0);
  return x ? Result(f(*x)) : std::nullopt;
}

struct Function {
  const char* name;
  const char* doc;
  Result (*call)(const Call&);
};

const Function functions[] = {
    {"+", "sum",
     [](const Call& c) {
       return arithmetic(
           c, [](Size a, Size b) { return a + b; }, [](double a, double b) { return a + b; });
     }},
    {"-", "difference, or the negative of one argument",
     [](const Call& c) -> Result {
       if (c.count() == 1 && c.size(0)) return -*c.size(0);
       if (c.count() == 1) return real_function(c, [](double x) { return -x; });
       return arithmetic(
           c, [](Size a, Size b) { return a - b; }, [](double a, double b) { return a - b; });
     }},
    {"*", "product",
     [](const Call& c) {
       return arithmetic(
           c, [](Size a, Size b) { return a * b; }, [](double a, double b) { return a * b; });
     }},
    {"/", "real quotient",
     [](const Call& c) -> Result {
       const auto a = c.real(0), b = c.real(1);
       return a && b && *b != 0 ? Result(*a / *b) : std::nullopt;
     }},
    {"div", "quotient rounded toward minus infinity",
     [](const Call& c) -> Result {
       if (!c.size(0) || !c.size(1) || *c.size(1) == Size(0)) return std::nullopt;
       return sym::floor_div(*c.size(0), *c.size(1));
     }},
    {"mod", "remainder of div",
     [](const Call& c) -> Result {
       if (!c.size(0) || !c.size(1) || *c.size(1) == Size(0)) return std::nullopt;
       return sym::modulo(*c.size(0), *c.size(1));
     }},
    {"min", "smaller real",
     [](const Call& c) -> Result {
       const auto a = c.real(0), b = c.real(1);
       return a && b ? Result(std::min(*a, *b)) : std::nullopt;
     }},
    {"max", "larger real",
     [](const Call& c) -> Result {
       const auto a = c.real(0), b = c.real(1);
       return a && b ? Result(std::max(*a, *b)) : std::nullopt;
     }},
    {"sqrt", "square root", [](const Call& c) { return real_function(c, std::sqrt); }},
    {"=", "all arguments are equal", equal},
    {"!=", "the two arguments differ",
     [](const Call& c) -> Result {
       for (size_t k = 0; k < c.count(); ++k)  // unequal symbols may stand for equal sizes
         if (c.size(k) && !c.integer(k)) return std::nullopt;
       return !std::get<bool>(*equal(c));
     }},
    {"<", "less", [](const Call& c) { return compare(c, false); }},
    {"<=", "less or equal", [](const Call& c) { return compare(c, true); }},
    {"not", "negation",
     [](const Call& c) -> Result {
       const auto* b = c.count() ? std::get_if<bool>(&c.args[0]) : nullptr;
       return b ? Result(!*b) : std::nullopt;
     }},
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
    {"len", "length of a list",
     [](const Call& c) -> Result {
       return c.sizes(0) ? Result(Size(static_cast<int64_t>(c.sizes(0)->size()))) : std::nullopt;
     }},
    {"add-lists", "elementwise sum of two lists", elementwise_sum},
};

const Function* find(const std::string& name) {
  for (const Function& f : functions)
    if (name == f.name) return &f;
  return nullptr;
}

}  // namespace

std::optional<TermValue> call_function(const std::string& name, std::vector<TermValue>& args,
                                       const WorkGraph& graph) {
  const Function* f = find(name);
  TESSERA_USER_CHECK(f != nullptr, "unknown function '{}' in a rule", name);
  if (args.empty()) return std::string_view(f->name) == "list" ? Result(Sizes{}) : std::nullopt;
  return f->call({args, graph});
}

bool is_function(const std::string& name) {
  return name == "map" || name == "all" || name == "and" || name == "or" || find(name) != nullptr;
}

std::vector<std::pair<std::string, std::string>> term_functions() {
  std::vector<std::pair<std::string, std::string>> result{
      {"and", "all conditions hold"},
      {"or", "one of the conditions holds"},
      {"all", "the condition holds in every repetition"},
      {"map", "the list of a term's values in all repetitions"}};
  for (const Function& f : functions) result.push_back({f.name, f.doc});
  return result;
}

}  // namespace tessera::rules
