// SPDX-License-Identifier: Apache-2.0
// Random small graphs over the operator records, for property tests: same seed, same graph. A graph
// is grown node by node, so a failing one shrinks to the prefix that ends in its first wrong value.
#pragma once

#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "ops/builder.h"
#include "ops/registry.h"

namespace tessera::testing {

/// Grows a graph of `steps` operators from a few f32 inputs of ranks 1 to 4, extents 1 to 7 that
/// are multiples of nothing. Every value that nothing uses becomes an output.
class RandomGraph {
 public:
  explicit RandomGraph(uint64_t seed) : rng_(seed) {
    const int inputs = static_cast<int>(rng_.integer(1, 3));
    for (int k = 0; k < inputs; ++k)
      values_.push_back(
          builder_.input("x" + std::to_string(k), {DType::f32, random_shape(rng_.integer(1, 4))}));
  }

  /// `only_last`: the single output is the last value.
  ir::Graph grow(int steps, bool only_last = false) && {
    for (int step = 0; step < steps; ++step) add_operator();
    if (only_last) {
      builder_.output("y", values_.back());
    } else {
      const std::vector<uint32_t> uses = builder_.graph().use_counts();
      for (size_t k = 0; k < values_.size(); ++k)
        if (uses[values_[k].value.node] == 0 || k + 1 == values_.size())
          builder_.output("y" + std::to_string(k), values_[k]);
    }
    return ir::without_dead_nodes(std::move(builder_).finish());
  }

 private:
  using Val = ops::Val;
  using Ints = std::vector<int64_t>;

  ir::Dims random_shape(int64_t rank) {
    ir::Dims shape;
    for (int64_t axis = 0; axis < rank; ++axis) shape.push_back(rng_.integer(1, 7));
    return shape;
  }

  Val any() { return values_[rng_.integer(0, static_cast<int64_t>(values_.size()) - 1)]; }

  Tensor noise(const ir::Dims& shape) {
    Tensor tensor(DType::f32, *sym::constants(shape));
    for (int64_t i = 0; i < tensor.size(); ++i) tensor.set_float(i, rng_.normal());
    return tensor;
  }
  Val weight(const ir::Dims& shape) { return builder_.constant(noise(shape)); }

  void add_operator() {
    for (int attempt = 0; attempt < 20; ++attempt) {
      const Val x = any();
      const Val y = try_operator(x);
      if (!y.present() || element_count(y.type().concrete_shape()).value_or(1 << 20) > 4096)
        continue;
      values_.push_back(y);
      return;
    }
  }

  Val try_operator(Val x) {
    const int rank = x.rank();
    const int64_t axis = rank ? rng_.integer(0, rank - 1) : 0;
    switch (rng_.integer(0, 15)) {
      case 0: return unary(x);
      case 1: return unary(x);
      case 2: return binary(x, weight(broadcast_partner(x.shape())));
      case 3: return binary(x, x);
      case 4: return same_shape_partner(x);
      case 5:
        return rank ? ops::reduce(pick({"reduce_sum", "reduce_max", "reduce_mean"}), x, {axis},
                                  rng_.integer(0, 1) != 0)
                    : Val{};
      case 6: return rank ? builder_.op("softmax", {x}, {{"axis", axis}}) : Val{};
      case 7: return rank ? ops::transpose(x, permutation(rank)) : Val{};
      case 8: return ops::reshape(x, {sym::product(x.shape())});
      case 9: return sliced(x, axis);
      case 10: return rank ? ops::concat({x, weight(x.shape()), x}, axis) : Val{};
      case 11: return rank ? ops::matmul(x, weight({x.dim(-1), rng_.integer(1, 9)})) : Val{};
      case 12: return convolution(x);
      case 13:
        return rank ? builder_.op("layer_normalization",
                                  {x, weight({x.dim(-1)}), weight({x.dim(-1)})})
                    : Val{};
      case 14: return ops::unsqueeze(x, {axis});
      default: return rank >= 2 ? ops::matmul(x, ops::transpose(x, swap_last(rank))) : Val{};
    }
  }

  Val unary(Val x) {
    return builder_.op(pick({"relu", "tanh", "sigmoid", "neg", "abs", "erf", "exp"}), {bounded(x)});
  }
  // Keeps values of long chains in a range where functions neither saturate nor overflow.
  Val bounded(Val x) { return ops::tanh(x) * 2.0; }
  Val binary(Val x, Val y) {
    return builder_.op(pick({"add", "sub", "mul", "max", "min"}), {x, y});
  }
  Val same_shape_partner(Val x) {
    for (size_t k = values_.size(); k-- > 0;)
      if (values_[k].shape() == x.shape()) return binary(x, values_[k]);
    return Val{};
  }
  ir::Dims broadcast_partner(ir::Dims shape) {
    for (sym::Expr& d : shape)
      if (rng_.integer(0, 2) == 0) d = 1;
    const int64_t drop = rng_.integer(0, static_cast<int64_t>(shape.size()));
    shape.erase(shape.begin(), shape.begin() + drop);
    return shape;
  }
  Val sliced(Val x, int64_t axis) {
    if (x.rank() == 0) return Val{};
    const int64_t extent = *x.dim(static_cast<int>(axis)).constant();
    const int64_t start = rng_.integer(0, extent - 1);
    return ops::slice(x, {axis}, {start}, {rng_.integer(start + 1, extent)});
  }
  Val convolution(Val x) {
    if (x.rank() != 4) return Val{};
    const int64_t pad = rng_.integer(0, 1), kernel = rng_.integer(1, 3);
    for (int axis : {2, 3})
      if (*x.dim(axis).constant() + 2 * pad < kernel) return Val{};
    return builder_.op("conv", {x, weight({rng_.integer(1, 5), x.dim(1), kernel, kernel})},
                       {{"pads", Ints{pad, pad, pad, pad}},
                        {"strides", Ints{rng_.integer(1, 2), rng_.integer(1, 2)}}});
  }
  Ints permutation(int rank) {
    Ints perm(rank);
    for (int k = 0; k < rank; ++k) perm[k] = k;
    for (int k = rank - 1; k > 0; --k) std::swap(perm[k], perm[rng_.integer(0, k)]);
    return perm;
  }
  static Ints swap_last(int rank) {
    Ints perm(rank);
    for (int k = 0; k < rank; ++k) perm[k] = k;
    std::swap(perm[rank - 1], perm[rank - 2]);
    return perm;
  }
  std::string pick(std::initializer_list<const char*> names) {
    return names.begin()[rng_.integer(0, static_cast<int64_t>(names.size()) - 1)];
  }

  Rng rng_;
  ops::Builder builder_;
  std::vector<Val> values_;
};

/// Random inputs of the graph's concrete input types.
inline std::vector<Tensor> random_inputs(const ir::Graph& graph, uint64_t seed) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    Tensor tensor(type.dtype, type.concrete_shape());
    for (int64_t i = 0; i < tensor.size(); ++i) tensor.set_float(i, rng.normal());
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

/// Largest |a − b| / (1 + |b|); infinite if shapes differ or only one of a pair is NaN.
inline double worst_difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return INFINITY;
  double worst = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.float_at(i), y = b.float_at(i);
    if (std::isnan(x) || std::isnan(y)) {
      if (std::isnan(x) != std::isnan(y)) return INFINITY;
      continue;
    }
    if (x != y) worst = std::max(worst, std::fabs(x - y) / (1 + std::fabs(y)));
  }
  return worst;
}

/// The operators of a graph with their types, for failure messages.
inline std::string describe(const ir::Graph& graph) {
  std::string text;
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    text += "\n  " + std::to_string(id) + ": " + n.op + "(";
    for (ir::Value v : n.inputs) text += " " + std::to_string(v.node);
    text += " ) " + n.outputs[0].to_string();
  }
  return text;
}

/// Runs `difference(graph, inputs)` on `rounds` random graphs; where it exceeds `tolerance`, finds
/// the shortest prefix of the graph that still does and returns its description with the seed.
template <typename Difference>
std::string find_counterexample(uint64_t first_seed, int rounds, double tolerance,
                                Difference difference) {
  for (int round = 0; round < rounds; ++round) {
    const uint64_t seed = first_seed + static_cast<uint64_t>(round);
    const auto exceeds = [&](int steps, bool only_last) -> std::string {
      const ir::Graph graph = RandomGraph(seed).grow(steps, only_last);
      try {
        const double worst = difference(graph, random_inputs(graph, seed));
        if (!(worst > tolerance)) return "";
        return fmt::format("seed {}, {} steps: difference {}{}", seed, steps, worst,
                           describe(graph));
      } catch (const std::exception& e) {
        return fmt::format("seed {}, {} steps: {}{}", seed, steps, e.what(), describe(graph));
      }
    };
    const int steps = 2 + round % 11;
    std::string found = exceeds(steps, false);
    if (found.empty()) continue;
    for (int shorter = 1; shorter <= steps; ++shorter) {
      const std::string smaller = exceeds(shorter, true);
      if (!smaller.empty()) return smaller;
    }
    return found;
  }
  return "";
}

}  // namespace tessera::testing
