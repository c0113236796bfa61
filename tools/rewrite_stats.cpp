// SPDX-License-Identifier: Apache-2.0
// rewrite_stats MODEL.onnx [SECONDS [check] [DISABLED…]]: what the search makes of a model:
// operators, predicted cost, rules used, time; with `check` the error against the input in float64.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>

#include "onnx/import.h"
#include "ops/evaluate.h"
#include "rules/sample.h"
#include "search/optimize.h"

namespace {

std::map<std::string, int> operators(const tessera::ir::Graph& g) {
  std::map<std::string, int> counts;
  for (const auto& n : g.nodes())
    if (n.op != "input" && n.op != "constant") ++counts[n.op];
  return counts;
}

// ‖y − ŷ‖ / ‖y‖ of the worst output, on random inputs (token ids below 1000).
double error_of(const tessera::ir::Graph& a, const tessera::ir::Graph& b) {
  using namespace tessera;
  Rng rng(1);
  std::vector<Tensor> inputs = rules::random_inputs(a, rng, false);
  for (Tensor& t : inputs)
    if (!is_float(t.type()))
      for (int64_t i = 0; i < t.size(); ++i) t.set_integer(i, rng.integer(0, 999));
  const auto x = ops::evaluate(a, inputs, {.threads = 2}),
             y = ops::evaluate(b, inputs, {.threads = 2});
  double worst = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < x[k].size(); ++i) {
      const double d = x[k].float_at(i) - y[k].float_at(i);
      difference += d * d;
      norm += x[k].float_at(i) * x[k].float_at(i);
    }
    worst = std::max(worst, std::sqrt(difference / norm));
  }
  return worst;
}

}  // namespace

int main(int argc, char** argv) try {
  using namespace tessera;
  if (argc < 2) return 2;
  const ir::Graph graph = onnx::import_model(argv[1], {});
  search::OptimizeOptions options;
  if (argc > 2) options.budget_seconds = std::atof(argv[2]);
  bool check = false;
  for (int k = 3; k < argc; ++k)
    if (std::string_view(argv[k]) == "check") check = true;
    else options.disabled.insert(argv[k]);
  options.threads = 2;
  options.progress = [](const std::string& s) { std::printf("  %s\n", s.c_str()); };
  const auto rules = rules::load_rules("rules");
  const auto r = search::optimize(graph, rules, options);
  auto before = operators(graph), after = operators(r.graph);
  for (const auto& [op, n] : after) before.try_emplace(op, 0);
  for (const auto& [op, n] : before) std::printf("  %-28s %5d %5d\n", op.c_str(), n, after[op]);
  for (const auto& [rule, n] : r.rules_used) std::printf("  rule %-28s %5d\n", rule.c_str(), n);
  std::printf(
      "%s: %.3f -> %.3f ms, %.3f -> %.3f GF, %d -> %d kernels, %zu -> %zu nodes, %s, %d "
      "graphs, %.2f s\n",
      argv[1], r.cost_before * 1e3, r.cost_after * 1e3, r.before.flops / 1e9, r.after.flops / 1e9,
      r.before.kernels, r.after.kernels, graph.node_count(), r.graph.node_count(),
      std::string(to_string(r.stop)).c_str(), r.graphs_seen, r.seconds);
  if (check) std::printf("error %.2e\n", error_of(graph, r.graph));
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "rewrite_stats: %s\n", e.what());
  return 2;
}
