// SPDX-License-Identifier: Apache-2.0
// Export of the structural records: scan as Scan, barriers as the nodes they came from.
#include "base/check.h"
#include "onnx/barrier.h"
#include "onnx/exporter.h"
#include "onnx/tensor_proto.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"

namespace tessera::onnx {

// Loop invariants become names of the surrounding graph that the body mentions.
std::vector<std::string> Exporter::write_scan(Block& block, const ir::Node& node) {
  const ops::AttrReader attrs(ops::registry().get(node.op), node.attrs);
  const auto states = static_cast<size_t>(attrs.integer("states"));
  const auto scans = static_cast<size_t>(attrs.integer("scans"));
  const ir::Graph& region = *node.regions.at(0);
  std::vector<std::string> inputs;
  for (size_t k = 0; k < states + scans; ++k) inputs.push_back(block.names.at(node.inputs[k]));
  // Scan needs something to scan.
  std::string counter;
  if (scans == 0) {
    counter = unique("step");
    const std::string length = dims(block, attrs.dims("length"));
    inputs.push_back(emit(block, "ConstantOfShape", {length}, {}, 1).output(0));
  }
  pb::GraphProto body;
  body.set_name(unique(region.name().empty() ? "body" : region.name()));
  Block inner;
  inner.graph = &region;
  inner.out = &body;
  for (size_t k = 0; k < region.inputs().size(); ++k) {
    const ir::Node& input = region.node(region.inputs()[k]);
    if (k >= states + scans) {
      inner.names[{region.inputs()[k], 0}] = block.names.at(node.inputs[k]);
      continue;
    }
    const std::string name = unique(input.name.empty() ? "in" : input.name);
    inner.names[{region.inputs()[k], 0}] = name;
    pb::ValueInfoProto& info = *body.add_input();
    info.set_name(name);
    write_type(input.outputs[0], *info.mutable_type());
  }
  if (scans == 0) {
    pb::ValueInfoProto& info = *body.add_input();
    info.set_name(counter);
    write_type({DType::f32, {}}, *info.mutable_type());
  }
  write_nodes(inner);
  std::vector<std::string> names;
  for (const ir::GraphOutput& o : region.outputs()) {
    names.push_back(unique(o.name.empty() ? "out" : o.name));
    pb::ValueInfoProto& info = *body.add_output();
    info.set_name(names.back());
    write_type(region.type(o.value), *info.mutable_type());
  }
  write_outputs(inner, names);

  const auto sequences = static_cast<int64_t>(std::max<size_t>(1, scans));
  ir::AttrMap written{{"num_scan_inputs", sequences}};
  const size_t stacked = region.outputs().size() - states;
  if (attrs.flag("reverse")) {
    written.emplace("scan_input_directions",
                    std::vector<int64_t>(static_cast<size_t>(sequences), 1));
    if (stacked > 0) written.emplace("scan_output_directions", std::vector<int64_t>(stacked, 1));
  }
  if (opset_ < 9) throw NeedsOpset{9, "scan"};  // before, Scan had a batch axis
  pb::NodeProto& made = emit(block, "Scan", inputs, written, static_cast<int>(node.outputs.size()));
  pb::AttributeProto& attribute = *made.add_attribute();
  attribute.set_name("body");
  attribute.set_type(pb::ATTR_GRAPH);
  *attribute.mutable_g() = std::move(body);
  return {made.output().begin(), made.output().end()};
}

std::vector<std::string> Exporter::write_barrier(Block& block, const ir::Node& node) {
  const ops::AttrReader attrs(ops::registry().get(node.op), node.attrs);
  pb::NodeProto source = parse_kept_node(attrs.string("node"));
  const auto arguments = static_cast<size_t>(attrs.integer("arguments"));
  const std::vector<std::string> captures = attrs.strings("captures");
  TESSERA_CHECK(node.inputs.size() == arguments + captures.size(), "a barrier's inputs");
  std::map<std::string, std::string> renamed;
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    const ir::Value v = node.inputs[k];
    const std::string name = v.present() ? block.names.at(v) : std::string();
    if (k < arguments) source.add_input(name);
    else renamed[captures[k - arguments]] = name;
  }
  rename_captures(source, renamed);
  const auto wanted = attrs.integers("outputs");
  std::vector<std::string> results;
  for (size_t k = 0, next = 0; k < wanted.size(); ++k) {
    const std::string name = wanted[k] ? unique(source.op_type()) : std::string();
    source.add_output(name);
    if (!wanted[k]) continue;
    const ir::ValueType& type = node.outputs[next++];
    results.push_back(name);
    if (type.opaque) continue;
    // Readers that do not know the operator learn the type from here.
    pb::ValueInfoProto& info = *block.out->add_value_info();
    info.set_name(name);
    write_type(type, *info.mutable_type());
  }
  *block.out->add_node() = std::move(source);
  return results;
}

}  // namespace tessera::onnx
