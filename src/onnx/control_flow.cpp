// SPDX-License-Identifier: Apache-2.0
// What the importer knows by name: subgraphs, If, Loop and Constant.
#include "base/check.h"
#include "onnx/importer.h"
#include "onnx/node_context.h"

namespace tessera::onnx {
namespace {

// The tensor of a Constant node, in whichever attribute it is.
Tensor constant_value(const NodeContext& node, Importer& importer) {
  if (auto tensor = node.attr_tensor("value")) return *tensor;
  if (node.has_attr("value_int"))
    return Tensor::from_integers(std::vector<int64_t>{node.attr_int("value_int", 0)}, {});
  if (node.has_attr("value_float"))
    return Tensor::from_floats(std::vector<double>{node.attr_float("value_float", 0)}, {});
  if (node.has_attr("value_ints")) {
    const std::vector<int64_t> values = node.attr_ints("value_ints", {});
    return Tensor::from_integers(values, {static_cast<int64_t>(values.size())});
  }
  if (node.has_attr("value_floats")) {
    const std::vector<double> values = node.attr_floats("value_floats", {});
    return Tensor::from_floats(values, {static_cast<int64_t>(values.size())});
  }
  const auto sparse = node.attributes().find("sparse_value");
  if (sparse != node.attributes().end())
    return tensor_from_sparse(sparse->second->sparse_tensor(), importer.files(),
                              "attribute 'sparse_value'");
  fail_user(ErrorKind::unsupported, "only numeric constants are supported");
}

bool truth(const NodeContext& node, const Tensor& tensor) {
  if (tensor.size() != 1 || tensor.type() != DType::boolean)
    node.fail("the condition must be one bool");
  return tensor.integer_at(0) != 0;
}

}  // namespace

std::vector<ops::Val> Importer::inline_subgraph(Frame& frame, const pb::GraphProto& graph) {
  Frame inner = child(frame, *frame.target);
  TESSERA_USER_CHECK(graph.input_size() == 0, "the branch '{}' has inputs", graph.name());
  declare_initializers(inner, graph);
  import_nodes(inner, graph.node());
  std::vector<ops::Val> results;
  for (const pb::ValueInfoProto& output : graph.output())
    results.push_back(lookup(inner, output.name()));
  return results;
}

void Importer::add_outputs(Frame& frame, const pb::GraphProto& graph, int first) {
  std::set<std::string> names;
  for (int k = first; k < graph.output_size(); ++k) {
    const std::string& name = graph.output(k).name();
    TESSERA_USER_CHECK(names.insert(name).second, "two outputs of a subgraph are named '{}'", name);
    frame.target->builder.output(name, lookup(frame, name));
  }
}

Importer::Region Importer::region(Frame& frame, const pb::GraphProto& graph,
                                  std::span<const ir::ValueType> input_types) {
  Target target(graph.name(), budget_, frame.target);
  Frame inner = child(frame, target);
  TESSERA_USER_CHECK(
      input_types.empty() || input_types.size() == static_cast<size_t>(graph.input_size()),
      "the subgraph '{}' has {} inputs, expected {}", graph.name(), graph.input_size(),
      input_types.size());
  declare_initializers(inner, graph);
  for (int k = 0; k < graph.input_size(); ++k) {
    const auto at = static_cast<size_t>(k);
    const ir::ValueType type = input_types.empty() ? value_type(graph.input(k)) : input_types[at];
    define(inner, graph.input(k).name(), target.builder.input(graph.input(k).name(), type));
  }
  import_nodes(inner, graph.node());
  add_outputs(inner, graph, 0);
  target.facts.update();
  return {std::make_shared<const ir::Graph>(target.facts.simplified(target.builder.graph())),
          target.captures};
}

// The condition is taken to hold, and the body must show that it then holds again.
std::vector<ops::Val> Importer::import_loop(Frame& frame, const pb::NodeProto& node) {
  NodeContext context(*this, frame, node);
  const pb::GraphProto& graph = context.graph_attr("body");
  const int states = std::max(0, context.input_count() - 2);
  TESSERA_USER_CHECK(graph.input_size() == states + 2 && graph.output_size() >= states + 1,
                     "the body has {} inputs and {} outputs for {} states", graph.input_size(),
                     graph.output_size(), states);
  int64_t length = INT64_MAX;
  if (context.has_input(0)) {
    const Tensor trips = context.value(0);
    if (trips.size() != 1 || is_float(trips.type())) context.fail("the trip count must be one int");
    length = std::max<int64_t>(0, trips.integer_at(0));
  }
  if (context.has_input(1) && !truth(context, context.value(1))) length = 0;

  Target target(graph.name(), budget_, frame.target);
  Frame body = child(frame, target);
  declare_initializers(body, graph);
  std::vector<ops::Val> arguments;
  for (int k = 0; k < states; ++k) {
    arguments.push_back(context.input(k + 2));
    if (!arguments.back().present()) context.fail("a state is missing");
    const std::string& name = graph.input(k + 2).name();
    define(body, name, target.builder.input(name, arguments.back().type()));
  }
  const std::string& counter = graph.input(0).name();
  define(body, counter, target.builder.input(counter, {DType::i64, {}}));
  const Tensor yes = Tensor::from_integers(std::vector<int64_t>{1}, {}, DType::boolean);
  define(body, graph.input(1).name(), target.builder.constant(yes));
  import_nodes(body, graph.node());
  target.facts.update();
  const Tensor* again = target.facts.tensor(lookup(body, graph.output(0).name()).value, true);
  if (again == nullptr) context.unsupported("whether the loop goes on depends on data");
  if (!truth(context, *again)) length = std::min<int64_t>(length, 1);
  if (length > max_loop_length)
    context.unsupported(fmt::format("a loop of more than {} steps", max_loop_length));
  add_outputs(body, graph, 1);

  std::vector<int64_t> steps(static_cast<size_t>(length));
  for (size_t k = 0; k < steps.size(); ++k) steps[k] = static_cast<int64_t>(k);
  arguments.push_back(frame.target->builder.integers(steps));
  arguments.insert(arguments.end(), target.captures.begin(), target.captures.end());
  auto region = std::make_shared<const ir::Graph>(target.facts.simplified(target.builder.graph()));
  return frame.target->builder.op_n(
      "scan", std::move(arguments),
      {{"states", int64_t{states}}, {"scans", int64_t{1}}, {"length", ir::Dims{length}}},
      {std::move(region)});
}

void Importer::import_control_flow(Frame& frame, const pb::NodeProto& node) {
  NodeContext context(*this, frame, node);
  const auto first = static_cast<ir::NodeId>(frame.target->builder.graph().node_count());
  std::vector<ops::Val> results;
  if (node.op_type() == "Constant") {
    results = {frame.target->builder.constant(constant_value(context, *this),
                                              node.output_size() > 0 ? node.output(0) : "")};
  } else if (node.op_type() == "If") {
    const bool condition = truth(context, context.value(0));
    results = context.inline_graph(condition ? "then_branch" : "else_branch");
  } else {
    results = import_loop(frame, node);
  }
  TESSERA_USER_CHECK(!results.empty(), "no results");
  finish_node(frame, node, first, results);
}

}  // namespace tessera::onnx
