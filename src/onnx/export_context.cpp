// SPDX-License-Identifier: Apache-2.0
// Access to a node's inputs and attributes, and sizes computed at run time.
#include "onnx/export_context.h"

#include "base/check.h"
#include "onnx/tensor_proto.h"
#include "ops/registry.h"

namespace tessera::onnx {

bool ExportContext::has_input(int k) const {
  return k < static_cast<int>(node_.inputs.size()) &&
         node_.inputs[static_cast<size_t>(k)].present();
}

std::string ExportContext::input(int k) {
  return has_input(k) ? block_.names.at(node_.inputs[static_cast<size_t>(k)]) : std::string();
}

const ir::ValueType& ExportContext::input_type(int k) const {
  TESSERA_CHECK(has_input(k), "input {} of '{}' is absent", k, node_.op);
  return block_.graph->type(node_.inputs[static_cast<size_t>(k)]);
}

int64_t ExportContext::onnx_type(DType type) const { return dtype_to_onnx(type); }

const ir::AttrValue* ExportContext::attr(std::string_view name) const {
  const auto at = node_.attrs.find(name);
  if (at != node_.attrs.end()) return &at->second;
  for (const ops::AttrDef& a : ops::registry().get(node_.op).attrs)
    if (a.name == name && a.default_value) return &*a.default_value;
  return nullptr;
}

std::vector<std::string> ExportContext::emit(std::string_view op_type,
                                             std::vector<std::string> inputs, ir::AttrMap attrs,
                                             int outputs) {
  const pb::NodeProto& node = exporter_.emit(block_, op_type, inputs, attrs, outputs);
  return {node.output().begin(), node.output().end()};
}

void ExportContext::unsupported(const std::string& message) const {
  throw UserError(ErrorKind::unsupported, message);
}

std::string Exporter::dims(Block& block, const ir::Dims& dims) {
  const auto count = static_cast<int64_t>(dims.size());
  if (const auto numbers = sym::constants(dims))
    return constant(Tensor::from_integers(*numbers, {count}));
  std::vector<std::string> parts;
  for (const sym::Expr& d : dims) parts.push_back(size(block, d));
  if (parts.size() == 1) return parts.front();
  return emit(block, "Concat", parts, {{"axis", int64_t{0}}}, 1).output(0);
}

std::string Exporter::binary(Block& block, const char* op, const std::string& a,
                             const std::string& b) {
  return emit(block, op, {a, b}, {}, 1).output(0);
}

// An i64 vector of one element. Sizes are never negative, so Div floors.
std::string Exporter::size(Block& block, const sym::Expr& e) {
  const auto number = [&](int64_t v) {
    return constant(Tensor::from_integers(std::vector<int64_t>{v}, {1}));
  };
  if (const auto value = e.constant()) return number(*value);
  if (const auto name = e.as_symbol()) return symbol(block, *name);
  std::string total;
  for (const sym::Term& term : e.terms()) {
    std::string product = term.coefficient == 1 ? std::string() : number(term.coefficient);
    for (const sym::Atom& atom : term.factors) {
      std::string factor;
      if (atom.kind == sym::AtomKind::symbol) {
        factor = symbol(block, atom.name);
      } else {
        const std::string a = size(block, atom.args[0]), b = size(block, atom.args[1]);
        switch (atom.kind) {
          case sym::AtomKind::floor_div: factor = binary(block, "Div", a, b); break;
          case sym::AtomKind::modulo: factor = binary(block, "Mod", a, b); break;
          case sym::AtomKind::minimum: factor = binary(block, "Min", a, b); break;
          default: factor = binary(block, "Max", a, b); break;
        }
      }
      product = product.empty() ? factor : binary(block, "Mul", product, factor);
    }
    total = total.empty() ? product : binary(block, "Add", total, product);
  }
  return e.constant_part() == 0 ? total : binary(block, "Add", total, number(e.constant_part()));
}

// The extent of an axis that the symbol names: of a model input, or of the result of an operator
// that could not be interpreted, whose sizes are names of their own.
std::string Exporter::symbol(Block& block, const std::string& name) {
  const auto known = sizes_.find(name);
  if (known != sizes_.end()) return known->second;
  const auto extent = [&](const ir::Dims& dims) -> std::optional<int64_t> {
    for (size_t axis = 0; axis < dims.size(); ++axis)
      if (dims[axis].as_symbol() == name) return static_cast<int64_t>(axis);
    return std::nullopt;
  };
  for (ir::NodeId id = 0; id < graph_.node_count(); ++id) {
    const ir::Node& node = graph_.node(id);
    if (node.op != "input" && node.op != "barrier") continue;
    for (uint32_t k = 0; k < node.outputs.size(); ++k) {
      const auto axis = node.outputs[k].opaque ? std::nullopt : extent(node.outputs[k].shape);
      const auto source = main_->names.find({id, k});
      if (!axis || source == main_->names.end()) continue;
      const std::string whole = emit(block, "Shape", {source->second}, {}, 1).output(0);
      const std::string at = constant(Tensor::from_integers(std::vector<int64_t>{*axis}, {1}));
      std::string size = emit(block, "Gather", {whole, at}, {{"axis", int64_t{0}}}, 1).output(0);
      if (block.out == model_.mutable_graph()) sizes_.emplace(name, size);
      return size;
    }
  }
  fail_user(ErrorKind::unsupported, "no value has the dimension '{}'", name);
}

}  // namespace tessera::onnx
