// SPDX-License-Identifier: Apache-2.0
// Both sides evaluated by the reference at random small sizes.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/evaluate.h"
#include "prove/problem.h"
#include "rules/sample.h"

namespace tessera::prove {
namespace {

constexpr int64_t most_elements = 800;

void collect(const ir::Graph& g, std::map<std::string, Index>& names) {
  for (const ir::Node& n : g.nodes()) {
    for (const ir::ValueType& t : n.outputs)
      for (const Index& d : t.shape) d.collect_symbols(names);
    for (const auto& [name, value] : n.attrs)
      if (const auto* dims = std::get_if<ir::Dims>(&value))
        for (const Index& d : *dims) d.collect_symbols(names);
  }
}

bool same(const Tensor& a, const Tensor& b, bool exact, int64_t& at) {
  at = -1;
  if (a.shape() != b.shape() || a.type() != b.type()) return false;
  double scale = 1;
  for (int64_t i = 0; i < a.size(); ++i)
    if (is_float(a.type()) && std::isfinite(a.float_at(i)))
      scale = std::max(scale, std::abs(a.float_at(i)));
  for (at = 0; at < a.size(); ++at) {
    if (!is_float(a.type())) {
      if (a.integer_at(at) != b.integer_at(at)) return false;
      continue;
    }
    const double x = a.float_at(at), y = b.float_at(at);
    if (std::isnan(x) && (exact ? std::isnan(y) : true)) continue;  // outside of the reals
    if (std::isnan(y)) return false;
    if (exact && x == 0 && y == 0 && std::signbit(x) != std::signbit(y)) return false;
    if (exact ? x != y : x != y && !(std::abs(x - y) <= 1e-6 * scale)) return false;
  }
  return true;
}

std::string describe(const Problem& p, const Substitution& sizes, size_t output, int64_t element,
                     const Tensor& a, const Tensor& b, uint64_t seed) {
  std::string text = p.description;
  for (const auto& [name, value] : sizes) text += fmt::format(" {}={}", name, value.to_string());
  if (element < 0) return text + ": the results have other shapes or types";
  const auto at = [&](const Tensor& t) {
    return is_float(t.type()) ? fmt::format("{:.9g}", t.float_at(element))
                              : fmt::format("{}", t.integer_at(element));
  };
  return fmt::format(
      "{}, inputs of seed {}: element {} of result {} is {} on the left, {} on the "
      "right",
      text, seed, element, output, at(a), at(b));
}

}  // namespace

std::string replay(const Problem& given, int attempts, uint64_t seed, int& tried) {
  // A record clamps known bounds where it requires symbolic ones to lie inside.
  Problem p = given;
  assume_requirements(p);
  std::map<std::string, Index> names;
  collect(p.left, names);
  collect(p.right, names);
  for (const Index& size : p.sizes) p.hypotheses.push_back({size - Index(p.least), false});
  for (const Guard& g : p.hypotheses) g.value.collect_symbols(names);
  Rng rng(seed);
  tried = 0;
  for (int draw = 0; draw < attempts * 20 && tried < attempts; ++draw) {
    Substitution sizes;
    for (const auto& [name, value] : names)
      sizes.emplace(name, Index(rng.uniform() < 0.2 ? 1 : rng.integer(1, draw % 3 == 2 ? 7 : 4)));
    bool allowed = true;
    for (const Guard& g : p.hypotheses) {
      const auto v = g.value.substitute(sizes).constant();
      allowed &= v && (g.equal ? *v == 0 : *v >= 0);
    }
    std::map<double, double> numbers;
    for (const double v : p.parameters)
      numbers.emplace(v, static_cast<double>(static_cast<float>(0.05 + 2 * rng.uniform())));
    const auto number = [&](double v) { return numbers.contains(v) ? numbers.at(v) : v; };
    for (const auto& [low, high] : p.at_most) allowed &= number(low) <= number(high);
    if (!allowed) continue;
    std::vector<Tensor> inputs, a, b;
    try {
      const ir::Graph left = resized(p.left, sizes, numbers);
      int64_t elements = 0;
      for (const ir::Node& n : left.nodes())
        for (const ir::ValueType& t : n.outputs) {
          int64_t size = 1;
          for (int64_t d : t.concrete_shape()) size *= d;
          elements += size;
        }
      if (elements > most_elements) continue;
      const ir::Graph right = resized(p.right, sizes, numbers);
      const bool exact = p.domain != Domain::reals;
      inputs = rules::random_inputs(left, rng, exact && draw % 2 == 1);
      const ops::EvalOptions eval{.tier = ops::Tier::tree, .wide = !exact};
      a = ops::evaluate(left, inputs, eval);
      b = ops::evaluate(right, inputs, eval);
    } catch (const UserError&) {
      continue;  // illegal at these sizes
    }
    ++tried;
    int64_t element = 0;
    for (size_t k = 0; k < a.size(); ++k)
      if (!same(a[k], b[k], p.domain != Domain::reals, element))
        return describe(p, sizes, k, element, a[k], b[k], seed);
  }
  return {};
}

}  // namespace tessera::prove
