// SPDX-License-Identifier: Apache-2.0
// Frames, names, types and nodes.
#include "onnx/importer.h"

#include "base/check.h"
#include "onnx/node_context.h"
#include "ops/registry.h"

namespace tessera::onnx {
namespace {

OpsetMap opset_map(const google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto>& list) {
  OpsetMap map;
  for (const auto& entry : list) {
    const int64_t version = entry.version();
    TESSERA_USER_CHECK(version >= 1 && version <= INT32_MAX, "operator set '{}' has the version {}",
                       entry.domain(), version);
    map[normalized_domain(entry.domain())] = static_cast<int>(version);
  }
  return map;
}

std::string function_key(const std::string& domain, const std::string& name,
                         const std::string& overload) {
  return fmt::format("{}:{}:{}", normalized_domain(domain), name, overload);
}

bool is_identifier(const std::string& text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
      return false;
  return true;
}

std::string to_identifier(const std::string& text) {
  std::string name;
  for (char c : text) name += is_identifier(std::string("_") + c) ? c : '_';
  return is_identifier(name) ? name : "_" + name;
}

// Some exporters write -1 for "unknown", and "?" for dimensions that need not be equal.
bool is_extent(const pb::TensorShapeProto::Dimension& dim) {
  return dim.has_dim_value() && dim.dim_value() != -1;
}

bool is_named(const pb::TensorShapeProto::Dimension& dim) {
  return !dim.dim_param().empty() && dim.dim_param() != "?";
}

// Dimensions without a name are called after their axis.
std::string dimension_name(const pb::TensorShapeProto::Dimension& dim, const std::string& value,
                           int axis) {
  return is_named(dim) ? dim.dim_param() : fmt::format("{}_d{}", value, axis);
}

}  // namespace

std::string normalized_domain(const std::string& domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

std::string describe(const pb::NodeProto& node) {
  std::string name = node.name();
  for (int k = 0; name.empty() && k < node.output_size(); ++k) name = node.output(k);
  return fmt::format("node '{}' ({})", name, node.op_type());
}

void check_name(const std::string& text, const std::string& what) {
  size_t i = 0;
  bool valid = text.size() <= 65'536;
  while (valid && i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    const size_t length = c < 0x80 ? 1 : c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 ? 3 : 2;
    valid = (c < 0x80 || (c >= 0xC2 && c < 0xF5)) && (c >= 0x20 || c == '\n' || c == '\t') &&
            i + length <= text.size();
    for (size_t k = 1; valid && k < length; ++k)
      valid = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    i += length;
  }
  TESSERA_USER_CHECK(valid, "a name ({}) is too long or no printable UTF-8 text", what);
}

Importer::Importer(pb::ModelProto& model, const std::string& folder, const ImportOptions& options)
    : model_(model), options_(options), files_(folder) {
  opsets_ = opset_map(model.opset_import());
  stated_nodes_ = model.graph().node_size();
  opsets_.try_emplace("", 1);
  for (const pb::FunctionProto& f : model.functions()) {
    const std::string key = function_key(f.domain(), f.name(), f.overload());
    TESSERA_USER_CHECK(functions_.emplace(key, &f).second, "two functions named '{}'", key);
    OpsetMap opsets = opset_map(f.opset_import());
    for (const auto& [domain, version] : opsets_) opsets.try_emplace(domain, version);
    function_opsets_.emplace(&f, std::move(opsets));
    stated_nodes_ += f.node_size();
  }
  budget_.steps += max_fold_steps_per_node * static_cast<double>(stated_nodes_);
}

int Importer::opset(const Frame& frame, const std::string& domain) const {
  const auto at = frame.opsets->find(domain);
  return at == frame.opsets->end() ? 1 : at->second;
}

std::optional<int64_t> Importer::binding(const std::string& name) {
  const auto at = options_.bind.find(name);
  if (!name.empty() && at != options_.bind.end()) {
    bound_.insert(name);
    return at->second;
  }
  const auto size = sizes_.find(name);
  return size == sizes_.end() ? std::nullopt : std::optional(size->second);
}

void Importer::bind_shapes(const pb::GraphProto& graph) {
  for (const pb::ValueInfoProto& input : graph.input()) {
    const auto given = options_.shapes.find(input.name());
    const auto& declared = input.type().tensor_type().shape();
    if (given == options_.shapes.end() || declared.dim_size() != std::ssize(given->second))
      continue;
    for (int axis = 0; axis < declared.dim_size(); ++axis) {
      const auto& dim = declared.dim(axis);
      const int64_t size = given->second[static_cast<size_t>(axis)];
      if (is_extent(dim)) continue;
      const std::string name = dimension_name(dim, input.name(), axis);
      const auto [at, fresh] = sizes_.emplace(name, size);
      TESSERA_USER_CHECK(fresh || at->second == size,
                         "input '{}': dimension {} is {}, but '{}' is {} in another input",
                         input.name(), axis, size, name, at->second);
    }
  }
}

sym::Expr Importer::dimension(const pb::TensorShapeProto::Dimension& dim, const std::string& value,
                              int axis) {
  if (is_extent(dim)) {
    TESSERA_USER_CHECK(dim.dim_value() >= 0, "value '{}' has the negative dimension {}", value,
                       dim.dim_value());
    return dim.dim_value();
  }
  const std::string name = dimension_name(dim, value, axis);
  check_name(name, "dimension");
  if (const auto size = binding(name)) return *size;
  std::string symbol = to_identifier(name);
  const std::string source = is_named(dim) ? name : fmt::format("{}\n{}", value, axis);
  while (symbols_.contains(symbol) && symbols_[symbol] != source) symbol += "_";
  if (const auto size = binding(symbol)) return *size;
  symbols_[symbol] = source;
  return sym::Expr::symbol(symbol);
}

ir::ValueType Importer::value_type(const pb::ValueInfoProto& info) {
  const std::string& name = info.name();
  if (!info.type().has_tensor_type()) {
    const char* what = info.type().has_sequence_type()        ? "a sequence"
                       : info.type().has_optional_type()      ? "an optional"
                       : info.type().has_map_type()           ? "a map"
                       : info.type().has_sparse_tensor_type() ? "a sparse tensor"
                                                              : "without a type";
    fail_user(info.type().value_case() == 0 ? ErrorKind::invalid_input : ErrorKind::unsupported,
              "value '{}' is {}, which is not supported", name, what);
  }
  const auto& tensor = info.type().tensor_type();
  const auto type = dtype_from_onnx(tensor.elem_type());
  if (!type)
    fail_user(tensor.elem_type() == 0 ? ErrorKind::invalid_input : ErrorKind::unsupported,
              "value '{}' has the element type {}, which is not supported", name,
              onnx_type_name(tensor.elem_type()));
  if (!tensor.has_shape()) fail_user(ErrorKind::unsupported, "value '{}' has no rank", name);
  TESSERA_USER_CHECK(tensor.shape().dim_size() <= max_rank,
                     "value '{}' has rank {}, the limit is {}", name, tensor.shape().dim_size(),
                     max_rank);
  ir::ValueType result{*type, {}};
  for (int axis = 0; axis < tensor.shape().dim_size(); ++axis)
    result.shape.push_back(dimension(tensor.shape().dim(axis), name, axis));
  return result;
}

void Importer::declare_initializers(Frame& frame, const pb::GraphProto& graph) {
  frame.graph = &graph;
  for (const pb::TensorProto& t : graph.initializer()) {
    check_name(t.name(), "initializer");
    TESSERA_USER_CHECK(
        frame.initializers.emplace(t.name(), const_cast<pb::TensorProto*>(&t)).second,
        "two initializers named '{}'", t.name());
  }
  for (const pb::SparseTensorProto& t : graph.sparse_initializer()) {
    check_name(t.values().name(), "initializer");
    TESSERA_USER_CHECK(!frame.initializers.contains(t.values().name()) &&
                           frame.sparse_initializers.emplace(t.values().name(), &t).second,
                       "two initializers named '{}'", t.values().name());
  }
}

ops::Val Importer::find(Frame& frame, const std::string& name) {
  const auto known = frame.values.find(name);
  if (known != frame.values.end()) return known->second;
  const std::string what = fmt::format("initializer '{}'", name);
  ops::Val found;
  if (const auto at = frame.initializers.find(name); at != frame.initializers.end()) {
    found = frame.target->builder.constant(take_tensor(*at->second, files_, what), name);
  } else if (const auto sparse = frame.sparse_initializers.find(name);
             sparse != frame.sparse_initializers.end()) {
    found = frame.target->builder.constant(tensor_from_sparse(*sparse->second, files_, what), name);
  } else if (frame.outer != nullptr) {
    const ops::Val outer = find(*frame.outer, name);
    if (!outer.present() || frame.target == frame.outer->target) return outer;
    Facts& facts = frame.outer->target->facts;
    if (const Tensor* tensor = facts.tensor(outer.value, false)) {
      found = frame.target->builder.constant(*tensor, name);
    } else {
      found = frame.target->builder.input(name, outer.type());
      if (const Fact* fact = facts.find(outer.value)) frame.target->facts.set(found.value, *fact);
      frame.target->captures.push_back(outer);
      frame.target->captured_as.push_back(found.value);
    }
  }
  if (found.present()) frame.values.emplace(name, found);
  return found;
}

ops::Val Importer::lookup(Frame& frame, const std::string& name) {
  const ops::Val found = find(frame, name);
  TESSERA_USER_CHECK(found.present(), "value '{}' does not exist or is used before it is computed",
                     name);
  return found;
}

void Importer::define(Frame& frame, const std::string& name, ops::Val value) {
  check_name(name, "value");
  TESSERA_CHECK(value.present() && value.builder == &frame.target->builder);
  TESSERA_USER_CHECK(!frame.initializers.contains(name) &&
                         !frame.sparse_initializers.contains(name) &&
                         frame.values.emplace(name, value).second,
                     "value '{}' is defined twice", name);
}

std::set<std::string> Importer::sources(const Target& target, ops::Val value) const {
  std::set<std::string> names;
  const ir::Graph& graph = target.builder.graph();
  std::vector<bool> seen(graph.node_count(), false);
  std::vector<ir::NodeId> open{value.value.node};
  while (!open.empty()) {
    const ir::NodeId id = open.back();
    open.pop_back();
    if (seen[id]) continue;
    seen[id] = true;
    const ir::Node& n = graph.node(id);
    if (n.op == "input" && target.outer == nullptr) names.insert(n.name);
    for (size_t k = 0; n.op == "input" && k < target.captured_as.size(); ++k)
      if (target.captured_as[k].node == id) names.merge(sources(*target.outer, target.captures[k]));
    for (ir::Value v : n.inputs)
      if (v.present()) open.push_back(v.node);
  }
  return names;
}

void Importer::check_types(const Target& target, ir::NodeId first) const {
  const ir::Graph& graph = target.builder.graph();
  for (ir::NodeId id = first; id < graph.node_count(); ++id)
    for (const ir::ValueType& type : graph.node(id).outputs) {
      TESSERA_USER_CHECK(type.rank() <= max_rank, "the result has rank {}, the limit is {}",
                         type.rank(), max_rank);
      int64_t count = 1;
      for (const sym::Expr& d : type.shape) {
        const int64_t extent = d.constant().value_or(1);
        TESSERA_USER_CHECK(extent >= 0, "the result has the negative dimension {}: {}", extent,
                           type.to_string());
        TESSERA_USER_CHECK(extent == 0 || count <= max_value_bytes / 8 / extent,
                           "the result is too large: {}", type.to_string());
        if (extent > 0) count *= extent;
      }
    }
}

void Importer::count_work(Target& target) {
  work_ += target.builder.work() - target.counted_work;
  target.counted_work = target.builder.work();
  const int64_t limit = max_work + max_work_per_node * stated_nodes_;
  TESSERA_USER_CHECK(work_ <= limit,
                     "the model expands too far: its types need more than {} expression nodes",
                     limit);
}

void Importer::import_nodes(Frame& frame, const Nodes& nodes) {
  for (const pb::NodeProto& node : nodes) {
    try {
      // Functions that call each other twice double the work at every level; the names of what
      // lies deep are long, and so it counts for more.
      const int64_t limit =
          std::min(max_nodes, max_inlined_nodes + max_inlined_per_node * stated_nodes_);
      node_count_ += 1 + frame.depth / 8;
      TESSERA_USER_CHECK(node_count_ <= limit, "the model has more than {} nodes", limit);
      import_node(frame, node);
    } catch (const UserError& e) {
      throw UserError(e.kind(), fmt::format("{}: {}", describe(node), e.what()));
    }
  }
}

void Importer::import_node(Frame& frame, const pb::NodeProto& node) {
  check_name(node.name(), "node");
  check_name(node.op_type(), "operator");
  check_name(node.domain(), "domain");
  for (const std::string& name : node.output()) check_name(name, "value");
  TESSERA_USER_CHECK(node.input_size() <= max_arguments && node.output_size() <= max_arguments,
                     "more than {} inputs or outputs", max_arguments);
  const std::string domain = normalized_domain(node.domain());
  const auto function = functions_.find(function_key(domain, node.op_type(), node.overload()));
  const int version = opset(frame, domain);
  if (function != functions_.end()) return import_call(frame, node, *function->second);
  std::string reason;
  const bool control = domain.empty() && (node.op_type() == "If" || node.op_type() == "Loop" ||
                                          node.op_type() == "Constant");
  // A region with a barrier could not be run: then the node that has the region is the barrier.
  const bool barriers = options_.allow_barriers && frame.target->outer == nullptr;
  if (barriers && consumes_opaque(frame, node)) {
    reason = "it uses a value that cannot be interpreted";
  } else if (control || ops::registry().find_onnx(domain, node.op_type(), version).form) {
    try {
      return control ? import_control_flow(frame, node) : import_by_record(frame, node);
    } catch (const UserError& e) {
      if (e.kind() == ErrorKind::invalid_input || !barriers) throw;
      reason = e.what();
    }
  } else {
    reason = fmt::format("operator {}:{} version {} is not supported",
                         domain.empty() ? "ai.onnx" : domain, node.op_type(), version);
    if (!barriers) throw UserError(ErrorKind::unsupported, reason);
  }
  import_barrier(frame, node, reason);
}

void Importer::import_by_record(Frame& frame, const pb::NodeProto& node) {
  NodeContext context(*this, frame, node);
  const auto ref =
      ops::registry().find_onnx(normalized_domain(node.domain()), node.op_type(), context.opset());
  const auto first = static_cast<ir::NodeId>(frame.target->builder.graph().node_count());
  std::vector<ops::Val> results =
      ref.form->import ? ref.form->import(context) : context.import_by_default(*ref.def, *ref.form);
  if (options_.inferred_nodes) ++*options_.inferred_nodes;
  finish_node(frame, node, first, results);
}

void Importer::finish_node(Frame& frame, const pb::NodeProto& node, ir::NodeId first,
                           const std::vector<ops::Val>& results) {
  ir::GraphBuilder& graph = frame.target->builder.raw();
  count_work(*frame.target);
  check_types(*frame.target, first);
  for (int k = 0; k < node.output_size(); ++k) {
    const auto at = static_cast<size_t>(k);
    if (!node.output(k).empty() && (at >= results.size() || !results[at].present()))
      fail_user(ErrorKind::unsupported, "output {} ('{}') is not supported", k, node.output(k));
  }
  std::string name = node.name();
  for (int k = 0; name.empty() && k < node.output_size(); ++k) name = node.output(k);
  for (size_t k = 0; k < results.size() && k < static_cast<size_t>(node.output_size()); ++k) {
    if (node.output(static_cast<int>(k)).empty() || !results[k].present() ||
        results[k].value.node < first)
      continue;
    ir::Node& made = graph.mutable_node(results[k].value.node);
    if (made.op == "input") continue;
    if (made.name.empty()) made.name = name;
    made.metadata.emplace(fmt::format("onnx.value.{}", results[k].value.index),
                          node.output(static_cast<int>(k)));
  }
  const auto end = static_cast<ir::NodeId>(graph.graph().node_count());
  for (ir::NodeId id = first; id < end; ++id) {
    ir::Node& made = graph.mutable_node(id);
    if (made.name.empty() && made.op != "constant") made.name = fmt::format("{}/{}", name, made.op);
    if (!results.empty() && id == results.front().value.node)
      for (const auto& entry : node.metadata_props()) {
        check_name(entry.key(), "metadata");
        check_name(entry.value(), "metadata");
        made.metadata.emplace(entry.key(), entry.value());
      }
  }
  frame.target->facts.update();
  for (int k = 0; k < node.output_size(); ++k)
    if (!node.output(k).empty()) define(frame, node.output(k), results[static_cast<size_t>(k)]);
}

Frame Importer::child(Frame& frame, Target& target) const {
  Frame inner;
  inner.target = &target;
  inner.outer = &frame;
  inner.opsets = frame.opsets;
  inner.call = frame.call;
  inner.depth = frame.depth + 1;
  TESSERA_USER_CHECK(inner.depth <= max_nesting,
                     "graphs and functions are nested more than {} deep", max_nesting);
  return inner;
}

void Importer::import_call(Frame& frame, const pb::NodeProto& node,
                           const pb::FunctionProto& function) {
  NodeContext context(*this, frame, node);
  Attributes call = context.attributes();
  for (const pb::AttributeProto& a : function.attribute_proto()) call.try_emplace(a.name(), &a);
  Frame body = child(frame, *frame.target);
  body.outer = nullptr;
  body.opsets = &function_opsets_.at(&function);
  body.call = &call;
  TESSERA_USER_CHECK(node.input_size() <= function.input_size(),
                     "{} arguments for {} inputs of the function", node.input_size(),
                     function.input_size());
  for (int k = 0; k < function.input_size(); ++k)
    if (context.has_input(k)) define(body, function.input(k), context.input(k));
    else body.absent.insert(function.input(k));
  import_nodes(body, function.node());
  std::vector<ops::Val> results;
  for (int k = 0; k < function.output_size(); ++k)
    results.push_back(k < node.output_size() && !node.output(k).empty()
                          ? lookup(body, function.output(k))
                          : find(body, function.output(k)));
  for (int k = 0; k < node.output_size(); ++k) {
    if (node.output(k).empty()) continue;
    TESSERA_USER_CHECK(k < static_cast<int>(results.size()), "the function has {} outputs",
                       results.size());
    define(frame, node.output(k), results[static_cast<size_t>(k)]);
  }
}

}  // namespace tessera::onnx
