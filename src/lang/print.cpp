// SPDX-License-Identifier: Apache-2.0
// The printer.
#include "lang/print.h"

#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/hash.h"
#include "lang/lexer.h"
#include "lang/literal.h"
#include "ops/registry.h"
#include "types/npz.h"

namespace tessera::lang {
namespace {

void collect_symbols(const ir::Graph& graph, std::map<std::string, sym::Expr>& symbols) {
  for (const ir::Node& node : graph.nodes()) {
    for (const ir::ValueType& type : node.outputs)
      for (const sym::Expr& d : type.shape) d.collect_symbols(symbols);
    for (const auto& [name, value] : node.attrs)
      if (const auto* dims = std::get_if<ir::Dims>(&value))
        for (const sym::Expr& d : *dims) d.collect_symbols(symbols);
    for (const auto& region : node.regions) collect_symbols(*region, symbols);
  }
}

bool all_elements_equal(const Tensor& t) {
  const size_t width = size_of(t.type());
  for (int64_t i = 1; i < t.size(); ++i)
    if (std::memcmp(t.data(), t.data() + i * width, width) != 0) return false;
  return true;
}

class Printer {
 public:
  Printer(const PrintOptions& options, std::set<std::string> taken)
      : options_(options), used_(std::move(taken)) {}

  std::string program(const ir::Graph& source) {
    const ir::Graph graph = ir::without_dead_nodes(source);
    std::string text = "program " + spell_name(graph.name().empty() ? "main" : graph.name()) + "\n";
    for (const auto& [key, value] : graph.properties())
      text += fmt::format("property {} = {}\n", spell_string(key), spell_string(value));
    std::map<std::string, sym::Expr> symbols;
    collect_symbols(graph, symbols);
    std::string sizes;
    for (const auto& [name, symbol] : symbols) {
      sizes += (sizes.empty() ? "" : ", ") + spell_name(name);
      used_.insert(name);
    }
    if (!sizes.empty()) text += "sizes " + sizes + "\n";
    for (ir::NodeId id : graph.inputs()) reserve(graph.node(id).name);
    for (const ir::GraphOutput& o : graph.outputs()) output_names_.emplace(o.value, o.name);
    for (ir::NodeId id = 0; id < graph.node_count(); ++id) text += node(graph, id, "");
    for (const ir::GraphOutput& o : graph.outputs()) {
      const std::string value = names_.at(o.value);
      text += value == spell_name(o.name)
                  ? fmt::format("output {}\n", value)
                  : fmt::format("output {} = {}\n", spell_name(o.name), value);
    }
    return text;
  }

 private:
  void reserve(const std::string& name) {
    if (!used_.insert(name).second)
      fail_user(ErrorKind::unsupported, "the name '{}' stands for two things", name);
  }

  // The node's own name, else that of the output it becomes.
  std::string wanted_name(const ir::Node& n, ir::Value value) const {
    if (!is_plain_name(n.name)) {
      const auto at = output_names_.find(value);
      return at == output_names_.end() ? "" : at->second;
    }
    return n.outputs.size() == 1 ? n.name : fmt::format("{}_{}", n.name, value.index);
  }

  std::string unique(const std::string& wanted, ir::NodeId id) {
    std::string name = is_plain_name(wanted) ? wanted : fmt::format("v{}", id);
    const std::string base = name;
    for (int k = 2; !used_.insert(name).second; ++k) name = fmt::format("{}_{}", base, k);
    return name;
  }

  std::string value(ir::Value v) const { return v.present() ? names_.at(v) : "_"; }

  std::string node(const ir::Graph& graph, ir::NodeId id, const std::string& indent) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") {
      names_[{id, 0}] = spell_name(n.name);
      return fmt::format("{}input {}: {}\n", indent, spell_name(n.name), spell_type(n.outputs[0]));
    }
    if (n.op == "constant") {
      const std::string name = unique(n.name, id);
      names_[{id, 0}] = name;
      const Tensor& tensor = std::get<Tensor>(n.attrs.at("value"));
      return fmt::format("{}param {}: {} = {}\n", indent, name, spell_type(n.outputs[0]),
                         contents(tensor, name));
    }
    std::string call = n.op + "(", separator;
    for (ir::Value v : n.inputs) call += std::exchange(separator, ", ") + value(v);
    for (const auto& [name, attr] : n.attrs)
      call += fmt::format("{}{}={}", std::exchange(separator, ", "), name, attribute(attr));
    call += ")";
    for (const auto& r : n.regions) call += " " + region(*r, indent);
    std::string targets;
    for (uint32_t k = 0; k < n.outputs.size(); ++k) {
      const std::string name = unique(wanted_name(n, {id, k}), id);
      names_[{id, k}] = name;
      targets += fmt::format("{}{}: {}", k ? ", " : "", name, spell_type(n.outputs[k]));
    }
    return fmt::format("{}{} = {}\n", indent, targets, call);
  }

  std::string region(const ir::Graph& source, const std::string& indent) {
    const ir::Graph graph = ir::without_dead_nodes(source);
    Printer inner(options_, used_);
    std::string text = "{ ";
    for (size_t k = 0; k < graph.inputs().size(); ++k) {
      const ir::NodeId id = graph.inputs()[k];
      const std::string name = inner.unique(graph.node(id).name, id);
      inner.names_[{id, 0}] = name;
      text += fmt::format("{}{}: {}", k ? ", " : "", name, spell_type(graph.node(id).outputs[0]));
    }
    text += " ->\n";
    for (ir::NodeId id = 0; id < graph.node_count(); ++id)
      if (graph.node(id).op != "input") text += inner.node(graph, id, indent + "  ");
    text += indent + "  return ";
    for (size_t k = 0; k < graph.outputs().size(); ++k)
      text += (k ? ", " : "") + inner.value(graph.outputs()[k].value);
    return text + "\n" + indent + "}";
  }

  std::string attribute(const ir::AttrValue& attr) {
    const auto list = [](const auto& values, auto spell) {
      std::string text = "[", separator;
      for (const auto& v : values) text += std::exchange(separator, ", ") + spell(v);
      return text + "]";
    };
    if (const auto* v = std::get_if<int64_t>(&attr)) return fmt::format("{}", *v);
    if (const auto* v = std::get_if<double>(&attr)) return spell_real(*v);
    if (const auto* v = std::get_if<std::string>(&attr)) return spell_string(*v);
    if (const auto* v = std::get_if<DType>(&attr)) return std::string(to_string(*v));
    if (const auto* v = std::get_if<std::vector<int64_t>>(&attr))
      return list(*v, [](int64_t x) { return fmt::format("{}", x); });
    if (const auto* v = std::get_if<std::vector<double>>(&attr)) return list(*v, spell_real);
    if (const auto* v = std::get_if<std::vector<std::string>>(&attr)) return list(*v, spell_string);
    if (const auto* v = std::get_if<ir::Dims>(&attr)) return list(*v, spell_size);
    const Tensor& tensor = std::get<Tensor>(attr);
    const auto text = spell_tensor(tensor);
    if (!text)
      fail_user(ErrorKind::unsupported, "a tensor attribute holds NaNs that have no spelling");
    return fmt::format("data({}, {})",
                       spell_type({tensor.type(), {tensor.shape().begin(), tensor.shape().end()}}),
                       *text);
  }

  std::string contents(const Tensor& tensor, const std::string& name) {
    if (tensor.size() == 0) return "zeros()";
    if (tensor.size() > 1 && all_elements_equal(tensor))
      if (auto one = spell_tensor(
              Tensor(tensor.type(), {}, std::make_shared<Tensor>(tensor), tensor.data())))
        return fmt::format("full({})", *one);
    if (tensor.size() <= options_.inline_elements)
      if (auto text = spell_tensor(tensor)) return *text;
    const std::span<const std::byte> bytes{tensor.data(), tensor.bytes()};
    if (options_.elide)
      return fmt::format("elided({})",
                         spell_string(Hasher().add_bytes(bytes).finish().to_string()));
    if (options_.weights == nullptr) return fmt::format("base64(\"{}\")", to_base64(bytes));
    std::string key = name;
    for (int k = 2; !options_.weights->emplace(key, tensor).second; ++k)
      key = fmt::format("{}_{}", name, k);
    return fmt::format("file({}, {})", spell_string(options_.weights_name), spell_string(key));
  }

  const PrintOptions& options_;
  std::set<std::string> used_;
  std::map<ir::Value, std::string> names_, output_names_;
};

}  // namespace

std::string spell_size(const sym::Expr& size) { return size.to_string(spell_name); }

std::string spell_type(const ir::ValueType& type) {
  if (type.opaque) return "opaque";
  std::string text = std::string(to_string(type.dtype)) + "[";
  for (size_t k = 0; k < type.shape.size(); ++k)
    text += (k ? ", " : "") + spell_size(type.shape[k]);
  return text + "]";
}

std::string print(const ir::Graph& graph, const PrintOptions& options) {
  return Printer(options, {}).program(graph);
}

std::string print(const ir::Graph& graph) { return print(graph, {}); }

void write_program(const ir::Graph& graph, const std::string& path) {
  std::map<std::string, Tensor> weights;
  const std::filesystem::path target(path);
  const std::string name = target.stem().string() + ".weights.npz";
  const std::string text = print(graph, {.weights = &weights, .weights_name = name});
  if (!weights.empty()) write_npz((target.parent_path() / name).string(), weights);
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace tessera::lang
