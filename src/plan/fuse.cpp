// SPDX-License-Identifier: Apache-2.0
// Fusion of loop steps: a producer's expression is substituted for the reads of its value. It pays
// when the memory traffic that disappears costs more than what is computed again; thanks to
// hoisting a row reduction (softmax, normalizations) is computed once per row in its consumer.
#include <algorithm>
#include <map>

#include "plan/passes.h"
#include "plan/rewrite.h"
#include "plan/work.h"

namespace tessera::plan {
namespace {

constexpr size_t max_nodes = 400;  // of one body; larger ones are slow to compile
constexpr size_t max_sources = 24;
// Nanoseconds on one core: a simple operation in a vector of 16 floats; a byte from or to the outer
// caches; starting one more kernel.
constexpr double ns_per_operation = 0.03, ns_per_byte = 0.05, ns_per_cached_byte = 0.01,
                 ns_per_launch = 1500;
// Beyond the caches traffic is what counts: there the same operations measure this much.
constexpr double far_bytes = 32e6, ns_per_far_operation = 0.01;

class Fusion {
 public:
  explicit Fusion(Draft& draft) : d_(draft) {}

  // Pointwise producers whose only consumer is pointwise on the same indices.
  void run_pointwise() {
    for (size_t k = 0; k < d_.steps.size(); ++k)
      if (is_loops(k)) fuse_pointwise(k);
  }

  // Elementwise producers first: what is left of a normalization then are its reductions and one
  // elementwise step, into which a reduction goes if it is computed there no more often. A
  // reduction that several steps read, which then become one, is tried again.
  void run() {
    predict_orders(d_);
    for (size_t k = 0; k < d_.steps.size(); ++k)
      if (is_loops(k) && !has_reduction(d_.steps[k].meaning.outputs[0].body)) fuse(k);
    for (bool again = true; again;) {
      again = false;
      for (size_t k = 0; k < d_.steps.size(); ++k)
        if (is_loops(k)) again = fuse(k) || again;
    }
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
    if (users.size() != 1 || !is_loops(users[0]) || has_reduction(p.meaning.outputs[0].body))
      return;
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
    stale_ = true;  // what a dead step reads has a consumer less
  }

  // Whether the step is gone.
  bool fuse(size_t k) {
    const Step& p = d_.steps[k];
    std::vector<size_t> all = consumers(p.dst[0]), users;
    for (size_t user : all)
      if (is_loops(user) && fits(p, d_.steps[user])) users.push_back(user);
    if (users.empty()) return false;
    // A body that only reads elsewhere costs nothing where it is read, and hides what it reads.
    const bool moves = p.meaning.outputs[0].body.node().kind == ir::ExprKind::read;
    if (!moves && (users.size() < all.size() || !pays(p, users))) return false;
    absorb(k, users);
    return d_.steps[k].dead;
  }

  // Compares the time of the producer and of what its consumers read of it with the time that its
  // consumers take longer.
  bool pays(const Step& p, const std::vector<size_t>& users) const {
    const Value& value = d_.values[p.dst[0]];
    const auto bytes = static_cast<double>(value.bytes());
    const double per_operation = bytes > far_bytes ? ns_per_far_operation : ns_per_operation;
    double before =
        total_cost(d_, p) * per_operation + traffic(p, {}) + bytes * ns_per_byte + ns_per_launch;
    double after = 0;
    for (size_t user : users) {
      const Step& c = d_.steps[user];
      for (const ReadUse& use : read_uses(d_, c))
        if (c.src[use.input] == p.dst[0])
          before += read_time(use.evaluations * static_cast<double>(size_of(value.dtype)), bytes);
      Step fused = copy_of(c);
      inline_producer(d_, fused, p);
      after += (total_cost(d_, fused) - total_cost(d_, c)) * per_operation;
      after += traffic(fused, c.src) - traffic(c, c.src);
    }
    return after <= before;
  }

  // `read` bytes out of a tensor of `size` bytes: each comes from far away once.
  static double read_time(double read, double size) {
    const double first = std::min(read, size);
    return first * ns_per_byte + (read - first) * ns_per_cached_byte;
  }

  // Time to read the sources of a step; those in `present` are near.
  double traffic(const Step& s, const std::vector<ValueId>& present) const {
    std::map<ValueId, double> read;
    for (const ReadUse& use : read_uses(d_, s))
      read[s.src[use.input]] +=
          use.evaluations * static_cast<double>(size_of(d_.values[s.src[use.input]].dtype));
    double total = 0;
    for (const auto& [v, amount] : read) {
      const bool near = std::find(present.begin(), present.end(), v) != present.end();
      total += near ? amount * ns_per_cached_byte
                    : read_time(amount, static_cast<double>(d_.values[v].bytes()));
    }
    return total;
  }

  static Step copy_of(const Step& s) {
    Step copy;
    copy.src = s.src;
    copy.dst = s.dst;
    copy.meaning.pool = std::make_unique<ir::ExprPool>();
    copy.meaning.inputs = s.meaning.inputs;
    copy.meaning.outputs = {
        {s.meaning.outputs[0].shape, copy.meaning.pool->import(s.meaning.outputs[0].body, {})}};
    return copy;
  }

  Draft& d_;
  std::vector<std::vector<size_t>> consumers_;
  bool stale_ = true;
};

}  // namespace

void fuse_pointwise(Draft& draft) { Fusion(draft).run_pointwise(); }
void fuse(Draft& draft) { Fusion(draft).run(); }

}  // namespace tessera::plan
