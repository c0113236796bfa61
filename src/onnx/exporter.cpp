// SPDX-License-Identifier: Apache-2.0
// Signature, names and nodes of an exported model.
#include "onnx/exporter.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/version.h"
#include "onnx/export_context.h"
#include "onnx/tensor_proto.h"
#include "ops/primitive_graph.h"
#include "ops/registry.h"

namespace tessera::onnx {
namespace {

constexpr int default_opset = 21;
constexpr int min_ir_version = 10;  // the first with metadata of nodes

int property(const ir::Graph& graph, const std::string& key, int fallback) {
  const auto at = graph.properties().find(key);
  return at == graph.properties().end() ? fallback : std::atoi(at->second.c_str());
}

// The form that `opset` gives an ONNX operator must be this one, or reading back means another.
bool is_current(const ops::OnnxForm& form, int opset) {
  return form.domain.empty() && form.since <= opset &&
         (form.export_only || ops::registry().find_onnx(form.domain, form.op, opset).form == &form);
}

bool can_export(const ops::OnnxForm& form) { return form.export_ || !form.import; }

}  // namespace

void set_attribute(const std::string& name, const ir::AttrValue& value, pb::NodeProto& node) {
  pb::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  const auto set_ints = [&](const std::vector<int64_t>& list) {
    a.set_type(pb::ATTR_INTS);
    for (int64_t v : list) a.add_ints(v);
  };
  switch (ir::kind_of(value)) {
    case ir::AttrKind::integer: a.set_type(pb::ATTR_INT); return a.set_i(std::get<int64_t>(value));
    case ir::AttrKind::real:
      a.set_type(pb::ATTR_FLOAT);
      return a.set_f(static_cast<float>(std::get<double>(value)));
    case ir::AttrKind::string:
      a.set_type(pb::ATTR_STRING);
      return a.set_s(std::get<std::string>(value));
    case ir::AttrKind::integers: return set_ints(std::get<std::vector<int64_t>>(value));
    case ir::AttrKind::reals:
      a.set_type(pb::ATTR_FLOATS);
      for (double v : std::get<std::vector<double>>(value)) a.add_floats(static_cast<float>(v));
      return;
    case ir::AttrKind::strings:
      a.set_type(pb::ATTR_STRINGS);
      for (const std::string& v : std::get<std::vector<std::string>>(value)) a.add_strings(v);
      return;
    case ir::AttrKind::dtype:
      a.set_type(pb::ATTR_INT);
      return a.set_i(dtype_to_onnx(std::get<DType>(value)));
    case ir::AttrKind::dims: {
      const auto numbers = sym::constants(std::get<ir::Dims>(value));
      if (!numbers)
        fail_user(ErrorKind::unsupported, "attribute '{}' has symbolic dimensions", name);
      return set_ints(*numbers);
    }
    case ir::AttrKind::tensor:
      a.set_type(pb::ATTR_TENSOR);
      return tensor_to_proto(std::get<Tensor>(value), *a.mutable_t());
  }
}

Exporter::Exporter(const ir::Graph& graph, int opset) : graph_(graph), opset_(opset) {
  if (opset_ == 0) opset_ = std::max(7, property(graph, "onnx.opset", default_opset));
}

std::string Exporter::unique(const std::string& base) {
  const std::string stem = base.empty() ? "value" : base;
  if (used_.insert(stem).second) return stem;
  int& counter = counters_[stem];
  while (true) {
    std::string name = fmt::format("{}_{}", stem, ++counter);
    if (used_.insert(name).second) return name;
  }
}

std::string Exporter::constant(const Tensor& tensor, const std::string& name) {
  constexpr size_t small = 1024;
  std::string key;
  if (tensor.bytes() <= small && name.empty()) {
    key = fmt::format("{}{}:", to_string(tensor.type()), shape_to_string(tensor.shape()));
    key.append(reinterpret_cast<const char*>(tensor.data()), tensor.bytes());
    const auto at = constants_.find(key);
    if (at != constants_.end()) return at->second;
  }
  std::string chosen = unique(name.empty() ? "const" : name);
  pb::TensorProto& proto = *model_.mutable_graph()->add_initializer();
  proto.set_name(chosen);
  proto.set_data_type(dtype_to_onnx(tensor.type()));
  for (int64_t d : tensor.shape()) proto.add_dims(d);
  tensors_.push_back(tensor);  // the bytes are added when it is known where they go
  if (!key.empty()) constants_.emplace(std::move(key), chosen);
  return chosen;
}

pb::NodeProto& Exporter::emit(Block& block, std::string_view op_type,
                              const std::vector<std::string>& inputs, const ir::AttrMap& attrs,
                              int outputs) {
  pb::NodeProto& node = *block.out->add_node();
  node.set_op_type(std::string(op_type));
  for (const std::string& name : inputs) node.add_input(name);
  while (node.input_size() > 0 && node.input(node.input_size() - 1).empty())
    node.mutable_input()->RemoveLast();
  for (const auto& [name, value] : attrs) set_attribute(name, value, node);
  for (int k = 0; k < outputs; ++k)
    node.add_output(unique(fmt::format("{}{}", block.prefix, op_type)));
  return node;
}

void Exporter::write_type(const ir::ValueType& type, pb::TypeProto& proto) const {
  if (type.opaque) return;
  auto& tensor = *proto.mutable_tensor_type();
  tensor.set_elem_type(dtype_to_onnx(type.dtype));
  auto& shape = *tensor.mutable_shape();
  for (const sym::Expr& d : type.shape) {
    auto& dim = *shape.add_dim();
    if (const auto value = d.constant()) {
      dim.set_dim_value(*value);
      continue;
    }
    const auto symbol = d.as_symbol();
    const auto source = graph_.properties().find("onnx.dim." + symbol.value_or(""));
    dim.set_dim_param(source != graph_.properties().end() ? source->second : d.to_string());
  }
}

void Exporter::write_signature(Block& block) {
  for (ir::NodeId id : graph_.inputs()) {
    const ir::Node& n = graph_.node(id);
    pb::ValueInfoProto& info = *block.out->add_input();
    const std::string name = unique(n.name);
    info.set_name(name);
    write_type(n.outputs[0], *info.mutable_type());
    block.names[{id, 0}] = name;
  }
  for (const ir::GraphOutput& o : graph_.outputs()) {
    pb::ValueInfoProto& info = *block.out->add_output();
    info.set_name(o.name);
    write_type(graph_.type(o.value), *info.mutable_type());
    const bool free = used_.insert(o.name).second;
    TESSERA_USER_CHECK(free || block.names.contains(o.value),
                       "output '{}' has the name of another value", o.name);
    const std::string& op = graph_.node(o.value.node).op;
    if (free && op != "input" && op != "constant") block.preferred.try_emplace(o.value, o.name);
  }
  for (ir::NodeId id = 0; id < graph_.node_count(); ++id)
    for (uint32_t k = 0; k < graph_.node(id).outputs.size(); ++k) {
      const auto& metadata = graph_.node(id).metadata;
      const auto name = metadata.find(fmt::format("{}{}", value_name_key, k));
      if (name != metadata.end() && !block.preferred.contains({id, k}))
        block.preferred[{id, k}] = unique(name->second);
    }
}

pb::ModelProto Exporter::run() {
  Block block;
  main_ = &block;
  block.graph = &graph_;
  block.out = model_.mutable_graph();
  block.out->set_name(graph_.name());
  write_signature(block);
  write_nodes(block);
  std::vector<std::string> names;
  for (const ir::GraphOutput& o : graph_.outputs()) names.push_back(o.name);
  write_outputs(block, names);

  model_.set_ir_version(std::max(min_ir_version, property(graph_, "onnx.ir_version", 0)));
  model_.set_producer_name("tessera");
  model_.set_producer_version(std::string(version()));
  auto& opset = *model_.add_opset_import();
  opset.set_domain("");
  opset.set_version(opset_);
  const auto starts = [](const std::string& text, std::string_view prefix) {
    return text.starts_with(prefix);
  };
  for (const auto& [key, value] : graph_.properties()) {
    if (key == "onnx.doc_string") model_.set_doc_string(value);
    if (starts(key, "onnx.metadata.")) {
      auto& entry = *model_.add_metadata_props();
      entry.set_key(key.substr(std::strlen("onnx.metadata.")));
      entry.set_value(value);
    }
    if (starts(key, "onnx.opset.")) {
      auto& import = *model_.add_opset_import();
      import.set_domain(key.substr(std::strlen("onnx.opset.")));
      import.set_version(std::atoi(value.c_str()));
    }
  }
  return std::move(model_);
}

void Exporter::write_outputs(Block& block, const std::vector<std::string>& names) {
  for (size_t k = 0; k < names.size(); ++k) {
    const std::string& found = block.names.at(block.graph->outputs()[k].value);
    if (found == names[k]) continue;
    pb::NodeProto& node = *block.out->add_node();
    node.set_op_type("Identity");
    node.add_input(found);
    node.add_output(names[k]);
  }
}

void Exporter::write_nodes(Block& block) {
  for (ir::NodeId id = 0; id < block.graph->node_count(); ++id) {
    const ir::Node& node = block.graph->node(id);
    if (node.op == "input") continue;
    if (const Tensor* tensor = block.graph->constant({id, 0})) {
      block.names[{id, 0}] = constant(*tensor, node.name);
      continue;
    }
    try {
      write_node(block, id);
    } catch (const UserError& e) {
      throw UserError(e.kind(), fmt::format("node '{}' ({}): {}", node.name, node.op, e.what()));
    }
  }
}

void Exporter::write_node(Block& block, ir::NodeId id) {
  const ir::Node& node = block.graph->node(id);
  const ops::OpDef& def = ops::registry().get(node.op);
  const int first = block.out->node_size();
  if (node.op == "barrier") return bind(block, id, first, write_barrier(block, node));
  if (node.op == "scan") return bind(block, id, first, write_scan(block, node));
  std::vector<std::string> results;
  int newer = 0;
  std::string reason;
  for (const ops::OnnxForm& form : def.onnx) {
    if (!can_export(form) || !form.domain.empty()) continue;
    if (form.since > opset_ && (newer == 0 || form.since < newer)) newer = form.since;
    if (!is_current(form, opset_)) continue;
    try {
      if (write_by_form(block, id, form, results)) return bind(block, id, first, results);
    } catch (const UserError& e) {
      if (e.kind() != ErrorKind::unsupported) throw;
      reason = e.what();
      block.out->mutable_node()->DeleteSubrange(first, block.out->node_size() - first);
      sizes_.clear();  // their nodes may be among the deleted ones
    }
  }
  if (def.decompose)
    return bind(block, id, first, write_expanded(block, node, ops::decompose(*block.graph, node)));
  // An elementwise operator that the operator set lacks is written as its scalar primitives.
  if (def.meaning) {
    const auto body = ops::primitive_graph(ops::instantiate(*block.graph, node));
    const auto is_itself = [&](const ir::Node& n) { return n.op == node.op; };
    if (body && std::none_of(body->nodes().begin(), body->nodes().end(), is_itself))
      return bind(block, id, first, write_expanded(block, node, *body));
  }
  if (!reason.empty()) fail_user(ErrorKind::unsupported, "{}", reason);
  if (newer > 0) throw NeedsOpset{newer, node.op};
  fail_user(ErrorKind::unsupported, "operator '{}' has no ONNX form", node.op);
}

bool Exporter::write_by_form(Block& block, ir::NodeId id, const ops::OnnxForm& form,
                             std::vector<std::string>& results) {
  const ir::Node& node = block.graph->node(id);
  if (!form.export_) {
    results = write_by_default(block, node, form);
    return true;
  }
  ExportContext context(*this, block, node);
  form.export_(context);
  results = context.results();
  TESSERA_CHECK(!results.empty(), "the form {} of '{}' declares no result", form.op, node.op);
  return true;
}

std::vector<std::string> Exporter::write_by_default(Block& block, const ir::Node& node,
                                                    const ops::OnnxForm& form) {
  const ops::OpDef& def = ops::registry().get(node.op);
  ir::AttrMap attrs;
  for (const auto& [name, value] : node.attrs) {
    bool is_default = false;
    for (const ops::AttrDef& a : def.attrs)
      is_default = is_default || (a.name == name && a.default_value &&
                                  a.default_value->index() == value.index() &&
                                  ir::operator_equal(*a.default_value, value));
    if (!is_default) attrs.emplace(name, value);
  }
  std::vector<std::string> inputs;
  for (ir::Value v : node.inputs) inputs.push_back(v.present() ? block.names.at(v) : "");
  const pb::NodeProto& made =
      emit(block, form.op, inputs, attrs, static_cast<int>(node.outputs.size()));
  return {made.output().begin(), made.output().end()};
}

std::vector<std::string> Exporter::write_expanded(Block& block, const ir::Node& node,
                                                  const ir::Graph& body) {
  Block inner;
  inner.graph = &body;
  inner.out = block.out;
  inner.prefix = node.name.empty() ? block.prefix : node.name + "/";
  size_t next = 0;
  for (ir::Value v : node.inputs)
    if (v.present()) inner.names[{body.inputs()[next++], 0}] = block.names.at(v);
  write_nodes(inner);
  std::vector<std::string> results;
  for (const ir::GraphOutput& o : body.outputs()) results.push_back(inner.names.at(o.value));
  return results;
}

// Gives the node's results their names in the model and the written nodes theirs.
void Exporter::bind(Block& block, ir::NodeId id, int first,
                    const std::vector<std::string>& results) {
  const ir::Node& node = block.graph->node(id);
  const int end = block.out->node_size();
  int last_made = end - 1;
  for (uint32_t k = 0; k < results.size() && k < node.outputs.size(); ++k) {
    const auto wanted = block.preferred.find({id, k});
    std::string name = results[k];
    for (int i = first; i < end; ++i)
      for (std::string& out : *block.out->mutable_node(i)->mutable_output()) {
        if (out != results[k] || out.empty()) continue;
        if (k == 0) last_made = i;
        if (wanted != block.preferred.end()) name = out = wanted->second;
      }
    if (name != results[k]) {
      for (int i = first; i < end; ++i)
        for (std::string& in : *block.out->mutable_node(i)->mutable_input())
          if (in == results[k]) in = name;
      for (auto& [symbol, size] : sizes_)
        if (size == results[k]) size = name;
    }
    block.names[{id, k}] = name;
  }
  for (int i = first; i < end; ++i) {
    pb::NodeProto& made = *block.out->mutable_node(i);
    if (i == last_made)
      for (const auto& [key, value] : node.metadata) {
        if (key.starts_with(value_name_key)) continue;
        auto& entry = *made.add_metadata_props();
        entry.set_key(key);
        entry.set_value(value);
      }
    if (!made.name().empty() || node.name.empty()) continue;
    const std::string base = i == last_made ? node.name : node.name + "/" + made.op_type();
    std::string name = base;
    for (int n = 1; !node_names_.insert(name).second; ++n) name = fmt::format("{}_{}", base, n);
    made.set_name(name);
  }
}

}  // namespace tessera::onnx
