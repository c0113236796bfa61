// SPDX-License-Identifier: Apache-2.0
// All values that graphs of few operators compute, each evaluated once on top of its operands.
//
// A value is an output of a node, a node an operator template applied to values; the cone of a
// value is the set of nodes it needs. A single-result graph of n operators is a value whose cone
// has n nodes, so distinct graphs are distinct values: applications are generated once each
// (templates × operand values, operands of commutative operators unordered), equal subgraphs are
// one node by construction, and the order of operators does not count.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "synth/instance.h"
#include "synth/vocabulary.h"

namespace tessera::synth {

using ValueId = uint32_t;
using NodeId = uint32_t;
inline constexpr uint32_t none = ~uint32_t{0};
inline constexpr int max_operators = 5;

struct Node {
  uint16_t tmpl = 0;
  uint8_t level = 0;  ///< nodes in the cone, itself included
  uint8_t outputs = 0;
  ValueId a = none, b = none;
  ValueId first = none;                         ///< its output 0; the others follow
  std::array<NodeId, max_operators> cone = {};  ///< ascending, `level` of them
};

struct Value {
  NodeId node = none;  ///< none: an input
  uint16_t type = 0;
  uint8_t output = 0;
  uint8_t level = 0;
  /// May be an operand: no two values of its graph are equal (Growth::all), or it is the first
  /// value that computes what it does and is not zero (Growth::representatives).
  bool alive = false;
  uint32_t inputs = 0;  ///< bit k: input k is used
  uint64_t fingerprint = 0;
  Residues residues;  ///< of alive values
};

/// An operator application compiled for operand types.
struct Compiled {
  Instance instance;
  std::vector<uint64_t> salts;  ///< per output, of its type
  std::vector<int64_t> sizes;   ///< elements per output
};

/// One application that has not been evaluated.
struct Application {
  uint16_t tmpl = 0;
  ValueId a = none, b = none;
  const Compiled* compiled = nullptr;
};

enum class Growth : uint8_t { all, representatives };

class Bank {
 public:
  /// Level 0: the vocabulary's inputs, with values drawn from `seed`.
  Bank(const Vocabulary& vocabulary, Growth growth, uint64_t seed);

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  uint64_t seed() const { return seed_; }
  int levels() const { return static_cast<int>(level_begin_.size()) - 1; }
  /// Adds all values of one operator more.
  void grow();

  const std::vector<Value>& values() const { return values_; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  const ir::ValueType& type(const Value& v) const { return types_[v.type]; }
  const std::vector<ir::ValueType>& input_types() const { return input_types_; }
  size_t input_count() const { return input_types_.size(); }
  /// Values of a level are those in [begin, end).
  ValueId level_begin(int level) const { return level_begin_[static_cast<size_t>(level)]; }
  ValueId level_end(int level) const { return level_begin_[static_cast<size_t>(level) + 1]; }

  /// Calls `f(Application)` for every application that makes a cone of `operators` nodes and whose
  /// larger operand (by level, then id) is `u`. REQUIRES: operators <= levels() + 1. Thread-safe.
  template <typename F>
  void for_each_application(int operators, ValueId u, F&& f) const;

  /// Evaluates output k; returns its bound. `out` holds lanes · size elements.
  double evaluate(const Application& application, size_t k, uint64_t* out, Scratch& scratch) const;
  uint64_t fingerprint(const uint64_t* data, int64_t size, uint64_t salt) const;
  uint32_t inputs_of(const Application& a) const {
    return values_[a.a].inputs | (a.b == none ? 0 : values_[a.b].inputs);
  }
  /// True if of every class of interchangeable inputs the first ones are used: other graphs are
  /// renamings of these.
  bool uses_first_inputs(uint32_t inputs) const { return prefix_[inputs] != 0; }

  /// Patterns of the rule language with variables ?x1, ?x2, …
  std::string text(ValueId id) const;
  std::string text(const Application& application, size_t k) const;
  const std::string& input_name(ValueId id) const { return input_names_[id]; }

  const Compiled* compiled(uint16_t tmpl, ValueId a, ValueId b) const;

 private:
  static constexpr size_t max_types = 768;
  using Slot = std::atomic<const Compiled*>;

  uint16_t intern(const ir::ValueType& type);
  void add_input(const InputClass& cls, int number);
  void add_node(const Application& application, Scratch& scratch);
  bool is_alive(const Node& node, const Value& v) const;
  /// Whether any template takes operands of the types of u and v, in any order.
  bool combines(ValueId u, ValueId v) const;
  bool cones_clash(const Value& u, const Value& v) const;
  int union_size(const Value& u, const Value& v) const;
  void index_level(int level);
  const Compiled* compile(uint16_t tmpl, uint16_t type_a, uint16_t type_b) const;
  template <typename F>
  void apply_pair(ValueId u, ValueId v, F& f) const;

  const Vocabulary* vocabulary_;
  Growth growth_;
  uint64_t seed_;
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> level_begin_;
  std::vector<ir::ValueType> types_;
  std::vector<ir::ValueType> input_types_;
  std::vector<std::string> input_names_;
  std::vector<std::vector<std::vector<ValueId>>> by_type_;  ///< [level][type], alive ones
  std::vector<std::vector<ValueId>> containing_;            ///< per node: alive values above it
  std::vector<uint8_t> prefix_;
  std::vector<uint64_t> weights_;  ///< of the fingerprint's linear form
  std::unordered_set<uint64_t> known_;
  std::vector<std::unique_ptr<uint64_t[]>> blocks_;
  size_t block_used_ = 0;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Compiled>> all_compiled_;
  mutable std::vector<std::vector<Slot>> table_;  ///< [template][type_a · max_types + type_b]
};

template <typename F>
void Bank::apply_pair(ValueId u, ValueId v, F& f) const {
  const auto templates = static_cast<uint16_t>(vocabulary_->templates.size());
  for (uint16_t t = 0; t < templates; ++t) {
    const Template& tmpl = vocabulary_->templates[t];
    if (tmpl.arity != 2) continue;
    if (const Compiled* c = compiled(t, u, v)) f(Application{t, u, v, c});
    if (u == v || tmpl.is_commutative()) continue;
    if (const Compiled* c = compiled(t, v, u)) f(Application{t, v, u, c});
  }
}

template <typename F>
void Bank::for_each_application(int operators, ValueId u, F&& f) const {
  const Value& first = values_[u];
  const int below = operators - 1;  // nodes that the operands have together
  if (!first.alive || first.level > below) return;
  if (first.level == below) {
    const auto templates = static_cast<uint16_t>(vocabulary_->templates.size());
    for (uint16_t t = 0; t < templates; ++t)
      if (vocabulary_->templates[t].arity == 1)
        if (const Compiled* c = compiled(t, u, none)) f(Application{t, u, none, c});
    const ValueId inputs = first.node == none ? u + 1 : level_end(0);
    for (ValueId v = 0; v < inputs; ++v) apply_pair(u, v, f);
    if (first.node == none) return;
    const Node& root = nodes_[first.node];
    for (int k = 0; k < root.level; ++k) {
      const Node& n = nodes_[root.cone[static_cast<size_t>(k)]];
      for (ValueId v = n.first; v < n.first + n.outputs && v <= u; ++v)
        if (values_[v].alive) apply_pair(u, v, f);
    }
    return;
  }
  for (int level = below - first.level; level <= first.level; ++level) {
    const int shared = level - (below - first.level);
    const auto visit = [&](ValueId v) {
      if (v >= u || cones_clash(first, values_[v])) return;
      apply_pair(u, v, f);
    };
    if (shared == 0) {
      for (const auto& same_type : by_type_[static_cast<size_t>(level)]) {
        if (same_type.empty() || !combines(u, same_type.front())) continue;
        for (ValueId v : same_type) {
          if (v >= u) break;
          if (union_size(first, values_[v]) == below) visit(v);
        }
      }
      continue;
    }
    const Node& root = nodes_[first.node];
    for (int k = 0; k < root.level; ++k) {
      const NodeId w = root.cone[static_cast<size_t>(k)];
      for (ValueId v : containing_[w]) {
        if (values_[v].level != level || union_size(first, values_[v]) != below) continue;
        // Once, at the smallest node that both share.
        bool smallest = true;
        for (int j = 0; j < k && smallest; ++j) {
          const auto& cone = nodes_[values_[v].node].cone;
          for (int i = 0; i < level; ++i)
            smallest =
                smallest && cone[static_cast<size_t>(i)] != root.cone[static_cast<size_t>(j)];
        }
        if (smallest) visit(v);
      }
    }
  }
}

}  // namespace tessera::synth
