// SPDX-License-Identifier: Apache-2.0
// Both sides of sample instances compared by the reference.
#include <cmath>

#include "base/check.h"
#include "ops/evaluate.h"
#include "rules/matcher.h"
#include "rules/sample.h"

namespace tessera::rules {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.type() != b.type() || a.shape() != b.shape()) return false;
  for (int64_t i = 0; i < a.size(); ++i) {
    if (!is_float(a.type())) {
      if (a.integer_at(i) != b.integer_at(i)) return false;
      continue;
    }
    const double x = a.float_at(i), y = b.float_at(i);
    if (std::isnan(x) != std::isnan(y)) return false;
    if (!std::isnan(x) && (x != y || std::signbit(x) != std::signbit(y))) return false;
  }
  return true;
}

bool close(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return false;
  double scale = 1;
  for (int64_t i = 0; i < a.size(); ++i)
    if (is_float(a.type()) && std::isfinite(a.float_at(i)))
      scale = std::max(scale, std::abs(a.float_at(i)));
  for (int64_t i = 0; i < a.size(); ++i) {
    if (!is_float(a.type())) {
      if (a.integer_at(i) != b.integer_at(i)) return false;
      continue;
    }
    const double x = a.float_at(i), y = b.float_at(i);
    if (std::isnan(x) != std::isnan(y)) return false;
    // 1e-6: literals such as √2 are known to f32 only.
    if (!std::isnan(x) && x != y && !(std::abs(x - y) <= 1e-6 * scale)) return false;
  }
  return true;
}

std::string describe(const ir::Graph& g) {
  std::string text;
  for (const ir::Node& n : g.nodes()) {
    text += (text.empty() ? "" : "; ") + n.op;
    for (const ir::ValueType& t : n.outputs) text += " " + t.to_string();
  }
  return text;
}

}  // namespace

RewrittenInstance rewrite_instance(const Rule& rule, const ir::Graph& left) {
  RewrittenInstance result;
  WorkGraph graph(left, {.fold_constants = false});
  bool done = false;
  for (ir::NodeId id = 0; id < graph.node_limit() && !done; ++id) {
    std::optional<Match> first;
    find_matches(graph, rule, id, [&](const Match& m) {
      for (const ir::GraphOutput& o : graph.results()) {
        const bool is_root = std::find(m.roots.begin(), m.roots.end(), o.value) != m.roots.end();
        if (!is_root) return true;
      }
      first = m;
      return false;
    });
    if (first) done = apply(graph, *first);
    result.matched |= first.has_value();
  }
  if (done) result.graph = graph.to_graph();
  return result;
}

std::optional<std::string> disagreement(const ir::Graph& left, const ir::Graph& right, Mode mode,
                                        std::span<const Tensor> inputs) {
  const bool exact = mode == Mode::exact;
  const ops::EvalOptions eval{.tier = ops::Tier::tree, .wide = !exact};
  const std::vector<Tensor> a = ops::evaluate(left, inputs, eval),
                            b = ops::evaluate(right, inputs, eval);
  for (size_t o = 0; o < a.size(); ++o)
    if (exact ? !same_bits(a[o], b[o]) : !close(a[o], b[o]))
      return fmt::format("the sides differ on the instance {{{}}} -> {{{}}}", describe(left),
                         describe(right));
  return std::nullopt;
}

SampleReport check_rule(const Rule& rule, const SampleOptions& options) {
  SampleReport report;
  const Rule again = parse_rule(rule.to_string(), rule.family, rule.line);
  if (again.to_string() != rule.to_string()) {
    report.message = "does not print as it was read: " + again.to_string();
    return report;
  }
  Rng rng(options.seed);
  int built = 0, fired = 0;
  for (int k = 0; k < options.attempts && fired < options.instances; ++k) {
    const auto left = sample_left_side(rule, rng);
    if (!left) continue;
    ++built;
    const auto right = rewrite_instance(rule, *left).graph;
    if (!right) continue;
    const bool special = rule.mode == Mode::exact && k % 2 == 1;
    try {
      if (const auto d =
              disagreement(*left, *right, rule.mode, random_inputs(*left, rng, special))) {
        report.message = *d;
        return report;
      }
    } catch (const UserError&) {
      continue;  // an index out of range on both sides
    }
    ++fired;
  }
  report.instances = fired;
  report.ok = fired >= std::min(3, options.instances);
  if (!report.ok)
    report.message =
        fmt::format("fires on {} of {} instances ({} drawn)", fired, built, options.attempts);
  if (report.ok && rule.both_ways && !rule.name.ends_with("-reversed")) {
    const SampleReport back = check_rule(rule.reversed(), options);
    report.ok = back.ok;
    report.instances += back.instances;
    report.message = back.ok ? "" : "reversed: " + back.message;
  }
  return report;
}

}  // namespace tessera::rules
