// SPDX-License-Identifier: Apache-2.0
// Both sides of random instances, compared by the reference evaluators.
#include "corpus/taso_verdict.h"

#include <cmath>

#include "base/check.h"
#include "ops/evaluate.h"
#include "rules/sample.h"

namespace tessera::corpus {
namespace {

// The first element that differs, as text; nothing if both sides agree.
std::optional<std::string> difference(const TasoInstance& instance,
                                      const std::vector<Tensor>& inputs, ops::Tier tier) {
  const auto a = ops::evaluate(instance.left, inputs, {.tier = tier}),
             b = ops::evaluate(instance.right, inputs, {.tier = tier});
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k].shape() != b[k].shape())
      return fmt::format("result {} has shape {} on the left, {} on the right", k,
                         shape_to_string(a[k].shape()), shape_to_string(b[k].shape()));
    double scale = 1;
    for (int64_t i = 0; i < a[k].size(); ++i) scale = std::max(scale, std::abs(a[k].float_at(i)));
    for (int64_t i = 0; i < a[k].size(); ++i)
      if (std::abs(a[k].float_at(i) - b[k].float_at(i)) > 1e-9 * scale)
        return fmt::format("element {} of result {} is {:.6g} on the left, {:.6g} on the right", i,
                           k, a[k].float_at(i), b[k].float_at(i));
  }
  return std::nullopt;
}

TasoVerdict sampled(const TasoRule& rule, const TasoOptions& options, const TasoDraw& base) {
  Rng rng(options.seed);
  TasoVerdict verdict;
  const bool shapeless = has_shapeless_constant(rule);
  for (int k = 0; k < 3 * options.instances && verdict.instances < options.instances; ++k) {
    TasoDraw draw = base;
    draw.high = k % 3 == 0 ? 2 : k % 3 == 1 ? 4 : 6;
    draw.same_outputs = shapeless || k % 2 == 0;
    const auto instance = draw_taso_instance(rule, rng, draw);
    if (!instance) continue;
    const std::vector<Tensor> inputs = rules::random_inputs(instance->left, rng, false);
    if (difference(*instance, inputs, ops::Tier::loops)) {
      if (const auto replayed = difference(*instance, inputs, ops::Tier::tree)) {
        verdict.truth = Truth::fails;
        verdict.counterexample = instance->to_string() + ": " + *replayed;
        return verdict;
      }
      fail_user(ErrorKind::unsupported, "rule {}: the two evaluators disagree on {}", rule.name,
                instance->to_string());
    }
    ++verdict.instances;
    verdict.truth = Truth::holds;
  }
  return verdict;
}

}  // namespace

std::string_view to_string(Truth truth) {
  switch (truth) {
    case Truth::holds: return "true";
    case Truth::fails: return "false";
    case Truth::undecided: return "undecided";
  }
  return "";
}

TasoVerdict decide(const TasoRule& rule, const TasoOptions& options) {
  TasoVerdict verdict = sampled(rule, options, {});
  if (verdict.truth != Truth::fails) return verdict;
  const struct {
    const char* text;
    TasoDraw draw;
  } conditions[] = {{"groups = 1", {.one_group = true}},
                    {"concatenated operands have equal shapes", {.equal_parts = true}}};
  for (const auto& c : conditions)
    if (sampled(rule, options, c.draw).truth == Truth::holds) {
      verdict.condition = c.text;
      break;
    }
  return verdict;
}

}  // namespace tessera::corpus
