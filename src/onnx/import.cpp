// SPDX-License-Identifier: Apache-2.0
// Reading of model files and the frame of the model itself.
#include "onnx/import.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <filesystem>
#include <new>
#include <stdexcept>

#include "base/check.h"
#include "onnx/importer.h"
#include "onnx/weight_bytes.h"

namespace tessera::onnx {
namespace {

template <typename Message>
void parse(Message& message, const std::byte* data, int64_t bytes, const std::string& what) {
  TESSERA_USER_CHECK(bytes > 0, "{} is empty", what);
  TESSERA_USER_CHECK(bytes <= INT32_MAX,
                     "{} is larger than 2 GB: store its weights as external data", what);
  google::protobuf::io::ArrayInputStream array(data, static_cast<int>(bytes));
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetTotalBytesLimit(INT32_MAX);
  stream.SetRecursionLimit(4 * max_nesting);  // graph, node, attribute, graph …
  TESSERA_USER_CHECK(message.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage(),
                     "{} is no ONNX file or is damaged", what);
}

// A model whose large weights are still in its file.
struct ReadModel {
  pb::ModelProto proto;
  MappedFile file;
  std::vector<std::span<const std::byte>> raw;  ///< of each initializer, where they were left out
};

ir::Graph import_proto(pb::ModelProto& model, const std::string& folder,
                       const ImportOptions& options, const ReadModel* read = nullptr) {
  TESSERA_USER_CHECK(model.has_graph(), "the model holds no graph");
  try {
    Importer importer(model, folder, options);
    for (int k = 0; read && k < std::ssize(read->raw); ++k)
      if (!read->raw[static_cast<size_t>(k)].empty())
        importer.files().leave(model.graph().initializer(k),
                               {read->file.data, read->raw[static_cast<size_t>(k)]});
    return importer.run();
  } catch (const std::bad_alloc&) {
    fail_user(ErrorKind::missing_resource, "the model needs more memory than there is");
  } catch (const std::length_error&) {
    fail_user(ErrorKind::missing_resource, "the model needs more memory than there is");
  }
}

}  // namespace

void Importer::import_inputs(Frame& frame) {
  const pb::GraphProto& graph = model_.graph();
  bind_shapes(graph);
  for (const pb::ValueInfoProto& input : graph.input()) {
    check_name(input.name(), "input");
    // Before IR version 4 every initializer is listed as an input as well.
    if (frame.initializers.contains(input.name()) ||
        frame.sparse_initializers.contains(input.name()))
      continue;
    const ir::ValueType type = value_type(input);
    const ops::Val value = frame.target->builder.input(input.name(), type);
    define(frame, input.name(), value);
    check_types(*frame.target, value.value.node);
    if (auto given = given_value(input.name(), type))
      frame.target->facts.set(value.value, Fact{std::move(*given), std::nullopt, true});
  }
  check_bindings();
}

std::optional<Tensor> Importer::given_value(const std::string& name, const ir::ValueType& type) {
  const auto bound = binding(name);
  const auto given = options_.values.find(name);
  if (given != options_.values.end()) {
    TESSERA_USER_CHECK(given->second.type() == type.dtype && given->second.rank() == type.rank(),
                       "the value given for '{}' has type {}{}, expected {}", name,
                       to_string(given->second.type()), shape_to_string(given->second.shape()),
                       type.to_string());
    return given->second;
  }
  if (!bound) return std::nullopt;
  const auto shape = sym::constants(type.shape);
  TESSERA_USER_CHECK(shape && element_count(*shape) == 1,
                     "'{}' is bound to a number, but is an input of type {}", name,
                     type.to_string());
  return Tensor::from_integers(std::vector<int64_t>{*bound}, *shape).converted(type.dtype);
}

// A binding of a name that no input has would otherwise do nothing, silently.
void Importer::check_bindings() const {
  if (options_.bound) return options_.bound->insert(bound_.begin(), bound_.end());
  std::string known;
  for (const auto& [symbol, source] : symbols_) {
    const std::string& name = source.find('\n') == std::string::npos ? source : symbol;
    known += (known.empty() ? "" : ", ") + name;
  }
  for (const auto& [name, size] : options_.bind)
    TESSERA_USER_CHECK(bound_.contains(name), "--bind {}: no input has such a dimension ({})", name,
                       known.empty() ? "all are known" : "there are " + known);
}

void Importer::set_properties(ir::GraphBuilder& graph) const {
  graph.set_property("onnx.opset", std::to_string(opsets_.at("")));
  graph.set_property("onnx.ir_version", std::to_string(model_.ir_version()));
  const auto set = [&](const char* key, const std::string& value) {
    if (value.empty()) return;
    check_name(value, key);
    graph.set_property(key, value);
  };
  set("onnx.producer_name", model_.producer_name());
  set("onnx.producer_version", model_.producer_version());
  set("onnx.doc_string", model_.doc_string());
  for (const auto& [domain, version] : opsets_)
    if (!domain.empty()) graph.set_property("onnx.opset." + domain, std::to_string(version));
  for (const auto& entry : model_.metadata_props()) {
    check_name(entry.key(), "metadata");
    set(("onnx.metadata." + entry.key()).c_str(), entry.value());
  }
  for (const auto& [symbol, source] : symbols_)
    if (symbol != source && source.find('\n') == std::string::npos)
      graph.set_property("onnx.dim." + symbol, source);
}

ir::Graph Importer::run() {
  const pb::GraphProto& graph = model_.graph();
  check_name(graph.name(), "graph");
  Target target(graph.name().empty() ? "main" : graph.name(), budget_);
  Frame frame;
  frame.target = &target;
  frame.opsets = &opsets_;
  declare_initializers(frame, graph);
  import_inputs(frame);
  target.facts.update();
  import_nodes(frame, graph.node());
  TESSERA_USER_CHECK(graph.output_size() > 0, "the graph has no outputs");
  std::set<std::string> names;
  for (const pb::ValueInfoProto& output : graph.output()) {
    TESSERA_USER_CHECK(names.insert(output.name()).second, "two graph outputs named '{}'",
                       output.name());
    const ops::Val value = lookup(frame, output.name());
    const auto& declared = output.type().tensor_type();
    const ir::ValueType found = value.type();
    TESSERA_USER_CHECK(!output.type().has_tensor_type() || declared.elem_type() == 0 ||
                           found.opaque || dtype_from_onnx(declared.elem_type()) == found.dtype,
                       "output '{}' is declared as {}, found {}", output.name(),
                       onnx_type_name(declared.elem_type()), found.to_string());
    target.builder.output(output.name(), value);
  }
  set_properties(target.builder.raw());
  return target.facts.simplified(target.builder.graph());
}

namespace {

// Weights of fewer bytes are parsed with the rest.
constexpr size_t least_left = 64 << 10;

// The model begins `offset` bytes into the file.
ReadModel read_model(const std::string& path, int64_t offset = 0) {
  ReadModel model;
  model.file = map_file(path);
  TESSERA_USER_CHECK(offset >= 0 && offset <= model.file.bytes, "'{}' has no {} bytes", path,
                     offset);
  const std::byte* data = model.file.data.get() + offset;
  const int64_t bytes = model.file.bytes - offset;
  std::optional<LightModel> light;
  if (bytes > 0 && bytes <= INT32_MAX)
    light = without_weights({data, static_cast<size_t>(bytes)}, least_left);
  const std::string what = fmt::format("'{}'", path);
  if (light) {
    parse(model.proto, reinterpret_cast<const std::byte*>(light->bytes.data()),
          static_cast<int64_t>(light->bytes.size()), what);
    model.raw = std::move(light->raw);
    if (std::ssize(model.raw) == model.proto.graph().initializer_size()) return model;
    model.raw.clear();
  }
  parse(model.proto, data, bytes, what);
  return model;
}

}  // namespace

std::vector<std::string> input_names(const std::string& path) {
  const pb::ModelProto model = read_model(path).proto;
  std::set<std::string> initialized;
  for (const auto& t : model.graph().initializer()) initialized.insert(t.name());
  for (const auto& t : model.graph().sparse_initializer()) initialized.insert(t.values().name());
  std::vector<std::string> names;
  for (const auto& input : model.graph().input())
    if (!initialized.contains(input.name())) names.push_back(input.name());
  return names;
}

std::string main_operator(const std::string& path) {
  const pb::ModelProto model = read_model(path).proto;
  const int count = model.graph().node_size();
  return count == 0 ? std::string() : model.graph().node(count - 1).op_type();
}

ir::Graph import_model(const std::string& path, const ImportOptions& options) {
  ReadModel model = read_model(path);
  const std::string folder = std::filesystem::path(path).parent_path().string();
  try {
    return import_proto(model.proto, folder.empty() ? "." : folder, options, &model);
  } catch (const UserError& e) {
    throw UserError(e.kind(), fmt::format("{}: {}", path, e.what()));
  }
}

ir::Graph import_model_within(const std::string& path, int64_t offset,
                              const ImportOptions& options) {
  ReadModel model = read_model(path, offset);
  return import_proto(model.proto, "", options, &model);
}

ir::Graph import_model_bytes(std::string_view bytes, const std::string& folder,
                             const ImportOptions& options) {
  pb::ModelProto model;
  parse(model, reinterpret_cast<const std::byte*>(bytes.data()), static_cast<int64_t>(bytes.size()),
        "the model");
  return import_proto(model, folder, options);
}

Tensor read_tensor_file(const std::string& path) {
  const MappedFile file = map_file(path);
  pb::TensorProto proto;
  if (file.bytes > 0) parse(proto, file.data.get(), file.bytes, fmt::format("'{}'", path));
  ExternalFiles none{std::string()};
  return tensor_from_proto(proto, none, path);
}

}  // namespace tessera::onnx
