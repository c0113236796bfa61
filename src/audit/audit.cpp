// SPDX-License-Identifier: Apache-2.0
// Rules on random instances, in two arithmetic domains.
#include "audit/audit.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "audit/arithmetic.h"
#include "base/check.h"
#include "rules/sample.h"

namespace tessera::audit {
namespace {

constexpr int64_t most_elements = 3000;

template <class A>
std::vector<Values<A>> inputs_of(const std::vector<Tensor>& tensors, Rng& rng) {
  std::vector<Values<A>> all;
  for (const Tensor& t : tensors) {
    Values<A> v{t.type(), t.shape(), {}, {}};
    for (int64_t k = 0; k < t.size(); ++k)
      if (is_float(t.type())) v.numbers.push_back(A::random(rng, t.float_at(k)));
      else v.integers.push_back(t.integer_at(k));
    all.push_back(std::move(v));
  }
  return all;
}

// Constants of narrow types hold literals such as √½ rounded; all else is as exact as doubles.
long double tolerance_of(const ir::Graph& left, const ir::Graph& right) {
  constexpr long double rounded = 1e-6L, exact = 1e-12L;
  constexpr double short_fraction = 4096;
  for (const ir::Graph* g : {&left, &right})
    for (ir::NodeId id = 0; id < g->node_count(); ++id) {
      const Tensor* t = g->constant({id, 0});
      if (!t || !is_float(t->type()) || t->type() == DType::f64) continue;
      for (int64_t k = 0; k < t->size(); ++k) {
        const double scaled = t->float_at(k) * short_fraction;
        if (scaled != std::floor(scaled)) return rounded;
      }
    }
  return exact;
}

template <class A>
bool equal(const Values<A>& a, const Values<A>& b, long double tolerance) {
  if (a.type != b.type || a.shape != b.shape || a.integers != b.integers) return false;
  long double scale = 1;
  for (const auto& v : a.numbers) scale = std::max(scale, A::magnitude(v));
  for (size_t k = 0; k < a.numbers.size(); ++k)
    if (!A::same(a.numbers[k], b.numbers[k], tolerance * scale)) return false;
  return true;
}

// Nothing where this arithmetic does not define a side.
template <class A>
std::optional<bool> agree(const ir::Graph& left, const ir::Graph& right,
                          const std::vector<Tensor>& tensors, Rng& rng) {
  try {
    const auto inputs = inputs_of<A>(tensors, rng);
    const auto a = evaluate<A>(left, inputs), b = evaluate<A>(right, inputs);
    if (a.size() != b.size()) return false;
    const long double tolerance = tolerance_of(left, right);
    for (size_t k = 0; k < a.size(); ++k)
      if (!equal(a[k], b[k], tolerance)) return false;
    return true;
  } catch (const NotDefined&) {
  } catch (const UserError&) {
  }
  return std::nullopt;
}

struct Extent {
  int64_t elements = 0;
  bool empty = false;
};

Extent extent_of(const ir::Graph& graph) {
  Extent e;
  for (const ir::Node& n : graph.nodes())
    for (const ir::ValueType& t : n.outputs) {
      int64_t size = 1;
      for (int64_t d : t.concrete_shape()) size *= d;
      e.elements += size;
      e.empty |= size == 0;
    }
  return e;
}

std::string describe(const ir::Graph& left) {
  std::string text;
  for (ir::NodeId id : left.inputs())
    text += (text.empty() ? "" : ", ") + left.node(id).outputs[0].to_string();
  return text;
}

}  // namespace

AuditReport audit(const rules::Rule& rule, const AuditOptions& options) {
  AuditReport report;
  Rng rng(options.seed);
  for (int draw = 0; draw < options.attempts && report.agreed() < options.instances; ++draw) {
    std::optional<ir::Graph> left, right;
    try {
      left = rules::sample_left_side(rule, rng, draw % 2 == 1);
      if (!left || extent_of(*left).elements > most_elements) continue;
      right = rules::rewrite_instance(rule, *left).graph;
      if (!right) continue;
    } catch (const UserError&) {
      continue;
    }
    const bool empty = extent_of(*left).empty || extent_of(*right).empty;
    const auto tensors = rules::random_inputs(*left, rng, false);
    const auto exact = agree<Field>(*left, *right, tensors, rng);
    const auto ordered = exact == true ? exact : agree<Extended>(*left, *right, tensors, rng);
    if (!ordered) {
      ++report.undecided;
      continue;
    }
    if (!*ordered) {
      report.failure = fmt::format("the sides differ at inputs {} (seed {}, draw {})",
                                   describe(*left), options.seed, draw);
      return report;
    }
    ++(exact == true ? report.exact : report.ordered);
    report.empty += empty;
  }
  return report;
}

CertificateReport check_certificate(const rules::Rule& rule,
                                    const rules::Certificates& certificates,
                                    const AuditOptions& options) {
  CertificateReport r{.name = rule.name};
  const auto known = certificates.find(rules::certificate_hash(rule).to_string());
  if (known == certificates.end()) {
    r.problem = "has no certificate for its text";
    return r;
  }
  r.status = known->second.status;
  std::vector<rules::Rule> directions{rule};
  if (rule.both_ways) directions.push_back(rule.reversed());
  for (const rules::Rule& direction : directions) {
    const AuditReport one = audit(direction, options);
    r.report.exact += one.exact;
    r.report.ordered += one.ordered;
    r.report.empty += one.empty;
    r.report.undecided += one.undecided;
    if (!one.failure.empty()) r.problem = direction.name + ": " + one.failure;
    else if (one.agreed() == 0 && r.problem.empty() && r.status != rules::Status::tested)
      r.problem = direction.name + ": no instance could be evaluated";
  }
  return r;
}

}  // namespace tessera::audit
