// SPDX-License-Identifier: Apache-2.0
// The classic dynamic program over the ends of subchains, with batch broadcasting; products of
// constants cost nothing, since they are folded.
#include <limits>

#include "ops/registry.h"
#include "rules/passes.h"

namespace tessera::rules {
namespace {

struct Chain {
  std::vector<ir::Value> operands;
  std::vector<ir::NodeId> nodes;  ///< the products, the root first
};

// Operands of nested products, left to right. A product that is used elsewhere stays an operand.
void collect(const WorkGraph& g, ir::NodeId node, Chain& chain) {
  chain.nodes.push_back(node);
  for (ir::Value v : g.inputs(node)) {
    const bool inner =
        g.def(v.node).name == "matmul" && g.use_count(v.node) == 1 && chain.nodes.size() < 64;
    bool matrices = true;
    if (inner)
      for (ir::Value u : g.inputs(v.node)) matrices &= g.type(u).rank() >= 2;
    if (inner && matrices) collect(g, v.node, chain);
    else chain.operands.push_back(v);
  }
}

struct Piece {
  std::vector<int64_t> batch;
  int64_t rows = 0, columns = 0;
  bool constant = false;
  double cost = 0;
  size_t split = 0;
};

std::vector<int64_t> broadcast_batch(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  std::vector<int64_t> r(std::max(a.size(), b.size()), 1);
  for (size_t k = 0; k < r.size(); ++k) {
    const int64_t x = k < a.size() ? a[a.size() - 1 - k] : 1;
    const int64_t y = k < b.size() ? b[b.size() - 1 - k] : 1;
    r[r.size() - 1 - k] = x == 1 ? y : x;
  }
  return r;
}

double multiplications(const Piece& l, const Piece& r) {
  if (l.constant && r.constant) return 0;
  double n = static_cast<double>(l.rows) * l.columns * r.columns;
  for (int64_t b : broadcast_batch(l.batch, r.batch)) n *= static_cast<double>(b);
  return n;
}

Piece joined(const Piece& l, const Piece& r) {
  Piece p;
  p.batch = broadcast_batch(l.batch, r.batch);
  p.rows = l.rows;
  p.columns = r.columns;
  p.constant = l.constant && r.constant;
  p.cost = l.cost + r.cost + multiplications(l, r);
  return p;
}

class Order {
 public:
  bool read(const WorkGraph& g, const Chain& chain) {
    n_ = chain.operands.size();
    best_.assign(n_ * n_, {});
    for (size_t i = 0; i < n_; ++i) {
      const ir::ValueType& t = g.type(chain.operands[i]);
      const auto shape = sym::constants(t.shape);
      if (!shape || shape->size() < 2) return false;
      Piece& p = at(i, i);
      p.batch.assign(shape->begin(), shape->end() - 2);
      p.rows = (*shape)[shape->size() - 2];
      p.columns = shape->back();
      p.constant = g.is_constant(chain.operands[i]);
    }
    return true;
  }

  void solve() {
    for (size_t length = 2; length <= n_; ++length)
      for (size_t i = 0; i + length <= n_; ++i) {
        Piece best;
        best.cost = std::numeric_limits<double>::infinity();
        for (size_t k = i; k + 1 < i + length; ++k) {
          Piece p = joined(at(i, k), at(k + 1, i + length - 1));
          p.split = k;
          if (p.cost < best.cost) best = std::move(p);
        }
        at(i, i + length - 1) = std::move(best);
      }
  }

  double cost() const { return best_[n_ - 1].cost; }

  // Cost of the chain as it stands: the same recursion over its own products.
  Piece current(const WorkGraph& g, const Chain& chain, ir::NodeId node, size_t& next,
                size_t& seen) {
    ++seen;
    Piece sides[2];
    for (int k = 0; k < 2; ++k) {
      const ir::Value v = g.inputs(node)[k];
      const bool inner =
          seen < chain.nodes.size() && chain.nodes[seen] == v.node && chain.operands[next] != v;
      if (inner) sides[k] = current(g, chain, v.node, next, seen);
      else sides[k] = at(next, next), ++next;
    }
    return joined(sides[0], sides[1]);
  }

  ir::Value build(WorkGraph& g, const Chain& chain, size_t i, size_t j) {
    if (i == j) return chain.operands[i];
    const size_t k = at(i, j).split;
    const ir::Value l = build(g, chain, i, k), r = build(g, chain, k + 1, j);
    return g.add_value("matmul", {l, r});
  }

 private:
  Piece& at(size_t i, size_t j) { return best_[i * n_ + j]; }
  size_t n_ = 0;
  std::vector<Piece> best_;
};

}  // namespace

bool reorder_matrix_chain(WorkGraph& graph, ir::NodeId node) {
  if (!is_float(graph.type({node, 0}).dtype)) return false;
  for (ir::Value v : graph.inputs(node))
    if (graph.type(v).rank() < 2) return false;
  // Only the outermost product of a chain starts one.
  if (graph.use_count(node) == 1 && graph.users(node).size() == 1 &&
      graph.def(graph.users(node)[0]).name == "matmul")
    for (ir::Value v : graph.inputs(graph.users(node)[0]))
      if (v.node != node && graph.type(v).rank() >= 2) return false;
  Chain chain;
  collect(graph, node, chain);
  if (chain.operands.size() < 3) return false;
  Order order;
  if (!order.read(graph, chain)) return false;
  order.solve();
  size_t next = 0, seen = 0;
  const double now = order.current(graph, chain, node, next, seen).cost;
  if (!(order.cost() < now * (1 - 1e-9))) return false;
  const size_t mark = graph.node_limit();
  const ir::Value result = order.build(graph, chain, 0, chain.operands.size() - 1);
  return finish_pass(graph, mark, node, {result}, "matrix-chain");
}

}  // namespace tessera::rules
