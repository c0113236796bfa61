// SPDX-License-Identifier: Apache-2.0
// Operators that pass through uninterpreted.
#include "onnx/barrier.h"

#include <google/protobuf/io/coded_stream.h>

#include "base/check.h"
#include "onnx/importer.h"

namespace tessera::onnx {
namespace {

// Calls `visit` with every name that the subgraphs of a node take from outside.
void visit_free_names(pb::NodeProto& node, std::set<std::string> bound,
                      const std::function<void(std::string&)>& visit, int depth);

void visit_graph(pb::GraphProto& graph, std::set<std::string> bound,
                 const std::function<void(std::string&)>& visit, int depth) {
  TESSERA_USER_CHECK(depth <= max_nesting, "graphs are nested more than {} deep", max_nesting);
  for (const auto& t : graph.initializer()) bound.insert(t.name());
  for (const auto& t : graph.sparse_initializer()) bound.insert(t.values().name());
  for (const auto& input : graph.input()) bound.insert(input.name());
  for (pb::NodeProto& node : *graph.mutable_node()) {
    for (std::string& name : *node.mutable_input())
      if (!name.empty() && !bound.contains(name)) visit(name);
    visit_free_names(node, bound, visit, depth);
    for (const std::string& name : node.output()) bound.insert(name);
  }
  for (pb::ValueInfoProto& output : *graph.mutable_output())
    if (!bound.contains(output.name())) visit(*output.mutable_name());
}

void visit_free_names(pb::NodeProto& node, std::set<std::string> bound,
                      const std::function<void(std::string&)>& visit, int depth) {
  for (pb::AttributeProto& a : *node.mutable_attribute()) {
    if (a.has_g()) visit_graph(*a.mutable_g(), bound, visit, depth + 1);
    for (pb::GraphProto& g : *a.mutable_graphs()) visit_graph(g, bound, visit, depth + 1);
  }
}

}  // namespace

pb::NodeProto parse_kept_node(const std::string& bytes) {
  pb::NodeProto node;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(4 * max_nesting);  // as the model was read
  TESSERA_USER_CHECK(node.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage(),
                     "a barrier holds no ONNX node");
  return node;
}

void rename_captures(pb::NodeProto& node, const std::map<std::string, std::string>& names) {
  visit_free_names(
      node, {},
      [&](std::string& name) {
        const auto at = names.find(name);
        if (at != names.end()) name = at->second;
      },
      0);
}

bool Importer::consumes_opaque(Frame& frame, const pb::NodeProto& node) {
  for (const std::string& name : node.input()) {
    const ops::Val value = name.empty() ? ops::Val{} : find(frame, name);
    if (value.present() && frame.target->builder.graph().type(value.value).opaque) return true;
  }
  return false;
}

ir::ValueType Importer::declared_type(const Frame& frame, const std::string& name) {
  const ir::ValueType unknown{DType::f32, {}, true};
  if (frame.graph == nullptr) return unknown;
  for (const auto* list : {&frame.graph->value_info(), &frame.graph->output()})
    for (const pb::ValueInfoProto& info : *list) {
      if (info.name() != name || !info.type().has_tensor_type()) continue;
      const auto& tensor = info.type().tensor_type();
      if (tensor.has_shape() && dtype_from_onnx(tensor.elem_type())) return value_type(info);
    }
  return unknown;
}

void Importer::import_barrier(Frame& frame, const pb::NodeProto& node, const std::string& reason) {
  TESSERA_USER_CHECK(frame.call == nullptr, "{}, and it cannot be kept inside a function", reason);
  ir::Node made;
  made.op = "barrier";
  made.name = node.name();
  for (int k = 0; made.name.empty() && k < node.output_size(); ++k) made.name = node.output(k);
  pb::NodeProto kept = node;
  std::set<std::string> captured;
  visit_free_names(
      kept, {},
      [&](std::string& name) {
        if (find(frame, name).present()) captured.insert(name);
      },
      0);
  for (const std::string& name : node.input())
    made.inputs.push_back(name.empty() ? ir::Value{} : lookup(frame, name).value);
  for (const std::string& name : captured) made.inputs.push_back(lookup(frame, name).value);
  kept.clear_input();
  kept.clear_output();
  kept.clear_name();
  std::string bytes;
  TESSERA_USER_CHECK(kept.SerializeToString(&bytes), "the node is too large to be kept");
  const std::string domain = normalized_domain(node.domain());
  made.attrs.emplace("operator",
                     fmt::format("{}:{}", domain.empty() ? "ai.onnx" : domain, node.op_type()));
  made.attrs.emplace("node", std::move(bytes));
  made.attrs.emplace("arguments", int64_t{node.input_size()});
  made.attrs.emplace("captures", std::vector<std::string>(captured.begin(), captured.end()));
  std::vector<int64_t> wanted;
  for (const std::string& name : node.output()) {
    wanted.push_back(name.empty() ? 0 : 1);
    if (!name.empty()) made.outputs.push_back(declared_type(frame, name));
  }
  made.attrs.emplace("outputs", std::move(wanted));
  TESSERA_USER_CHECK(!made.outputs.empty(), "no results");
  if (options_.warn)
    options_.warn(fmt::format("{}: {}; it is kept as it is", describe(node), reason));
  ops::Builder& builder = frame.target->builder;
  const ir::NodeId id = builder.raw().add(std::move(made));
  uint32_t next = 0;
  for (const std::string& name : node.output()) {
    if (name.empty()) continue;
    builder.raw().mutable_node(id).metadata.emplace(fmt::format("onnx.value.{}", next), name);
    define(frame, name, builder.wrap({id, next++}));
  }
  frame.target->facts.update();
}

}  // namespace tessera::onnx
