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

// The rewritten instance, if the rule fires so that all outputs are replaced.
std::optional<ir::Graph> rewritten(const Rule& rule, const ir::Graph& left) {
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
  }
  if (!done) return std::nullopt;
  return graph.to_graph();
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
    const auto right = rewritten(rule, *left);
    if (!right) continue;
    const bool exact = rule.mode == Mode::exact;
    const std::vector<Tensor> inputs = random_inputs(*left, rng, exact && k % 2 == 1);
    const ops::EvalOptions eval{.tier = ops::Tier::tree, .wide = !exact};
    std::vector<Tensor> a, b;
    try {
      a = ops::evaluate(*left, inputs, eval);
      b = ops::evaluate(*right, inputs, eval);
    } catch (const UserError&) {
      continue;  // an index out of range on both sides
    }
    for (size_t o = 0; o < a.size(); ++o)
      if (exact ? !same_bits(a[o], b[o]) : !close(a[o], b[o])) {
        report.message = fmt::format("the sides differ on the instance {{{}}} -> {{{}}}",
                                     describe(*left), describe(*right));
        return report;
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
