// SPDX-License-Identifier: Apache-2.0
// Reading and writing of models; binding of sizes.
#include "api/load.h"

#include "api/catalog.h"
#include "api/plan_file.h"
#include "base/check.h"
#include "base/processors.h"
#include "lang/parse.h"
#include "lang/print.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "ops/builder.h"
#include "types/npz.h"

namespace tessera::api {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

onnx::ImportOptions import_options(const Options& options) {
  onnx::ImportOptions result;
  result.bind = options.bind;
  result.allow_barriers = options.allow_barriers;
  result.warn = options.warn;
  return result;
}

// The model itself or the one inside a plan.
ir::Graph import_file(const std::string& path, const onnx::ImportOptions& options) {
  if (!is_plan(path)) return onnx::import_model(path, options);
  const Plan plan = read_plan(path);
  if (plan.processor != processor_name() && options.warn)
    options.warn(fmt::format("'{}' was made on '{}'; this is '{}': another plan may be faster here",
                             path, plan.processor, processor_name()));
  return onnx::import_model_within(path, plan.model_offset, options);
}

ir::Graph import_onnx(const std::string& path, onnx::ImportOptions options,
                      const NamedTensors& known) {
  if (known.empty()) return import_file(path, options);
  try {
    return import_file(path, options);
  } catch (const UserError& e) {
    if (e.kind() != ErrorKind::needs_value) throw;
  }
  options.values = known;
  return import_file(path, options);
}

// Sizes that the given inputs have where the model declares symbols.
std::map<std::string, int64_t> sizes_of(const ir::Graph& graph, const NamedTensors& known) {
  std::map<std::string, int64_t> sizes;
  for (const ir::NodeId id : graph.inputs()) {
    const ir::Node& input = graph.node(id);
    const auto found = known.find(input.name);
    if (found == known.end()) continue;
    const ir::Dims& dims = input.outputs[0].shape;
    const Shape& shape = found->second.shape();
    if (dims.size() != shape.size()) continue;  // arrange_inputs reports it
    for (size_t k = 0; k < dims.size(); ++k) {
      const auto symbol = dims[k].as_symbol();
      if (!symbol) continue;
      const auto [at, fresh] = sizes.emplace(*symbol, shape[k]);
      TESSERA_USER_CHECK(fresh || at->second == shape[k],
                         "input '{}': dimension {} is {}, but '{}' is {} in another input",
                         input.name, k, shape[k], *symbol, at->second);
    }
  }
  return sizes;
}

// A binding of a name that no input has would otherwise do nothing, silently. `bound`: as in
// onnx::ImportOptions.
void require_symbols(const ir::Graph& unbound, const std::map<std::string, int64_t>& bind,
                     std::set<std::string>* bound) {
  std::map<std::string, sym::Expr> symbols;
  for (const ir::NodeId id : unbound.inputs())
    for (const sym::Expr& d : unbound.node(id).outputs[0].shape) d.collect_symbols(symbols);
  std::string known;
  for (const auto& [name, expr] : symbols) known += (known.empty() ? "" : ", ") + name;
  for (const auto& [name, size] : bind) {
    if (bound && symbols.count(name)) bound->insert(name);
    TESSERA_USER_CHECK(bound || symbols.count(name),
                       "--bind {}: no input has such a dimension ({})", name,
                       known.empty() ? "all are known" : "there are " + known);
  }
}

// The same input both bound and given must have one value.
void require_agreement(const std::map<std::string, int64_t>& bind, const NamedTensors& known) {
  for (const auto& [name, number] : bind) {
    const auto given = known.find(name);
    if (given == known.end()) continue;
    const Tensor value = given->second.converted(DType::i64);
    TESSERA_USER_CHECK(value.size() == 1 && value.integer_at(0) == number,
                       "input '{}' is bound to {}, and another value is given", name, number);
  }
}

ir::AttrMap substitute(const ir::AttrMap& attrs, const std::map<std::string, sym::Expr>& sizes) {
  ir::AttrMap result = attrs;
  for (auto& [name, value] : result)
    if (auto* dims = std::get_if<ir::Dims>(&value))
      for (sym::Expr& d : *dims) d = d.substitute(sizes);
  return result;
}

}  // namespace

int thread_count(const Options& options) {
  if (options.threads > 0) return options.threads;
  return usable_processors();
}

std::string rules_folder(const Options& options) {
  return options.rules_folder.empty() ? TESSERA_RULES_FOLDER : options.rules_folder;
}

std::string learned_rules_folder(const Options& options) {
  return rules_folder(options) + "/learned";
}

void report_progress(const Options& options, const std::string& what) {
  if (options.progress) options.progress(what);
}

void warn(const Options& options, const std::string& message) {
  if (options.warn) options.warn(message);
}

ir::Graph load_model(const std::string& path, const Options& options, const NamedTensors& known,
                     std::set<std::string>* bound) {
  if (ends_with(path, ".tsr")) {
    ir::Graph graph = lang::parse_file(path);
    require_symbols(graph, options.bind, bound);
    auto sizes = sizes_of(graph, known);
    sizes.insert(options.bind.begin(), options.bind.end());
    return sizes.empty() ? graph : bind_sizes(graph, sizes);
  }
  TESSERA_USER_CHECK(ends_with(path, ".onnx") || is_plan(path),
                     "'{}' is neither .onnx nor .tsr nor .plan", path);
  onnx::ImportOptions importing = import_options(options);
  importing.bound = bound;
  require_agreement(options.bind, known);
  // Known from the start rather than substituted afterwards: more shapes fold.
  for (const auto& [name, value] : known) importing.shapes.emplace(name, value.shape());
  return import_onnx(path, importing, known);
}

std::pair<ir::Graph, ir::Graph> load_models(const std::string& a, const std::string& b,
                                            const Options& options) {
  std::set<std::string> bound;
  std::pair<ir::Graph, ir::Graph> models{load_model(a, options, {}, &bound),
                                         load_model(b, options, {}, &bound)};
  for (const auto& [name, size] : options.bind)
    TESSERA_USER_CHECK(bound.contains(name), "--bind {}: neither model has such a dimension", name);
  return models;
}

void save_model(const ir::Graph& graph, const std::string& path, int opset) {
  if (ends_with(path, ".tsr")) {
    TESSERA_USER_CHECK(opset == 0, "--opset says nothing about '{}'", path);
    return lang::write_program(graph, path);
  }
  TESSERA_USER_CHECK(ends_with(path, ".onnx"), "'{}' is neither .onnx nor .tsr", path);
  onnx::export_model(graph, path, {.opset = opset});
}

ir::Graph bind_sizes(const ir::Graph& graph, const std::map<std::string, int64_t>& sizes) {
  std::map<std::string, sym::Expr> exprs;
  for (const auto& [name, size] : sizes) exprs.emplace(name, sym::Expr(size));
  ops::Builder b(graph.name());
  std::vector<std::vector<ops::Val>> values(graph.node_count());
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& node = graph.node(id);
    if (node.op == "input") {
      ir::ValueType type = node.outputs[0];
      for (sym::Expr& d : type.shape) d = d.substitute(exprs);
      values[id] = {b.input(node.name, std::move(type))};
      continue;
    }
    if (const Tensor* tensor = graph.constant({id, 0})) {
      values[id] = {b.constant(*tensor, node.name)};
      continue;
    }
    std::vector<ops::Val> inputs;
    for (const ir::Value& v : node.inputs)
      inputs.push_back(v.present() ? values[v.node][v.index] : ops::Val{});
    values[id] =
        b.op_n(node.op, std::move(inputs), substitute(node.attrs, exprs), node.regions, node.name);
  }
  for (const ir::GraphOutput& out : graph.outputs())
    b.output(out.name, values[out.value.node][out.value.index]);
  for (const auto& [key, value] : graph.properties()) b.raw().set_property(key, value);
  return std::move(b).finish();
}

void require_concrete(const ir::Graph& graph) {
  for (const ir::NodeId id : graph.inputs()) {
    const ir::Node& input = graph.node(id);
    for (const sym::Expr& d : input.outputs[0].shape) {
      if (d.is_constant()) continue;
      std::map<std::string, sym::Expr> symbols;
      d.collect_symbols(symbols);
      fail_user(ErrorKind::invalid_input, "input '{}' has shape {}: give a size with --bind {}=…",
                input.name, sym::to_string(input.outputs[0].shape), symbols.begin()->first);
    }
  }
}

NamedTensors read_inputs(const std::string& path) { return read_npz(path); }

void write_outputs(const std::string& path, const NamedTensors& tensors) {
  write_npz(path, tensors);
}

}  // namespace tessera::api
