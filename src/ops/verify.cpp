// SPDX-License-Identifier: Apache-2.0
// The verifier.
#include "ops/verify.h"

#include <set>

#include "base/check.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

class Verifier {
 public:
  Verifier(const ir::Graph& graph, std::string path) : graph_(graph), path_(std::move(path)) {}

  void run() {
    for (ir::NodeId id = 0; id < graph_.node_count(); ++id) check_node(id);
    check_inputs();
    std::set<std::string> names;
    for (const ir::GraphOutput& o : graph_.outputs()) {
      check(exists(o.value, static_cast<ir::NodeId>(graph_.node_count())),
            fmt::format("output '{}' is no value of the graph", o.name));
      check(!o.name.empty(), "an output has no name");
      check(names.insert(o.name).second, fmt::format("two outputs are named '{}'", o.name));
    }
    check(!graph_.outputs().empty(), "the graph has no outputs");
  }

 private:
  void check(bool condition, const std::string& message) const {
    TESSERA_CHECK(condition, "graph '{}': {}", path_, message);
  }

  bool exists(ir::Value v, ir::NodeId before) const {
    return v.node < before && v.index < graph_.node(v.node).outputs.size();
  }

  void check_inputs() const {
    std::set<std::string> names;
    size_t count = 0;
    for (const ir::Node& node : graph_.nodes()) count += node.op == "input";
    check(count == graph_.inputs().size(), "input nodes and the signature differ");
    for (ir::NodeId id : graph_.inputs()) {
      check(id < graph_.node_count() && graph_.node(id).op == "input",
            fmt::format("node {} of the signature is no input", id));
      const std::string& name = graph_.node(id).name;
      check(!name.empty(), fmt::format("input {} has no name", id));
      check(names.insert(name).second, fmt::format("two inputs are named '{}'", name));
    }
  }

  void check_node(ir::NodeId id) const {
    const ir::Node& node = graph_.node(id);
    const std::string where = fmt::format("node {} '{}' ({})", id, node.name, node.op);
    for (ir::Value v : node.inputs)
      check(!v.present() || exists(v, id), where + " uses a value that does not stand before it");
    check(!node.outputs.empty(), where + " has no outputs");
    const OpDef* def = registry().find(node.op);
    check(def != nullptr, where + " is of an unknown operator");
    for (size_t k = 0; k < node.regions.size(); ++k) {
      check(node.regions[k] != nullptr, where + " lacks a region");
      Verifier(*node.regions[k], fmt::format("{}/{}[{}]", path_, node.op, k)).run();
    }
    if (node.op == "input") {
      check(node.inputs.empty() && node.attrs.empty() && node.outputs.size() == 1, where);
      return;
    }
    // What nobody can interpret has the types that its model states.
    if (node.op != "barrier") check_types(*def, node, where);
  }

  void check_types(const OpDef& def, const ir::Node& node, const std::string& where) const {
    std::vector<ir::ValueType> inferred;
    try {
      check_signature(def, node.inputs.size(), node.attrs);
      if (node.op == "barrier") return;  // its types are whatever the model says
      std::vector<const Tensor*> values;
      for (ir::Value v : node.inputs) values.push_back(graph_.constant(v));
      inferred = infer(def, input_types(graph_, node), node.attrs, node.regions, values);
    } catch (const UserError& e) {
      if (e.kind() == ErrorKind::needs_value) return;
      check(false, where + ": " + e.what());
    }
    check(inferred.size() == node.outputs.size(),
          fmt::format("{} states {} outputs, its record {}", where, node.outputs.size(),
                      inferred.size()));
    for (size_t k = 0; k < inferred.size(); ++k)
      check(inferred[k] == node.outputs[k],
            fmt::format("{} states the type {} for output {}, its record infers {}", where,
                        node.outputs[k].to_string(), k, inferred[k].to_string()));
  }

  const ir::Graph& graph_;
  std::string path_;
};

}  // namespace

void verify(const ir::Graph& graph) { Verifier(graph, graph.name()).run(); }

}  // namespace tessera::ops
