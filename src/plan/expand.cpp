// SPDX-License-Identifier: Apache-2.0
// Composites become simple operators, constant subgraphs constants, and equal nodes one node.
#include <functional>
#include <map>
#include <set>

#include "base/check.h"
#include "ops/builder.h"
#include "ops/evaluate.h"
#include "ops/registry.h"
#include "plan/passes.h"

namespace tessera::plan {
namespace {

// A folded constant may be this much larger than what it was computed from; beyond, it is cheaper
// to compute it (an expanded scalar) than to read it.
constexpr size_t max_growth = 4;
constexpr size_t always_small = size_t{1} << 20;

class Expander {
 public:
  explicit Expander(const ir::Graph& source) : source_(source), builder_(source.name()) {}

  ir::Graph run() {
    std::vector<ir::Value> arguments;
    for (ir::NodeId id : source_.inputs()) {
      const ir::Node& n = source_.node(id);
      arguments.push_back(builder_.input(n.name, n.outputs[0]));
    }
    const std::vector<ir::Value> results = copy(source_, arguments, "");
    for (size_t k = 0; k < results.size(); ++k)
      builder_.output(source_.outputs()[k].name, results[k]);
    return ir::without_dead_nodes(std::move(builder_).finish());
  }

 private:
  // `source` with its inputs replaced; nodes without a name get `name`.
  std::vector<ir::Value> copy(const ir::Graph& source, std::span<const ir::Value> arguments,
                              const std::string& name) {
    std::vector<std::vector<ir::Value>> values(source.node_count());
    for (size_t k = 0; k < arguments.size(); ++k) values[source.inputs()[k]] = {arguments[k]};
    const std::vector<bool> quantized = quantized_weights(source);
    for (ir::NodeId id = 0; id < source.node_count(); ++id) {
      const ir::Node& n = source.node(id);
      if (n.op == "input") continue;
      ir::Node node = n;
      if (node.name.empty()) node.name = name;
      for (ir::Value& v : node.inputs)
        if (v.present()) v = values[v.node][v.index];
      values[id] = quantized[id] && builder_.graph().constant(node.inputs[0])
                       ? unique(std::move(node))
                       : add(std::move(node));
    }
    std::vector<ir::Value> results;
    for (const ir::GraphOutput& o : source.outputs())
      results.push_back(values[o.value.node][o.value.index]);
    return results;
  }

  // Dequantizations of integers of 8 bits that only products, or what moves their operands, read.
  static std::vector<bool> quantized_weights(const ir::Graph& source) {
    static const std::set<std::string> readers{"conv", "matmul", "gemm", "gather", "transpose"};
    std::vector<bool> found(source.node_count(), false);
    for (ir::NodeId id = 0; id < source.node_count(); ++id) {
      const ir::Node& n = source.node(id);
      for (ir::Value v : n.inputs)
        if (v.present() && !readers.contains(n.op)) found[v.node] = false;
      if (n.op == "input" || n.inputs.empty() || !n.inputs[0].present()) continue;
      found[id] = ops::keeps_constants(ops::registry().get(n.op), source.type(n.inputs[0]));
    }
    for (const ir::GraphOutput& o : source.outputs()) found[o.value.node] = false;
    return found;
  }

  std::vector<ir::Value> add(ir::Node node) {
    if (node.op == "constant") return {unique(std::move(node))[0]};
    const ops::OpDef& def = ops::registry().get(node.op);
    if (def.decompose) return copy(decomposed(def, node), present(node), node.name);
    if (const auto wide = widened(node)) return copy(*wide, present(node), node.name);
    if (const auto phases = convolution(node)) return copy(*phases, present(node), node.name);
    const bool runs = def.meaning || node.op == "scan" || (def.opaque && def.opaque->evaluate);
    if (!runs)
      fail_user(ErrorKind::unsupported, "node '{}' ({}): the operator cannot be interpreted",
                node.name, node.op);
    if (node.op == "scan") specialize(node);
    if (!def.impure && is_constant(node))
      if (auto folded = fold(def, node)) return *folded;
    return def.impure ? placed(builder_.add(node), node.outputs.size()) : unique(std::move(node));
  }

  static std::vector<ir::Value> present(const ir::Node& node) {
    std::vector<ir::Value> values;
    for (ir::Value v : node.inputs)
      if (v.present()) values.push_back(v);
    return values;
  }

  ir::Graph decomposed(const ops::OpDef& def, const ir::Node& node) const {
    return ops::decompose(def, types(node), node.attrs, node.regions);
  }

  // Products of 16-bit floats are computed in f32 and rounded once, which the kernels are made for;
  // a constant is converted here.
  std::optional<ir::Graph> widened(const ir::Node& node) const {
    static const std::set<std::string> products{"matmul", "gemm", "conv", "conv_transpose"};
    const DType type = node.outputs[0].dtype;
    if (!products.contains(node.op) || (type != DType::f16 && type != DType::bf16))
      return std::nullopt;
    ops::Builder b(node.op);
    std::vector<ops::Val> wide;
    for (const ir::ValueType* input : types(node))
      wide.push_back(input ? cast(b.input(fmt::format("in{}", wide.size()), *input), DType::f32)
                           : ops::Val{});
    b.output("y", cast(b.op(node.op, wide, node.attrs), type));
    return std::move(b).finish();
  }

  std::optional<ir::Graph> convolution(const ir::Node& node) const {
    if (node.op != "conv_transpose") return std::nullopt;
    return convolution_of_phases(types(node), node.attrs, node.outputs[0].concrete_shape());
  }

  // Invariants of a recurrence that are constants become constants of its body.
  void specialize(ir::Node& node) {
    const ir::Graph& body = *node.regions[0];
    const ops::AttrReader attrs(ops::registry().get("scan"), node.attrs);
    const auto first = static_cast<size_t>(attrs.integer("states") + attrs.integer("scans"));
    ir::GraphBuilder builder(body.name());
    std::vector<ir::Value> arguments, kept(node.inputs.begin(), node.inputs.begin() + first);
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const ir::Node& in = body.node(body.inputs()[k]);
      const Tensor* value = k < first ? nullptr : builder_.graph().constant(node.inputs[k]);
      arguments.push_back(value ? builder.constant(*value) : builder.input(in.name, in.outputs[0]));
      if (k >= first && !value) kept.push_back(node.inputs[k]);
    }
    const std::vector<ir::Value> results = ir::inline_graph(builder, body, arguments);
    for (size_t k = 0; k < results.size(); ++k) builder.output(body.outputs()[k].name, results[k]);
    node.regions = {std::make_shared<const ir::Graph>(std::move(builder).finish())};
    node.inputs = std::move(kept);
  }

  ops::InputTypes types(const ir::Node& node) const {
    return ops::input_types(builder_.graph(), node);
  }

  bool is_constant(const ir::Node& node) const {
    for (ir::Value v : node.inputs)
      if (v.present() && builder_.graph().constant(v) == nullptr) return false;
    return true;
  }

  std::optional<std::vector<ir::Value>> fold(const ops::OpDef& def, const ir::Node& node) {
    size_t before = 0, after = 0;
    std::vector<Tensor> inputs;
    for (ir::Value v : node.inputs) {
      inputs.push_back(v.present() ? *builder_.graph().constant(v) : Tensor{});
      before += inputs.back().bytes();
    }
    for (const ir::ValueType& type : node.outputs) {
      const auto count = element_count(type.concrete_shape());
      after += static_cast<size_t>(count.value_or(0)) * size_of(type.dtype);
    }
    if (after > always_small && after > max_growth * before) return std::nullopt;
    const std::vector<Tensor> results = ops::evaluate_node(
        def, node.attrs, types(node), inputs, node.regions, {.wide = false, .threads = 1});
    std::vector<ir::Value> values;
    for (const Tensor& t : results) {
      ir::Node constant;
      constant.op = "constant";
      constant.name = node.name;
      constant.outputs = {{t.type(), ir::Dims(t.shape().begin(), t.shape().end())}};
      constant.attrs.emplace("value", t);
      values.push_back(unique(std::move(constant))[0]);
    }
    return values;
  }

  // Adds the node, or finds an equal one.
  std::vector<ir::Value> unique(ir::Node node) {
    const size_t outputs = node.outputs.size();
    if (node.regions.empty()) {
      Hasher hasher;
      hasher.add(node.op);
      for (ir::Value v : node.inputs) hasher.add(int64_t{v.node}).add(int64_t{v.index});
      for (const auto& [key, value] : node.attrs) {
        hasher.add(key);
        ir::add_to_quick_hash(hasher, value);
      }
      const auto [at, inserted] = known_.emplace(hasher.finish(), ir::no_node);
      if (inserted) at->second = builder_.add(std::move(node));
      if (inserted || equal_attrs(node, builder_.graph().node(at->second)))
        return placed(at->second, outputs);
    }
    return placed(builder_.add(std::move(node)), outputs);
  }

  static bool equal_attrs(const ir::Node& a, const ir::Node& b) {
    return std::equal(a.attrs.begin(), a.attrs.end(), b.attrs.begin(), b.attrs.end(),
                      [](const auto& x, const auto& y) {
                        return x.first == y.first && ir::operator_equal(x.second, y.second);
                      });
  }

  static std::vector<ir::Value> placed(ir::NodeId id, size_t outputs) {
    std::vector<ir::Value> values;
    for (uint32_t k = 0; k < outputs; ++k) values.push_back({id, k});
    return values;
  }

  const ir::Graph& source_;
  ir::GraphBuilder builder_;
  std::map<Hash128, ir::NodeId> known_;
};

}  // namespace

ir::Graph expand(const ir::Graph& graph) { return Expander(graph).run(); }

}  // namespace tessera::plan
