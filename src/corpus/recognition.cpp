// SPDX-License-Identifier: Apache-2.0
// Hashes that tell whether two derivations have met.
#include <algorithm>
#include <cmath>

#include "corpus/derive.h"
#include "ops/op_def.h"

namespace tessera::corpus {
namespace {

bool has_trait(const ops::OpDef& def, ops::Trait trait) {
  return std::find(def.traits.begin(), def.traits.end(), trait) != def.traits.end();
}

std::string rounded(double v) { return fmt::format("{:.6g}", v == 0 ? 0 : v); }

bool uniform_list(const ir::AttrValue& value, int64_t wanted) {
  const auto* list = std::get_if<std::vector<int64_t>>(&value);
  return list && std::all_of(list->begin(), list->end(), [&](int64_t k) { return k == wanted; });
}

class Recognition {
 public:
  Recognition(const rules::WorkGraph& graph, bool flat) : graph_(graph), flat_(flat) {}

  Hash128 run() {
    of_node_.resize(graph_.node_limit());
    for (ir::NodeId id : graph_.topological_order()) of_node_[id] = node(id);
    Hasher h;
    for (const ir::GraphOutput& o : graph_.results()) add(h, of(o.value));
    return h.finish();
  }

 private:
  static void add(Hasher& h, const Hash128& k) { h.add(k); }

  Hash128 of(ir::Value v) const {
    Hasher h;
    if (!v.present()) return h.finish();
    add(h, of_node_[v.node]);
    h.add(static_cast<int64_t>(v.index));
    return h.finish();
  }

  // Defaults, negative axes and empty lists have one spelling.
  void attributes(Hasher& h, ir::NodeId id) const {
    const ops::OpDef& def = graph_.def(id);
    const auto& inputs = graph_.inputs(id);
    const int rank = inputs.empty() || !inputs[0].present() ? 0 : graph_.type(inputs[0]).rank();
    for (const auto& [name, given] : graph_.node(id).attrs) {
      ir::AttrValue value = given;
      if (auto* axis = std::get_if<int64_t>(&value); axis && name == "axis" && *axis < 0)
        *axis += rank;
      if (auto* axes = std::get_if<std::vector<int64_t>>(&value); axes && name == "axes") {
        for (int64_t& a : *axes) a += a < 0 ? rank : 0;
        if (def.name.starts_with("reduce_")) std::sort(axes->begin(), axes->end());
      }
      if (name == "pads" && uniform_list(value, 0)) continue;
      if ((name == "strides" || name == "dilations" || name == "steps") && uniform_list(value, 1))
        continue;
      const auto known = std::find_if(def.attrs.begin(), def.attrs.end(),
                                      [&](const ops::AttrDef& d) { return d.name == name; });
      if (known != def.attrs.end() && known->default_value &&
          ir::operator_equal(value, *known->default_value))
        continue;
      h.add(std::string_view(name));
      if (const auto* real = std::get_if<double>(&value)) h.add(rounded(*real));
      else ir::add_to_hash(h, value);
    }
  }

  static Hash128 constant(const Tensor& t) {
    Hasher h;
    h.add(std::string_view("constant")).add(static_cast<int64_t>(t.type()));
    for (int64_t d : t.shape()) h.add(d);
    for (int64_t i = 0; i < t.size(); ++i) {
      if (!is_float(t.type())) {
        h.add(t.integer_at(i));
        continue;
      }
      h.add(rounded(t.float_at(i)));
    }
    return h.finish();
  }

  // Operands of a chain of one associative operator. REQUIRES: floats are reals here.
  void flatten(ir::NodeId id, std::vector<Hash128>& operands) const {
    for (ir::Value v : graph_.inputs(id)) {
      if (v.present() && &graph_.def(v.node) == &graph_.def(id)) flatten(v.node, operands);
      else operands.push_back(of(v));
    }
  }

  Hash128 node(ir::NodeId id) const {
    const ir::Node& n = graph_.node(id);
    Hasher h;
    h.add(std::string_view(n.op));
    if (n.op == "input") {
      h.add(std::string_view(n.name));
      return h.finish();
    }
    if (const Tensor* t = graph_.tensor({id, 0})) return constant(*t);
    attributes(h, id);
    std::vector<Hash128> operands;
    const bool commutes = has_trait(graph_.def(id), ops::Trait::commutative);
    if (flat_ && commutes && has_trait(graph_.def(id), ops::Trait::associative))
      flatten(id, operands);
    else
      for (ir::Value v : graph_.inputs(id)) operands.push_back(of(v));
    if (commutes) std::sort(operands.begin(), operands.end());
    for (const Hash128& k : operands) add(h, k);
    for (const auto& region : n.regions)
      add(h, recognition_hash(rules::WorkGraph(*region, graph_.options()), flat_));
    return h.finish();
  }

  const rules::WorkGraph& graph_;
  const bool flat_;
  std::vector<Hash128> of_node_;
};

}  // namespace

Hash128 recognition_hash(const rules::WorkGraph& graph, bool flat) {
  return Recognition(graph, flat).run();
}

}  // namespace tessera::corpus
