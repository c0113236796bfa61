// SPDX-License-Identifier: Apache-2.0
// One table of mutations over every message of the format.
#include "mutation/mutator.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

namespace tessera::mutation {
namespace {

namespace pb = onnx::pb;

constexpr size_t copied_at_most = 10'000;  // bytes of what is copied hundreds of times
constexpr int64_t large_model = 30'000;    // bytes; larger ones are cut into windows

class Mutator {
 private:
  int64_t below(int64_t n) { return rng_.integer(0, n - 1); }
  bool chance(int64_t one_in) { return below(one_in) == 0; }
  template <typename List>
  auto& pick(List& list) {
    return list[static_cast<int>(below(static_cast<int64_t>(list.size())))];
  }

 public:
  Mutator(const std::vector<pb::ModelProto>& corpus, Rng& rng) : corpus_(corpus), rng_(rng) {}

  std::string mutant() {
    const pb::ModelProto& base = pick(corpus_);
    model_ = base.ByteSizeLong() > large_model ? window(base) : base;
    if (chance(3)) promote_input();
    const int64_t count = rng_.integer(0, 4);
    for (int64_t k = 0; k <= count; ++k) mutate();
    std::string bytes;
    model_.SerializeToString(&bytes);
    if (chance(12)) mutate_bytes(bytes);
    return bytes;
  }

 private:
  int64_t interesting() {
    static constexpr int64_t values[] = {0,
                                         1,
                                         -1,
                                         2,
                                         3,
                                         -2,
                                         4,
                                         7,
                                         8,
                                         -3,
                                         16,
                                         64,
                                         255,
                                         -128,
                                         1000,
                                         65536,
                                         1 << 30,
                                         INT32_MAX,
                                         INT32_MIN,
                                         int64_t{1} << 31,
                                         int64_t{1} << 33,
                                         int64_t{1} << 62,
                                         INT64_MAX,
                                         INT64_MIN};
    return chance(3) ? values[below(std::size(values))] : rng_.integer(-4, 12);
  }
  double interesting_real() {
    static constexpr double values[] = {0, -0.0, 1, -1, 0.5, 1e-30, 1e30, 2.5, -1e9, 3};
    return chance(8) ? (chance(2) ? __builtin_nan("") : __builtin_inf())
                     : values[below(std::size(values))];
  }

  // Some consecutive nodes of a large model; what they take from outside becomes inputs.
  pb::ModelProto window(const pb::ModelProto& source) {
    pb::ModelProto model;
    model.set_ir_version(source.ir_version());
    *model.mutable_opset_import() = source.opset_import();
    const pb::GraphProto& from = source.graph();
    pb::GraphProto& graph = *model.mutable_graph();
    const int64_t length = rng_.integer(2, 12);
    const int64_t begin = below(std::max<int64_t>(1, from.node_size() - length));
    std::set<std::string> known;
    const auto take = [&](const std::string& name) {
      if (name.empty() || !known.insert(name).second) return;
      pb::ValueInfoProto& input = *graph.add_input();
      for (const auto& t : from.initializer()) {
        if (t.name() != name) continue;
        if (t.raw_data().size() + static_cast<size_t>(t.int64_data_size()) > 0 &&
            t.ByteSizeLong() < 2000) {
          *graph.add_initializer() = t;
          graph.mutable_input()->RemoveLast();
          return;
        }
        auto& type = *input.mutable_type()->mutable_tensor_type();
        type.set_elem_type(t.data_type());
        for (int64_t d : t.dims()) type.mutable_shape()->add_dim()->set_dim_value(d);
      }
      for (const auto* list : {&from.input(), &from.value_info()})
        for (const auto& info : *list)
          if (info.name() == name) input = info;
      input.set_name(name);
      if (input.has_type()) return;
      auto& type = *input.mutable_type()->mutable_tensor_type();
      type.set_elem_type(chance(4) ? 7 : 1);
      for (int64_t k = rng_.integer(0, 4); k > 0; --k)
        type.mutable_shape()->add_dim()->set_dim_value(rng_.integer(1, 8));
    };
    for (int64_t i = begin; i < begin + length && i < from.node_size(); ++i) {
      const pb::NodeProto& node = from.node(static_cast<int>(i));
      for (const std::string& name : node.input()) take(name);
      for (const std::string& name : node.output()) known.insert(name);
      *graph.add_node() = node;
    }
    if (graph.node_size() > 0)
      graph.add_output()->set_name(graph.node(graph.node_size() - 1).output(0));
    return model;
  }

  // An input becomes a small initializer, so that shapes and parameters come from the file.
  void promote_input() {
    pb::GraphProto& graph = *model_.mutable_graph();
    if (graph.input_size() == 0) return;
    const auto at = static_cast<int>(below(graph.input_size()));
    const pb::ValueInfoProto input = graph.input(at);
    pb::TensorProto tensor;
    tensor.set_name(input.name());
    const int type = input.type().tensor_type().elem_type();
    tensor.set_data_type(type);
    int64_t count = 1;
    for (const auto& dim : input.type().tensor_type().shape().dim()) {
      tensor.add_dims(dim.dim_value());
      if (__builtin_mul_overflow(count, dim.dim_value(), &count)) count = 0;
      count = std::clamp<int64_t>(count, 0, 4096);
    }
    for (int64_t k = 0; k < count; ++k) {
      if (type == 1) tensor.add_float_data(static_cast<float>(interesting_real()));
      else if (type == 7) tensor.add_int64_data(interesting());
      else if (type == 11) tensor.add_double_data(interesting_real());
      else tensor.add_int32_data(static_cast<int32_t>(interesting()));
    }
    *graph.add_initializer() = std::move(tensor);
    if (chance(2)) graph.mutable_input()->DeleteSubrange(at, 1);
  }

  // The model's graph or one of its subgraphs.
  pb::GraphProto& some_graph() {
    pb::GraphProto* graph = model_.mutable_graph();
    for (int depth = 0; depth < 4 && chance(2); ++depth) {
      std::vector<pb::GraphProto*> inner;
      for (auto& node : *graph->mutable_node())
        for (auto& a : *node.mutable_attribute())
          if (a.has_g()) inner.push_back(a.mutable_g());
      if (inner.empty()) break;
      graph = pick(inner);
    }
    return *graph;
  }

  std::string some_name(const pb::GraphProto& graph) {
    std::vector<std::string> names{"", "nowhere"};
    for (const auto& n : graph.node())
      for (const auto& name : n.output()) names.push_back(name);
    for (const auto& i : graph.input()) names.push_back(i.name());
    for (const auto& t : graph.initializer()) names.push_back(t.name());
    return pick(names);
  }

  const pb::NodeProto* foreign_node() {
    const pb::GraphProto& graph = pick(corpus_).graph();
    return graph.node_size() == 0 ? nullptr
                                  : &graph.node(static_cast<int>(below(graph.node_size())));
  }

  void mutate() {
    pb::GraphProto& graph = some_graph();
    switch (below(16)) {
      case 0: return mutate_nodes(graph);
      case 1:
      case 2:
      case 3: return mutate_edges(graph);
      case 4:
      case 5:
      case 6:
      case 7: return mutate_attributes(graph);
      case 8:
      case 9:
      case 10: return mutate_types(graph);
      case 11:
      case 12: return mutate_tensors(graph);
      case 13: return mutate_versions();
      case 14: return splice(graph);
      default: return mutate_structure(graph);
    }
  }

  void mutate_nodes(pb::GraphProto& graph) {
    if (graph.node_size() == 0) return;
    const auto at = static_cast<int>(below(graph.node_size()));
    switch (below(4)) {
      case 0: return graph.mutable_node()->DeleteSubrange(at, 1);
      case 1: {
        const pb::NodeProto copy = graph.node(at);
        *graph.add_node() = copy;
        for (auto& name : *graph.mutable_node(graph.node_size() - 1)->mutable_output())
          if (chance(2)) name += "_copy";
        return;
      }
      case 2:
        return graph.mutable_node()->SwapElements(at, static_cast<int>(below(graph.node_size())));
      default:
        if (const auto* other = foreign_node()) {
          graph.mutable_node(at)->set_op_type(other->op_type());
          if (chance(2)) *graph.mutable_node(at)->mutable_attribute() = other->attribute();
        }
    }
  }

  void mutate_edges(pb::GraphProto& graph) {
    if (graph.node_size() == 0) return;
    pb::NodeProto& node = *graph.mutable_node(static_cast<int>(below(graph.node_size())));
    const int64_t kind = below(7);
    if (kind <= 2 && node.input_size() > 0) pick(*node.mutable_input()) = some_name(graph);
    else if (kind == 3) node.add_input(some_name(graph));
    else if (kind == 4 && node.input_size() > 0) node.mutable_input()->RemoveLast();
    else if (kind == 5 && node.output_size() > 0)
      pick(*node.mutable_output()) = chance(2) ? some_name(graph) : "fresh";
    else if (chance(2)) node.add_output("more");
    else if (graph.output_size() > 0)
      graph.mutable_output(static_cast<int>(below(graph.output_size())))
          ->set_name(some_name(graph));
  }

  void mutate_attributes(pb::GraphProto& graph) {
    if (graph.node_size() == 0) return;
    pb::NodeProto& node = *graph.mutable_node(static_cast<int>(below(graph.node_size())));
    if (node.attribute_size() == 0 || chance(8)) {
      const auto* other = foreign_node();
      if (other == nullptr || other->attribute_size() == 0) return;
      *node.add_attribute() = pick(other->attribute());
      return;
    }
    const auto at = static_cast<int>(below(node.attribute_size()));
    pb::AttributeProto& a = *node.mutable_attribute(at);
    const int64_t kind = below(12);
    if (kind == 0) return node.mutable_attribute()->DeleteSubrange(at, 1);
    if (kind == 1) return a.set_type(static_cast<int>(below(16)));
    if (kind == 2) {
      const auto* other = foreign_node();
      if (other && other->attribute_size() > 0) a.set_name(pick(other->attribute()).name());
      return;
    }
    if (a.has_t() && chance(2)) return mutate_tensor(*a.mutable_t());
    if (a.ints_size() > 0 && kind < 9)
      return a.set_ints(static_cast<int>(below(a.ints_size())), interesting());
    if (a.ints_size() > 0 && kind == 9) return a.mutable_ints()->RemoveLast();
    if (a.type() == 7 || a.type() == 0) return a.add_ints(interesting());
    if (a.floats_size() > 0)
      return a.set_floats(static_cast<int>(below(a.floats_size())),
                          static_cast<float>(interesting_real()));
    if (a.has_f()) return a.set_f(static_cast<float>(interesting_real()));
    if (a.has_s()) {
      static constexpr const char* words[] = {
          "",         "SAME_UPPER", "VALID",     "reflect", "sum",      "linear", "cubic",
          "bilinear", "forward",    "ij,jk->ik", "...",     "\xff\xfe", "i->ii",  "\n"};
      return a.set_s(chance(3) ? a.s() + a.s() : words[below(std::size(words))]);
    }
    if (a.has_i()) a.set_i(interesting());
  }

  void mutate_types(pb::GraphProto& graph) {
    const int64_t total = graph.input_size() + graph.output_size();
    if (total == 0) return;
    const auto at =
        static_cast<int>(below(graph.input_size() > 0 && !chance(6) ? graph.input_size() : total));
    pb::ValueInfoProto& info = at < graph.input_size()
                                   ? *graph.mutable_input(at)
                                   : *graph.mutable_output(at - graph.input_size());
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    auto& shape = *tensor.mutable_shape();
    const int64_t kind = below(10);
    if (kind == 0) return tensor.set_elem_type(static_cast<int>(rng_.integer(-1, 27)));
    if (kind == 1) return shape.add_dim()->set_dim_value(interesting());
    if (shape.dim_size() == 0) return;
    const auto axis = static_cast<int>(below(shape.dim_size()));
    if (kind == 2) return shape.mutable_dim()->DeleteSubrange(axis, 1);
    auto& dim = *shape.mutable_dim(axis);
    if (kind <= 5) dim.set_dim_param(chance(3) ? "N+1" : chance(2) ? "N" : "M");
    else if (kind == 6) dim.Clear();
    else dim.set_dim_value(chance(4) ? interesting() : rng_.integer(0, 9));
  }

  void mutate_tensor(pb::TensorProto& t) {
    const int64_t kind = below(8);
    if (kind == 0) return t.set_data_type(static_cast<int>(rng_.integer(0, 27)));
    if (kind == 1) return t.add_dims(interesting());
    if (kind == 2 && t.dims_size() > 0)
      return t.set_dims(static_cast<int>(below(t.dims_size())), interesting());
    if (kind == 3) {
      t.set_data_location(1);
      static constexpr const char* places[] = {"", "../x", "/etc/passwd", "a/../../b", "x", "."};
      auto& entry = *t.add_external_data();
      entry.set_key(chance(4) ? "offset" : "location");
      entry.set_value(chance(4) ? "-1" : places[below(std::size(places))]);
      return;
    }
    if (t.int64_data_size() > 0)
      return t.set_int64_data(static_cast<int>(below(t.int64_data_size())), interesting());
    if (t.float_data_size() > 0)
      return t.set_float_data(static_cast<int>(below(t.float_data_size())),
                              static_cast<float>(interesting_real()));
    std::string& raw = *t.mutable_raw_data();
    if (raw.empty()) return;
    if (kind == 4) return raw.resize(static_cast<size_t>(below(static_cast<int64_t>(raw.size()))));
    if (kind == 5) return static_cast<void>(raw.append(8, '\1'));
    if (t.data_type() == 7 && raw.size() >= 8) {
      const int64_t value = interesting();
      const size_t at = static_cast<size_t>(below(static_cast<int64_t>(raw.size() / 8))) * 8;
      return static_cast<void>(raw.replace(at, 8, reinterpret_cast<const char*>(&value), 8));
    }
    raw[static_cast<size_t>(below(static_cast<int64_t>(raw.size())))] =
        static_cast<char>(below(256));
  }

  void mutate_tensors(pb::GraphProto& graph) {
    if (graph.initializer_size() == 0 || chance(4)) return promote_input();
    mutate_tensor(*graph.mutable_initializer(static_cast<int>(below(graph.initializer_size()))));
  }

  void mutate_versions() {
    if (chance(5)) return model_.set_ir_version(interesting());
    if (model_.opset_import_size() == 0 || chance(8)) {
      auto& entry = *model_.add_opset_import();
      entry.set_version(interesting());
      return entry.set_domain(chance(2) ? "" : "custom");
    }
    model_.mutable_opset_import(0)->set_version(chance(6) ? interesting() : rng_.integer(7, 28));
  }

  // Nodes of another model behind those of this one, fed from here.
  void splice(pb::GraphProto& graph) {
    const pb::ModelProto& other = pick(corpus_);
    const pb::ModelProto model = other.ByteSizeLong() > large_model ? window(other) : other;
    const pb::GraphProto& from = model.graph();
    std::map<std::string, std::string> names;
    for (const auto& input : from.input()) {
      names[input.name()] = some_name(graph);
      if (chance(2)) {
        names[input.name()] = input.name() + "_in";
        *graph.add_input() = input;
        graph.mutable_input(graph.input_size() - 1)->set_name(input.name() + "_in");
      }
    }
    for (const auto& t : from.initializer()) {
      *graph.add_initializer() = t;
      graph.mutable_initializer(graph.initializer_size() - 1)->set_name(t.name() + "_in");
      names[t.name()] = t.name() + "_in";
    }
    for (pb::NodeProto node : from.node()) {
      for (auto& name : *node.mutable_input())
        if (names.contains(name)) name = names[name];
      for (auto& name : *node.mutable_output()) {
        if (name.empty()) continue;
        names[name] = name + "_in";
        name += "_in";
      }
      if (node.output_size() > 0 && chance(2)) graph.add_output()->set_name(node.output(0));
      *graph.add_node() = std::move(node);
    }
  }

  // Nested branches, functions (recursive ones too), long lists, repeated parts.
  void mutate_structure(pb::GraphProto& graph) {
    switch (below(6)) {
      case 0: return nest(graph, rng_.integer(1, chance(8) ? 200 : 5));
      case 1: return add_function(graph);
      case 2: {
        if (graph.node_size() == 0) return;
        pb::NodeProto& node = *graph.mutable_node(0);
        const std::string name = node.input_size() > 0 ? node.input(0) : "";
        for (int64_t k = rng_.integer(10, 3000); k > 0; --k) node.add_input(name);
        return;
      }
      case 3:
        if (graph.initializer_size() > 0) {
          const pb::TensorProto copy = pick(*graph.mutable_initializer());
          *graph.add_initializer() = copy;
        }
        return;
      case 4:
        if (graph.input_size() > 0) {
          const pb::ValueInfoProto copy = graph.input(0);
          *graph.add_input() = copy;
        }
        return;
      default:
        if (graph.node_size() > 0) graph.mutable_node(0)->set_domain("custom");
    }
  }

  void nest(pb::GraphProto& graph, int64_t depth) {
    // Both branches of the innermost levels hold what is inside: a file grows with every level.
    if (graph.node_size() == 0 || graph.ByteSizeLong() > copied_at_most) return;
    auto& condition = *graph.add_initializer();
    condition.set_name("always");
    condition.set_data_type(9);
    condition.add_int32_data(1);
    for (; depth > 0; --depth) {
      pb::GraphProto inner;
      inner.mutable_node()->Swap(graph.mutable_node());
      pb::NodeProto& node = *graph.add_node();
      const pb::NodeProto& last = inner.node(inner.node_size() - 1);
      if (last.output_size() == 0) return;
      inner.add_output()->set_name(last.output(0));
      node.set_op_type("If");
      node.add_input("always");
      node.add_output(last.output(0));
      for (const char* name : {"then_branch", "else_branch"}) {
        if (depth > 8 && name[0] == 'e') continue;
        pb::AttributeProto& a = *node.add_attribute();
        a.set_name(name);
        a.set_type(pb::ATTR_GRAPH);
        *a.mutable_g() = inner;
      }
    }
  }

  void add_function(pb::GraphProto& graph) {
    if (graph.node_size() == 0) return;
    pb::NodeProto& node = *graph.mutable_node(static_cast<int>(below(graph.node_size())));
    if (node.ByteSizeLong() > copied_at_most) return;
    const int64_t chain = rng_.integer(1, chance(8) ? 100 : 3);
    for (int64_t k = 0; k < chain; ++k) {
      pb::FunctionProto& f = *model_.add_functions();
      f.set_name(fmt::format("f{}", k));
      f.set_domain("local");
      pb::NodeProto inner = node;
      inner.clear_input();
      inner.clear_output();
      if (k + 1 < chain || chance(3)) {  // calls the next one, or itself
        inner.set_op_type(fmt::format("f{}", k + 1 < chain ? k + 1 : k));
        inner.set_domain("local");
      }
      for (int i = 0; i < node.input_size(); ++i) {
        f.add_input(fmt::format("x{}", i));
        inner.add_input(fmt::format("x{}", i));
      }
      for (int i = 0; i < node.output_size(); ++i) {
        f.add_output(fmt::format("y{}", i));
        inner.add_output(fmt::format("y{}", i));
      }
      *f.add_node() = inner;
      // Two calls a level would double the work every time.
      if (chance(2)) {
        for (auto& name : *inner.mutable_output()) name += "b";
        *f.add_node() = inner;
      }
    }
    node.set_op_type("f0");
    node.set_domain("local");
  }

  void mutate_bytes(std::string& bytes) {
    if (bytes.empty()) return;
    const auto size = static_cast<int64_t>(bytes.size());
    if (chance(4)) return bytes.resize(static_cast<size_t>(below(size)));
    for (int64_t k = rng_.integer(1, 8); k > 0; --k)
      bytes[static_cast<size_t>(below(size))] = static_cast<char>(below(256));
  }

  const std::vector<pb::ModelProto>& corpus_;
  Rng& rng_;
  pb::ModelProto model_;
};

}  // namespace

std::string mutant(const std::vector<onnx::pb::ModelProto>& corpus, Rng& rng) {
  return Mutator(corpus, rng).mutant();
}

}  // namespace tessera::mutation
