// SPDX-License-Identifier: Apache-2.0
// Einstein sums: the best order of contractions by dynamic programming over subsets of operands,
// and binary sums as matrix products.
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/check.h"
#include "ops/registry.h"
#include "rules/passes.h"

namespace tessera::rules {
namespace {

struct Einsum {
  std::vector<std::string> terms;
  std::string result;
  std::map<char, int64_t> sizes;
};

// Nothing for what is left to the engine: ellipses, diagonals, unknown sizes.
std::optional<Einsum> read_einsum(const WorkGraph& g, ir::NodeId node) {
  std::string text;
  for (char c : std::get<std::string>(g.node(node).attrs.find("equation")->second))
    if (c != ' ') text += c;
  if (text.find('.') != std::string::npos) return std::nullopt;
  Einsum e;
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  for (size_t begin = 0;;) {
    const size_t comma = left.find(',', begin);
    e.terms.push_back(left.substr(begin, comma - begin));
    if (comma == std::string::npos) break;
    begin = comma + 1;
  }
  std::map<char, int> counts;
  for (size_t k = 0; k < e.terms.size(); ++k) {
    const ir::ValueType& t = g.type(g.inputs(node).at(k));
    const auto shape = sym::constants(t.shape);
    if (!shape || shape->size() != e.terms[k].size() || !is_float(t.dtype)) return std::nullopt;
    std::set<char> seen;
    for (size_t a = 0; a < shape->size(); ++a) {
      const char label = e.terms[k][a];
      if (!seen.insert(label).second) return std::nullopt;
      const auto [it, added] = e.sizes.try_emplace(label, (*shape)[a]);
      if (it->second != (*shape)[a]) return std::nullopt;  // broadcast
      ++counts[label];
    }
  }
  if (arrow != std::string::npos) {
    e.result = text.substr(arrow + 2);
  } else {
    for (const auto& [label, count] : counts)
      if (count == 1) e.result += label;
  }
  return e;
}

bool has(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

// Labels of `of` for which `test` holds, in order.
template <typename Test>
std::string filtered(const std::string& of, Test test) {
  std::string r;
  for (char c : of)
    if (test(c)) r += c;
  return r;
}

struct Part {
  double cost = 0;
  uint32_t left = 0;  ///< one side of the best last contraction
  std::string labels;
};

class Order {
 public:
  Order(const Einsum& e) : e_(e), n_(e.terms.size()), parts_(size_t{1} << n_) {
    for (uint32_t set = 1; set < parts_.size(); ++set) {
      parts_[set].labels = kept(set);
      if ((set & (set - 1)) == 0) continue;
      parts_[set].cost = std::numeric_limits<double>::infinity();
      for (uint32_t left = (set - 1) & set; left != 0; left = (left - 1) & set) {
        const uint32_t right = set & ~left;
        if (left < right) continue;  // each pair once
        const double cost = parts_[left].cost + parts_[right].cost + multiplications(left, right);
        if (cost < parts_[set].cost) {
          parts_[set].cost = cost;
          parts_[set].left = left;
        }
      }
    }
  }

  ir::Value build(WorkGraph& g, const std::vector<ir::Value>& operands, uint32_t set) {
    for (size_t k = 0; k < n_; ++k)
      if (set == (1u << k)) return operands[k];
    const uint32_t left = parts_[set].left, right = set & ~left;
    const ir::Value a = build(g, operands, left), b = build(g, operands, right);
    const std::string equation = labels_of(left) + "," + labels_of(right) + "->" + labels_of(set);
    return g.add_value("einsum", {a, b}, {{"equation", equation}});
  }
  uint32_t all() const { return static_cast<uint32_t>(parts_.size() - 1); }

 private:
  // Labels of a set's product that the rest or the result still needs.
  std::string kept(uint32_t set) const {
    if (set == all()) return e_.result;
    std::string labels, outside = e_.result;
    for (size_t k = 0; k < n_; ++k) {
      if (((set >> k) & 1) == 0) outside += e_.terms[k];
    }
    for (size_t k = 0; k < n_; ++k)
      if ((set >> k) & 1)
        for (char c : e_.terms[k])
          if (has(outside, c) && !has(labels, c)) labels += c;
    return labels;
  }
  // A single operand enters with all its labels.
  std::string labels_of(uint32_t set) const {
    for (size_t k = 0; k < n_; ++k)
      if (set == (1u << k)) return e_.terms[k];
    return parts_[set].labels;
  }
  double multiplications(uint32_t left, uint32_t right) const {
    std::set<char> labels;
    for (char c : labels_of(left)) labels.insert(c);
    for (char c : labels_of(right)) labels.insert(c);
    double n = 1;
    for (char c : labels) n *= static_cast<double>(e_.sizes.at(c));
    return n;
  }

  const Einsum& e_;
  size_t n_;
  std::vector<Part> parts_;
};

// Adds moves to a value whose axes have labels.
class Labelled {
 public:
  Labelled(WorkGraph& g, const Einsum& e, ir::Value v, std::string labels)
      : g_(g), e_(e), value_(v), labels_(std::move(labels)) {}

  ir::Value value() const { return value_; }

  /// Sums over labels that are not among `wanted`.
  void keep(const std::string& wanted) {
    std::vector<int64_t> axes;
    for (size_t a = 0; a < labels_.size(); ++a)
      if (!has(wanted, labels_[a])) axes.push_back(static_cast<int64_t>(a));
    if (axes.empty()) return;
    value_ = g_.add_value("reduce_sum", {value_}, {{"axes", axes}, {"keepdims", int64_t{0}}});
    labels_ = filtered(labels_, [&](char c) { return has(wanted, c); });
  }

  void order(const std::string& labels) {
    if (labels == labels_) return;
    std::vector<int64_t> perm;
    for (char c : labels) perm.push_back(static_cast<int64_t>(labels_.find(c)));
    value_ = g_.add_value("transpose", {value_}, {{"perm", perm}});
    labels_ = labels;
  }

  /// Another shape; `labels` then name the axes.
  void shape(const ir::Dims& dims, const std::string& labels) {
    if (!(g_.type(value_).shape == dims))
      value_ = g_.add_value("reshape", {value_}, {{"shape", dims}});
    labels_ = labels;
  }

 private:
  WorkGraph& g_;
  const Einsum& e_;
  ir::Value value_;
  std::string labels_;
};

int64_t size_of_labels(const Einsum& e, const std::string& labels) {
  int64_t n = 1;
  for (char c : labels) n *= e.sizes.at(c);
  return n;
}

void append_sizes(const Einsum& e, const std::string& labels, ir::Dims& dims) {
  for (char c : labels) dims.push_back(e.sizes.at(c));
}

// Elements that would have to move to multiply in this order of the operands.
int64_t moved_elements(const Einsum& e, const std::string& a, const std::string& b) {
  const std::string& out = e.result;
  const auto batch = filtered(out, [&](char c) { return has(a, c) && has(b, c); });
  const auto left = filtered(out, [&](char c) { return has(a, c) && !has(b, c); });
  const auto right = filtered(out, [&](char c) { return !has(a, c) && has(b, c); });
  const auto inner = filtered(a, [&](char c) { return has(b, c) && !has(out, c); });
  const auto of = [&](const std::string& from, const std::string& to) {
    const auto kept = filtered(from, [&](char c) { return has(to, c); });
    return kept == to ? 0 : size_of_labels(e, to);
  };
  return of(a, batch + left + inner) + of(b, batch + inner + right) + of(batch + left + right, out);
}

ir::Value binary_product(WorkGraph& g, const Einsum& e, ir::Value x, ir::Value y) {
  if (moved_elements(e, e.terms[1], e.terms[0]) < moved_elements(e, e.terms[0], e.terms[1])) {
    Einsum turned = e;
    std::swap(turned.terms[0], turned.terms[1]);
    return binary_product(g, turned, y, x);
  }
  const std::string &a = e.terms[0], &b = e.terms[1], &out = e.result;
  const auto batch = filtered(out, [&](char c) { return has(a, c) && has(b, c); });
  const auto left = filtered(out, [&](char c) { return has(a, c) && !has(b, c); });
  const auto right = filtered(out, [&](char c) { return !has(a, c) && has(b, c); });
  const auto inner = filtered(a, [&](char c) { return has(b, c) && !has(out, c); });
  Labelled l(g, e, x, a), r(g, e, y, b);
  l.keep(out + inner);
  r.keep(out + inner);
  l.order(batch + left + inner);
  r.order(batch + inner + right);
  ir::Dims l_shape, r_shape, shape;
  append_sizes(e, batch, l_shape);
  r_shape = shape = l_shape;
  l_shape.push_back(size_of_labels(e, left));
  l_shape.push_back(size_of_labels(e, inner));
  r_shape.push_back(size_of_labels(e, inner));
  r_shape.push_back(size_of_labels(e, right));
  l.shape(l_shape, "");
  r.shape(r_shape, "");
  // A product without a sum is elementwise under broadcasting.
  const char* op = inner.empty() ? "mul" : "matmul";
  Labelled product(g, e, g.add_value(op, {l.value(), r.value()}), "");
  append_sizes(e, left + right, shape);
  product.shape(shape, batch + left + right);
  product.order(out);
  return product.value();
}

}  // namespace

bool order_einsum(WorkGraph& graph, ir::NodeId node) {
  const auto e = read_einsum(graph, node);
  if (!e || e->terms.size() < 3 || e->terms.size() > 10) return false;
  const size_t mark = graph.node_limit();
  const std::vector<ir::Value> operands = graph.inputs(node);
  Order order(*e);
  try {
    const ir::Value result = order.build(graph, operands, order.all());
    return finish_pass(graph, mark, node, {result}, "einsum-order");
  } catch (const UserError&) {
    graph.roll_back(mark);
    return false;
  }
}

bool einsum_as_product(WorkGraph& graph, ir::NodeId node) {
  const auto e = read_einsum(graph, node);
  if (!e || e->terms.size() > 2) return false;
  const size_t mark = graph.node_limit();
  const std::vector<ir::Value> operands = graph.inputs(node);
  try {
    ir::Value result;
    if (e->terms.size() == 1) {
      Labelled x(graph, *e, operands[0], e->terms[0]);
      x.keep(e->result);
      x.order(e->result);
      result = x.value();
    } else {
      result = binary_product(graph, *e, operands[0], operands[1]);
    }
    return finish_pass(graph, mark, node, {result}, "einsum-product");
  } catch (const UserError&) {
    graph.roll_back(mark);
    return false;
  }
}

}  // namespace tessera::rules
