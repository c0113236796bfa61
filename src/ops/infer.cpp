// SPDX-License-Identifier: Apache-2.0
// What follows from a record for one node: signature, meaning, decomposition, output types.
#include "base/check.h"
#include "ops/registry.h"

namespace tessera::ops {

InputTypes input_types(const ir::Graph& graph, const ir::Node& node) {
  InputTypes types;
  for (ir::Value v : node.inputs) types.push_back(v.present() ? &graph.type(v) : nullptr);
  return types;
}

void check_signature(const OpDef& def, size_t input_count, const ir::AttrMap& attrs) {
  size_t required = 0;
  bool variadic = false;
  for (const InputDef& in : def.inputs) {
    if (!in.optional) ++required;
    variadic |= in.variadic;
  }
  TESSERA_USER_CHECK(input_count >= required && (variadic || input_count <= def.inputs.size()),
                     "{}: expected {}{} inputs, found {}", def.name,
                     variadic || required < def.inputs.size() ? "at least " : "", required,
                     input_count);
  for (const auto& [name, value] : attrs) {
    const AttrDef* known = nullptr;
    for (const AttrDef& a : def.attrs)
      if (a.name == name) known = &a;
    TESSERA_USER_CHECK(known != nullptr, "{}: unknown attribute '{}'", def.name, name);
    const ir::AttrKind kind = ir::kind_of(value);
    const bool fits = kind == known->kind ||
                      (known->kind == ir::AttrKind::dims && kind == ir::AttrKind::integers) ||
                      (known->kind == ir::AttrKind::integers && kind == ir::AttrKind::dims) ||
                      (known->kind == ir::AttrKind::integer && kind == ir::AttrKind::dims) ||
                      (known->kind == ir::AttrKind::real && kind == ir::AttrKind::integer);
    TESSERA_USER_CHECK(fits, "{}: attribute '{}' must be {}, found {}", def.name, name,
                       to_string(known->kind), to_string(kind));
  }
}

ir::Meaning instantiate(const OpDef& def, const InputTypes& inputs, const ir::AttrMap& attrs) {
  TESSERA_CHECK(def.meaning, "{} has no meaning", def.name);
  for (size_t k = 0; k < def.inputs.size() && !def.inputs[k].variadic; ++k)
    TESSERA_USER_CHECK(def.inputs[k].optional || (k < inputs.size() && inputs[k] != nullptr),
                       "{}: input '{}' is missing", def.name, def.inputs[k].name);
  MeaningBuilder builder(def, attrs, inputs);
  def.meaning(builder);
  return std::move(builder).finish();
}

ir::Meaning instantiate(const ir::Graph& graph, const ir::Node& node) {
  return instantiate(registry().get(node.op), input_types(graph, node), node.attrs);
}

ir::Graph decompose(const OpDef& def, const InputTypes& inputs, const ir::AttrMap& attrs,
                    std::span<const std::shared_ptr<const ir::Graph>> regions, int64_t* work) {
  TESSERA_CHECK(def.decompose, "{} has no decomposition", def.name);
  Builder builder(def.name);
  std::vector<Val> arguments;
  for (size_t k = 0; k < inputs.size(); ++k)
    arguments.push_back(inputs[k] ? builder.input(fmt::format("in{}", k), *inputs[k]) : Val{});
  for (size_t k = 0; k < def.inputs.size() && !def.inputs[k].variadic; ++k)
    TESSERA_USER_CHECK(def.inputs[k].optional || (k < inputs.size() && inputs[k] != nullptr),
                       "{}: input '{}' is missing", def.name, def.inputs[k].name);
  Decomposition context(def, attrs, builder, std::move(arguments),
                        {regions.begin(), regions.end()});
  const std::vector<Val> results = def.decompose(context);
  if (work) *work += builder.work();
  for (size_t k = 0; k < results.size(); ++k) builder.output(fmt::format("out{}", k), results[k]);
  return std::move(builder).finish();
}

ir::Graph decompose(const ir::Graph& graph, const ir::Node& node) {
  return decompose(registry().get(node.op), input_types(graph, node), node.attrs, node.regions);
}

namespace {

// Hand-written inference may rely on every input that is not optional.
void check_present(const OpDef& def, const InputTypes& inputs) {
  for (size_t k = 0; k < std::max(inputs.size(), def.inputs.size()); ++k) {
    const InputDef& in = k < def.inputs.size() ? def.inputs[k] : def.inputs.back();
    const bool needed = in.variadic ? k < inputs.size() && def.name != "barrier" : !in.optional;
    TESSERA_USER_CHECK(!needed || (k < inputs.size() && inputs[k] != nullptr),
                       "{}: input '{}' is missing", def.name, in.name);
  }
}

}  // namespace

std::vector<ir::ValueType> infer(const OpDef& def, const InputTypes& inputs,
                                 const ir::AttrMap& attrs,
                                 std::span<const std::shared_ptr<const ir::Graph>> regions,
                                 std::span<const Tensor* const> values, int64_t* work) {
  if (work) ++*work;
  for (size_t k = 0; k < inputs.size(); ++k)
    TESSERA_USER_CHECK(inputs[k] == nullptr || !inputs[k]->opaque || def.name == "barrier",
                       "{}: the type of input {} is unknown", def.name, k);
  if (def.opaque) {
    check_present(def, inputs);
    std::vector<const Tensor*> known(values.begin(), values.end());
    known.resize(inputs.size(), nullptr);
    const AttrReader reader(def, attrs);
    return def.opaque->infer({reader, inputs, known, regions});
  }
  std::vector<ir::ValueType> types;
  if (def.meaning) {
    const ir::Meaning meaning = instantiate(def, inputs, attrs);
    if (work) *work += static_cast<int64_t>(meaning.pool->size());
    for (size_t k = 0; k < meaning.outputs.size(); ++k) types.push_back(meaning.output_type(k));
  } else {
    const ir::Graph body = decompose(def, inputs, attrs, regions, work);
    for (const ir::GraphOutput& o : body.outputs()) types.push_back(body.type(o.value));
  }
  return types;
}

}  // namespace tessera::ops
