// SPDX-License-Identifier: Apache-2.0
// Access to a node's inputs and attributes, and the default mapping to a record.
#include "onnx/node_context.h"

#include "base/check.h"

namespace tessera::onnx {
namespace {

// Old models leave the type out; then it is the field that is set.
pb::AttributeType type_of(const pb::AttributeProto& a) {
  if (a.type() != 0) return static_cast<pb::AttributeType>(a.type());
  if (a.has_f()) return pb::ATTR_FLOAT;
  if (a.has_i()) return pb::ATTR_INT;
  if (a.has_s()) return pb::ATTR_STRING;
  if (a.has_t()) return pb::ATTR_TENSOR;
  if (a.has_g()) return pb::ATTR_GRAPH;
  if (a.floats_size() > 0) return pb::ATTR_FLOATS;
  if (a.strings_size() > 0) return pb::ATTR_STRINGS;
  return pb::ATTR_INTS;
}

std::string_view name_of(pb::AttributeType type) {
  switch (type) {
    case pb::ATTR_FLOAT: return "a float";
    case pb::ATTR_INT: return "an int";
    case pb::ATTR_STRING: return "a string";
    case pb::ATTR_TENSOR: return "a tensor";
    case pb::ATTR_GRAPH: return "a graph";
    case pb::ATTR_FLOATS: return "floats";
    case pb::ATTR_INTS: return "ints";
    case pb::ATTR_STRINGS: return "strings";
    default: return "of another type";
  }
}

}  // namespace

NodeContext::NodeContext(Importer& importer, Frame& frame, const pb::NodeProto& node)
    : importer_(importer),
      frame_(frame),
      node_(node),
      opset_(importer.opset(frame, normalized_domain(node.domain()))) {
  TESSERA_USER_CHECK(node.attribute_size() <= max_attributes, "{} attributes, the limit is {}",
                     node.attribute_size(), max_attributes);
  for (const pb::AttributeProto& a : node.attribute()) {
    TESSERA_USER_CHECK(
        a.ints_size() <= max_list && a.floats_size() <= max_list && a.strings_size() <= max_list,
        "attribute '{}' has more than {} elements", a.name(), max_list);
    const pb::AttributeProto* resolved = &a;
    if (!a.ref_attr_name().empty()) {
      TESSERA_USER_CHECK(frame.call != nullptr, "attribute '{}' refers to '{}' outside a function",
                         a.name(), a.ref_attr_name());
      const auto at = frame.call->find(a.ref_attr_name());
      if (at == frame.call->end()) continue;  // the call leaves it out
      resolved = at->second;
    }
    TESSERA_USER_CHECK(attrs_.emplace(a.name(), resolved).second, "two attributes named '{}'",
                       a.name());
  }
}

int NodeContext::input_count() const {
  int count = node_.input_size();
  while (count > 0 && !has_input(count - 1)) --count;
  return count;
}

bool NodeContext::has_input(int k) const {
  return k < node_.input_size() && !node_.input(k).empty() &&
         !frame_.absent.contains(node_.input(k));
}

std::string NodeContext::input_name(int k) const {
  return k < node_.input_size() ? node_.input(k) : std::string();
}

ops::Val NodeContext::input(int k) {
  return has_input(k) ? importer_.lookup(frame_, node_.input(k)) : ops::Val{};
}

bool NodeContext::wants_output(int k) const {
  return k < node_.output_size() && !node_.output(k).empty();
}

const pb::AttributeProto* NodeContext::find(std::string_view name, pb::AttributeType type) const {
  const auto at = attrs_.find(name);
  if (at == attrs_.end()) return nullptr;
  const pb::AttributeType found = type_of(*at->second);
  if (found != type)
    fail(fmt::format("attribute '{}' must be {}, found {}", name, name_of(type), name_of(found)));
  return at->second;
}

int64_t NodeContext::attr_int(std::string_view name, int64_t fallback) const {
  const auto* a = find(name, pb::ATTR_INT);
  return a ? a->i() : fallback;
}

double NodeContext::attr_float(std::string_view name, double fallback) const {
  const auto* a = find(name, pb::ATTR_FLOAT);
  return a ? static_cast<double>(a->f()) : fallback;
}

std::string NodeContext::attr_string(std::string_view name, std::string fallback) const {
  const auto* a = find(name, pb::ATTR_STRING);
  if (a == nullptr) return fallback;
  check_name(a->s(), "attribute");
  return a->s();
}

std::vector<int64_t> NodeContext::attr_ints(std::string_view name,
                                            std::vector<int64_t> fallback) const {
  const auto* a = find(name, pb::ATTR_INTS);
  if (a == nullptr) return fallback;
  // Bounds of slices are often the largest integer, and a constant holds what it holds.
  const bool any = name == "starts" || name == "ends" || name == "value_ints";
  for (int64_t v : a->ints())
    if (!any && (v > max_listed || v < -max_listed))
      fail(fmt::format("attribute '{}' holds {}, the limit is {}", name, v, max_listed));
  return {a->ints().begin(), a->ints().end()};
}

std::vector<double> NodeContext::attr_floats(std::string_view name,
                                             std::vector<double> fallback) const {
  const auto* a = find(name, pb::ATTR_FLOATS);
  return a ? std::vector<double>(a->floats().begin(), a->floats().end()) : fallback;
}

std::vector<std::string> NodeContext::attr_strings(std::string_view name) const {
  const auto* a = find(name, pb::ATTR_STRINGS);
  if (a == nullptr) return {};
  for (const std::string& s : a->strings()) check_name(s, "attribute");
  return {a->strings().begin(), a->strings().end()};
}

std::optional<Tensor> NodeContext::attr_tensor(std::string_view name) const {
  const auto* a = find(name, pb::ATTR_TENSOR);
  if (a == nullptr) return std::nullopt;
  return tensor_from_proto(a->t(), importer_.files(), fmt::format("attribute '{}'", name));
}

const pb::GraphProto& NodeContext::graph_attr(std::string_view name) const {
  const auto* a = find(name, pb::ATTR_GRAPH);
  if (a == nullptr) fail(fmt::format("the graph attribute '{}' is missing", name));
  return a->g();
}

std::shared_ptr<const ir::Graph> NodeContext::attr_graph(std::string_view name,
                                                         std::span<const ir::ValueType> input_types,
                                                         std::vector<ops::Val>& captures) {
  Importer::Region region = importer_.region(frame_, graph_attr(name), input_types);
  captures.insert(captures.end(), region.captures.begin(), region.captures.end());
  return region.graph;
}

std::vector<ops::Val> NodeContext::inline_graph(std::string_view name) {
  return importer_.inline_subgraph(frame_, graph_attr(name));
}

DType NodeContext::dtype_of(int64_t onnx_type) const {
  const auto type = dtype_from_onnx(onnx_type);
  if (!type) unsupported(fmt::format("{} is not supported", onnx_type_name(onnx_type)));
  return *type;
}

std::optional<Tensor> NodeContext::try_value(int k) {
  if (!has_input(k)) return std::nullopt;
  const Tensor* known = frame_.target->facts.tensor(input(k).value, true);
  return known ? std::optional(*known) : std::nullopt;
}

Tensor NodeContext::value(int k) {
  if (!has_input(k)) fail(fmt::format("input {} is missing", k));
  if (auto known = try_value(k)) return *known;
  needs_value(k);
}

void NodeContext::needs_value(int k) {
  const std::set<std::string> names = importer_.sources(*frame_.target, input(k));
  std::string list;
  for (const std::string& name : names)
    list += fmt::format("{}'{}'", list.empty() ? "" : ", ", name);
  // Without a source the value is computed inside (random numbers, too much work to fold).
  if (names.empty())
    unsupported(fmt::format("the value of input {} ('{}') must be known and is not constant", k,
                            input_name(k)));
  fail_user(ErrorKind::needs_value,
            "the value of input {} ('{}') must be known; it depends on the graph input{} {}", k,
            input_name(k), names.size() == 1 ? "" : "s", list);
}

ir::Dims NodeContext::dims(int k) {
  if (!has_input(k)) fail(fmt::format("input {} is missing", k));
  const ops::Val v = input(k);
  const ir::ValueType type = v.type();
  if (type.opaque) unsupported(fmt::format("the type of input {} is unknown", k));
  if (type.rank() > 1 || !is_integer(type.dtype))
    fail(fmt::format("input {} must be a list of integers, found {}", k, type.to_string()));
  const auto known = frame_.target->facts.symbolic(v.value);
  if (!known) needs_value(k);
  ir::Dims dims;
  for (const Element& e : known->elements) dims.push_back(e.integer);
  return dims;
}

std::optional<sym::Expr> NodeContext::try_size(int k) {
  if (!has_input(k)) return std::nullopt;
  const auto known = frame_.target->facts.symbolic(input(k).value);
  if (!known || known->elements.size() != 1 || !known->elements[0].exact) return std::nullopt;
  return known->elements[0].integer;
}

std::vector<int64_t> NodeContext::integers(int k) {
  const ir::Dims list = dims(k);
  const auto values = sym::constants(list);
  if (!values)
    unsupported(fmt::format("input {} must hold numbers, found {}; bind the dimensions", k,
                            sym::to_string(list)));
  return *values;
}

void NodeContext::fail(const std::string& message) const {
  throw UserError(ErrorKind::invalid_input, message);
}

void NodeContext::unsupported(const std::string& message) const {
  throw UserError(ErrorKind::unsupported, message);
}

ir::AttrValue NodeContext::converted(const std::string& name, ir::AttrKind kind) const {
  switch (kind) {
    case ir::AttrKind::integer: return attr_int(name, 0);
    case ir::AttrKind::real: return attr_float(name, 0);
    case ir::AttrKind::string: return attr_string(name, {});
    case ir::AttrKind::integers: return attr_ints(name, {});
    case ir::AttrKind::reals: return attr_floats(name, {});
    case ir::AttrKind::strings: return attr_strings(name);
    case ir::AttrKind::dtype: return dtype_of(attr_int(name, 0));
    case ir::AttrKind::dims: {
      const std::vector<int64_t> values = attr_ints(name, {});
      return ir::Dims(values.begin(), values.end());
    }
    case ir::AttrKind::tensor: return *attr_tensor(name);
  }
  return int64_t{0};
}

std::vector<ops::Val> NodeContext::import_by_default(const ops::OpDef& def,
                                                     const ops::OnnxForm& form) {
  ir::AttrMap attrs;
  for (const auto& [name, attr] : attrs_) {
    const ops::AttrDef* known = nullptr;
    for (const ops::AttrDef& a : def.attrs)
      if (a.name == name) known = &a;
    if (known != nullptr) {
      attrs.emplace(name, converted(name, known->kind));
    } else if (std::find(form.ignored.begin(), form.ignored.end(), name) == form.ignored.end()) {
      unsupported(fmt::format("attribute '{}' is not supported", name));
    }
  }
  std::vector<ops::Val> inputs;
  for (int k = 0; k < input_count(); ++k) inputs.push_back(input(k));
  return builder().op_n(def.name, std::move(inputs), std::move(attrs));
}

}  // namespace tessera::onnx
