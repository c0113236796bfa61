// SPDX-License-Identifier: Apache-2.0
// Fusion of loop steps: a producer's expression is substituted for the reads of its value. It pays
// when the memory traffic that disappears costs more than what is computed again; thanks to hoisting
// a row reduction (softmax, normalizations) is computed once per row in its consumer.
#include <algorithm>

#include "plan/passes.h"
#include "plan/rewrite.h"
#include "plan/work.h"

namespace tessera::plan {
namespace {

constexpr size_t max_nodes = 400;  // of one body; larger ones are slow to compile
constexpr size_t max_sources = 24;
// Nanoseconds on one core: a simple operation in a vector of 16 floats; a byte from or to the outer
// caches; starting one more kernel.
constexpr double ns_per_operation = 0.03, ns_per_byte = 0.05, ns_per_launch = 1500;

class Fusion {
 public:
  explicit Fusion(Draft& draft) : d_(draft) {}

  // Pointwise producers whose only consumer is pointwise on the same indices.
  void run_pointwise() {
    for (size_t k = 0; k < d_.steps.size(); ++k)
      if (is_loops(k)) fuse_pointwise(k);
  }

  void run() {
    predict_orders(d_);
    for (size_t k = 0; k < d_.steps.size(); ++k)
      if (is_loops(k)) fuse(k);
  }

 private:
  bool is_loops(size_t k) const {
    return k < d_.steps.size() && d_.steps[k].kind == Step::Kind::loops && !d_.steps[k].dead;
  }

  const std::vector<size_t>& consumers(ValueId v) {
    if (stale_) consumers_ = find_consumers(d_);
    stale_ = false;
    return consumers_[v];
  }

  void fuse_pointwise(size_t k) {
    const Step& p = d_.steps[k];
    const std::vector<size_t> users = consumers(p.dst[0]);
    if (users.size() != 1 || !is_loops(users[0]) || has_reduction(p.meaning.outputs[0].body)) return;
    Step& c = d_.steps[users[0]];
    if (has_reduction(c.meaning.outputs[0].body) || !fits(p, c)) return;
    if (d_.values[c.dst[0]].shape != d_.values[p.dst[0]].shape) return;
    for (const ReadUse& use : read_uses(d_, c))
      if (c.src[use.input] == p.dst[0] && !use.identity) return;
    absorb(k, users);
  }

  bool fits(const Step& p, const Step& c) const {
    return node_count(p.meaning.outputs[0].body) + node_count(c.meaning.outputs[0].body) <=
               max_nodes &&
           p.src.size() + c.src.size() <= max_sources;
  }

  void absorb(size_t k, const std::vector<size_t>& users) {
    for (size_t user : users) inline_producer(d_, d_.steps[user], d_.steps[k]);
    stale_ = true;
    d_.steps[k].dead = consumers(d_.steps[k].dst[0]).empty();
  }

  void fuse(size_t k) {
    const Step& p = d_.steps[k];
    std::vector<size_t> all = consumers(p.dst[0]), users;
    for (size_t user : all)
      if (is_loops(user) && fits(p, d_.steps[user])) users.push_back(user);
    if (users.empty()) return;
    // A body that only reads elsewhere costs nothing where it is read, and hides what it reads.
    const bool moves = p.meaning.outputs[0].body.node().kind == ir::ExprKind::read;
    if (moves) return absorb(k, users);
    if (users.size() == all.size() && pays(p, users)) absorb(k, users);
  }

  bool pays(const Step& p, const std::vector<size_t>& users) const {
    const Value& value = d_.values[p.dst[0]];
    const auto elements = static_cast<double>(value.elements());
    double evaluations = 0, reads = 0;
    for (size_t user : users)
      for (const ReadUse& use : read_uses(d_, d_.steps[user]))
        if (d_.steps[user].src[use.input] == p.dst[0]) {
          evaluations += use.evaluations;
          reads += 1;
        }
    double sources = 0;  // reads per element of what p itself reads
    for (const ReadUse& use : read_uses(d_, p))
      if (!d_.values[p.src[use.input]].constant || d_.values[p.src[use.input]].elements() > 4096)
        sources += use.evaluations / std::max(elements, 1.0);
    const double again = std::max(evaluations - elements, 0.0);
    const auto width = static_cast<double>(size_of(value.dtype));
    const double cost = again * (total_cost(d_, p) / std::max(elements, 1.0) * ns_per_operation +
                                 sources * width * ns_per_byte);
    const double saved = (elements + evaluations) * width * ns_per_byte + ns_per_launch;
    return cost <= saved;
  }

  Draft& d_;
  std::vector<std::vector<size_t>> consumers_;
  bool stale_ = true;
};

}  // namespace

void fuse_pointwise(Draft& draft) { Fusion(draft).run_pointwise(); }
void fuse(Draft& draft) { Fusion(draft).run(); }

}  // namespace tessera::plan
