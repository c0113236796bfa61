// SPDX-License-Identifier: Apache-2.0
// softmax(q·t)·v in one pass over tiles of keys, with a running maximum and a running sum
// (FlashAttention: Dao et al., NeurIPS 2022; online softmax: Milakov and Gimelshein, 2018). The
// number of tiles is the length of a scan and may be symbolic.
#include <limits>
#include <numeric>

#include "base/check.h"
#include "ops/attr_reader.h"
#include "ops/builder.h"
#include "rules/passes.h"

namespace tessera::rules {
namespace {

bool is(const WorkGraph& g, ir::Value v, const char* op) {
  return v.present() && g.def(v.node).name == op;
}

/// softmax(q·t · scale)·v, all of one rank; the scale may be absent.
struct Attention {
  ir::Value q, t, v, scale;
};

std::optional<Attention> find_attention(const WorkGraph& g, ir::NodeId node) {
  Attention a;
  const ir::Value weights = g.inputs(node)[0];
  a.v = g.inputs(node)[1];
  if (!is(g, weights, "softmax")) return std::nullopt;
  const ops::AttrReader attrs(g.def(weights.node), g.node(weights.node).attrs);
  const int rank = g.type(weights).rank();
  if (attrs.axis("axis", rank) != rank - 1) return std::nullopt;
  ir::Value scores = g.inputs(weights.node)[0];
  if (is(g, scores, "mul") && g.type(g.inputs(scores.node)[1]).rank() == 0) {
    a.scale = g.inputs(scores.node)[1];
    scores = g.inputs(scores.node)[0];
  }
  if (!is(g, scores, "matmul")) return std::nullopt;
  a.q = g.inputs(scores.node)[0];
  a.t = g.inputs(scores.node)[1];
  for (ir::Value x : {a.q, a.t, a.v})
    if (g.type(x).rank() != rank || !is_float(g.type(x).dtype)) return std::nullopt;
  const ir::Dims &q = g.type(a.q).shape, &t = g.type(a.t).shape, &v = g.type(a.v).shape;
  for (int k = 0; k + 2 < rank; ++k)
    if (!(q[k] == t[k]) || !(q[k] == v[k])) return std::nullopt;
  return a;
}

/// Keys in one tile: the largest divisor of the number of keys up to 64, or what divides every
/// coefficient of a symbolic one; 0 if that leaves a single key or a single tile.
int64_t tile_of(const sym::Expr& keys) {
  if (const auto n = keys.constant()) {
    for (int64_t tile = std::min<int64_t>(64, *n / 2); tile > 1; --tile)
      if (*n % tile == 0) return tile;
    return 0;
  }
  int64_t common = keys.constant_part();
  for (const sym::Term& t : keys.terms()) common = std::gcd(common, t.coefficient);
  return common > 1 ? common : 0;
}

// One step: maximum, sum and weighted sum of the values seen so far take in a tile.
std::shared_ptr<const ir::Graph> step(const ir::ValueType& q, const ir::ValueType& t,
                                      const ir::ValueType& v, const ir::ValueType& row,
                                      const ir::ValueType& out, bool scaled) {
  ops::Builder b("tile");
  const ops::Val maximum = b.input("maximum", row), sum = b.input("sum", row),
                 weighted = b.input("weighted", out);
  const ops::Val tile_t = b.input("t", t), tile_v = b.input("v", v), query = b.input("q", q);
  ops::Val scores = ops::matmul(query, tile_t);
  if (scaled) scores = scores * b.input("scale", {q.dtype, {}});
  const ops::Val highest = b.op("max", {maximum, ops::reduce("reduce_max", scores, {-1})});
  const ops::Val weights = ops::exp(scores - highest), old = ops::exp(maximum - highest);
  b.output("maximum", highest);
  b.output("sum", sum * old + ops::reduce("reduce_sum", weights, {-1}));
  b.output("weighted", weighted * old + ops::matmul(weights, tile_v));
  return std::make_shared<const ir::Graph>(std::move(b).finish());
}

// An axis of extent tiles·tile as two; the tiles come first.
ir::Value tiled(WorkGraph& g, ir::Value x, int axis, int64_t tile) {
  ir::Dims shape = g.type(x).shape;
  shape[axis] = sym::floor_div(shape[axis], tile);
  shape.insert(shape.begin() + axis + 1, tile);
  std::vector<int64_t> perm{axis};
  for (int k = 0; k < static_cast<int>(shape.size()); ++k)
    if (k != axis) perm.push_back(k);
  const ir::Value split = g.add_value("reshape", {x}, {{"shape", shape}});
  return axis == 0 ? split : g.add_value("transpose", {split}, {{"perm", perm}});
}

ir::ValueType without_first(ir::ValueType type) {
  type.shape.erase(type.shape.begin());
  return type;
}

}  // namespace

bool attention_in_tiles(WorkGraph& graph, ir::NodeId node) {
  const auto a = find_attention(graph, node);
  if (!a) return false;
  const ir::ValueType q = graph.type(a->q), out = graph.type({node, 0});
  const int rank = q.rank();
  const sym::Expr keys = graph.type(a->t).shape[rank - 1];
  const int64_t tile = tile_of(keys);
  if (tile == 0) return false;
  const size_t mark = graph.node_limit();
  const ir::Value t = tiled(graph, a->t, rank - 1, tile), v = tiled(graph, a->v, rank - 2, tile);
  ir::ValueType row = out;
  row.shape[rank - 1] = 1;
  const auto filled = [&](double value, const ir::ValueType& type) {
    return graph.add_value("expand", {graph.add_scalar(value, type.dtype)},
                           {{"shape", type.shape}});
  };
  const double low = -std::numeric_limits<double>::infinity();
  std::vector<ir::Value> inputs{filled(low, row), filled(0, row), filled(0, out), t, v, a->q};
  if (a->scale.present()) inputs.push_back(a->scale);
  const auto body = step(q, without_first(graph.type(t)), without_first(graph.type(v)), row, out,
                         a->scale.present());
  const ir::NodeId scan = graph.add(
      "scan", inputs,
      {{"states", int64_t{3}}, {"scans", int64_t{2}}, {"length", ir::Dims{graph.type(t).shape[0]}}},
      {body});
  const ir::Value result = graph.add_value("div", {{scan, 2}, {scan, 1}});
  return finish_pass(graph, mark, node, {result}, "attention-in-tiles");
}

}  // namespace tessera::rules
