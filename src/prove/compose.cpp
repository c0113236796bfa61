// SPDX-License-Identifier: Apache-2.0
// Meanings put into each other.
#include <algorithm>

#include "base/check.h"
#include "ops/registry.h"
#include "prove/lower.h"

namespace tessera::prove {
namespace {

constexpr size_t most_expressions = 200'000;

// Bits stay what they are: only the last of several bit_casts counts, and none to the type that
// was.
std::optional<ir::Value> without_bit_casts(const ir::GraphBuilder& graph, ir::Node& node) {
  if (node.op != "bit_cast") return std::nullopt;
  ir::Value& source = node.inputs[0];
  while (graph.node(source.node).op == "bit_cast") source = graph.node(source.node).inputs[0];
  const bool same = graph.type(source).dtype == node.outputs[0].dtype;
  return same ? std::optional(source) : std::nullopt;
}

void expand_into(ir::GraphBuilder& to, const ir::Graph& graph, std::vector<ir::Value>& outputs,
                 std::span<const ir::Value> arguments) {
  std::map<ir::Value, ir::Value> value;
  for (size_t k = 0; k < graph.inputs().size(); ++k) value[{graph.inputs()[k], 0}] = arguments[k];
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") continue;
    ir::Node copy = n;
    for (ir::Value& v : copy.inputs)
      if (v.present()) v = value.at(v);
    const ops::OpDef& def = ops::registry().get(n.op);
    if (def.decompose) {
      std::vector<ir::Value> present, results;
      for (ir::Value v : copy.inputs)
        if (v.present()) present.push_back(v);
      expand_into(to, ops::decompose(graph, n), results, present);
      for (uint32_t k = 0; k < results.size(); ++k) value[{id, k}] = results[k];
      continue;
    }
    if (const auto same = without_bit_casts(to, copy)) {
      value[{id, 0}] = *same;
      continue;
    }
    const ir::NodeId made = to.add(std::move(copy));
    for (uint32_t k = 0; k < n.outputs.size(); ++k) value[{id, k}] = {made, k};
  }
  for (const ir::GraphOutput& o : graph.outputs()) outputs.push_back(value.at(o.value));
}

// The one value of all elements, where there is one.
std::optional<double> uniform(const Tensor& t) {
  if (t.size() == 0) return std::nullopt;
  const auto at = [&](int64_t k) {
    return is_float(t.type()) ? t.float_at(k) : static_cast<double>(t.integer_at(k));
  };
  for (int64_t k = 1; k < t.size(); ++k)
    if (at(k) != at(0)) return std::nullopt;
  return at(0);
}

}  // namespace

ir::Graph expanded(const ir::Graph& graph) {
  ir::GraphBuilder builder(graph.name());
  std::vector<ir::Value> arguments, outputs;
  for (ir::NodeId id : graph.inputs())
    arguments.push_back(builder.input(graph.node(id).name, graph.node(id).outputs[0]));
  expand_into(builder, graph, outputs, arguments);
  for (size_t k = 0; k < outputs.size(); ++k) builder.output(graph.outputs()[k].name, outputs[k]);
  return std::move(builder).finish();
}

Composer::Composer(const ir::Graph& graph, std::optional<Mutation> mutation)
    : graph_(graph), mutation_(mutation) {
  meanings_.resize(graph.node_count());
  numbers_.resize(graph.node_count(), 0);
  for (uint32_t k = 0; k < graph.inputs().size(); ++k) numbers_[graph.inputs()[k]] = k;
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "constant") {
      Hasher hasher;
      const Tensor* t = graph.constant({id, 0});
      ir::add_to_hash(hasher, ir::AttrValue{*t});
      numbers_[id] = first_constant + static_cast<uint32_t>(hasher.finish().low % 1'000'000'007);
      continue;
    }
    // The bits of an input as another type are a tensor of their own.
    const bool cast = n.op == "bit_cast" && graph.node(n.inputs[0].node).op == "input";
    if (cast)
      numbers_[id] = first_bits + numbers_[n.inputs[0].node] * dtype_count +
                     static_cast<uint32_t>(n.outputs[0].dtype);
    const ops::OpDef& def = ops::registry().get(n.op);
    if (!def.meaning || def.impure) continue;
    meanings_[id] = ops::instantiate(graph, n);
    for (const ir::Requirement& r : meanings_[id]->requirements) requirements_.push_back(r);
  }
}

ir::Expr Composer::compose(ir::Value value, ir::ExprPool& pool) {
  std::vector<ir::Expr> indices;
  const ir::ValueType& type = graph_.type(value);
  for (int k = 0; k < type.rank(); ++k)
    indices.push_back(pool.variable({ir::Var::Kind::output, static_cast<uint32_t>(k)}));
  return element(value, pool, indices, type.dtype);
}

ir::Expr Composer::element(ir::Value value, ir::ExprPool& pool, std::span<const ir::Expr> indices,
                           DType type) {
  if (pool.size() > most_expressions) throw Undecided{"the composed meaning is too large"};
  const ir::Node& n = graph_.node(value.node);
  if (n.op == "input") return pool.read(numbers_[value.node], type, indices);
  if (n.op == "constant") {
    const Tensor& t = *graph_.constant(value);
    const auto all = uniform(t);
    if (!all) return pool.read(numbers_[value.node], type, indices);
    if (const auto any = parameters.find(*all); any != parameters.end())
      return pool.read(
          first_parameter + static_cast<uint32_t>(std::distance(parameters.begin(), any)), type,
          {});
    const auto exact = literals.find(*all);
    return is_float(type) ? pool.real(exact == literals.end() ? *all : exact->second, type)
                          : pool.integer(static_cast<int64_t>(*all), type);
  }
  if (numbers_[value.node] >= first_bits) return pool.read(numbers_[value.node], type, indices);
  if (!meanings_[value.node]) throw Undecided{"the operator " + n.op + " has no meaning"};
  const ir::Meaning& m = *meanings_[value.node];
  const bool mutated = mutation_ && mutation_->node == value.node;
  const ir::Expr body = pool.import(m.outputs[value.index].body, indices,
                                    [&](uint32_t input, DType read, std::span<const ir::Expr> at) {
                                      std::vector<ir::Expr> places(at.begin(), at.end());
                                      if (mutated && mutation_->input == static_cast<int>(input))
                                        places[mutation_->axis] = places[mutation_->axis] + 1;
                                      return element(n.inputs[input], pool, places, read);
                                    });
  if (!mutated || mutation_->input >= 0) return body;
  return body.type() == DType::boolean ? !body : body * 3;
}

}  // namespace tessera::prove
