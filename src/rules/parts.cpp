// SPDX-License-Identifier: Apache-2.0
// Concatenations, splits, slices and padding of any number of parts.
#include <algorithm>

#include "base/check.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"
#include "rules/passes.h"

namespace tessera::rules {
namespace {

bool is(const WorkGraph& g, ir::Value v, const char* op) {
  return v.present() && g.def(v.node).name == op;
}

int axis_of(const WorkGraph& g, ir::NodeId node) {
  const ops::AttrReader attrs(g.def(node), g.node(node).attrs);
  return attrs.axis("axis", g.type({node, 0}).rank());
}

std::optional<int64_t> extent(const WorkGraph& g, ir::Value v, int axis) {
  return g.type(v).shape[axis].constant();
}

/// A slice with steps of 1: per axis the first element and how many, if all is known.
struct Range {
  int64_t start = 0, count = 0;
};

std::optional<std::vector<Range>> ranges_of(const WorkGraph& g, ir::NodeId node) {
  const ir::ValueType& x = g.type(g.inputs(node)[0]);
  const auto shape = sym::constants(x.shape);
  const ops::AttrReader attrs(g.def(node), g.node(node).attrs);
  const auto starts = sym::constants(attrs.dims("starts")),
             ends = sym::constants(attrs.dims("ends"));
  if (!shape || !starts || !ends) return std::nullopt;
  for (int64_t step : attrs.integers("steps"))
    if (step != 1) return std::nullopt;
  std::vector<int64_t> axes = attrs.integers("axes");
  if (axes.empty())
    for (size_t k = 0; k < starts->size(); ++k) axes.push_back(static_cast<int64_t>(k));
  std::vector<Range> ranges;
  for (int64_t n : *shape) ranges.push_back({0, n});
  for (size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<size_t>(axes[k] < 0 ? axes[k] + x.rank() : axes[k]);
    const int64_t n = shape->at(axis);
    const auto bound = [&](int64_t b) { return std::clamp<int64_t>(b < 0 ? b + n : b, 0, n); };
    const int64_t start = bound(starts->at(k)), end = bound(ends->at(k));
    ranges[axis] = {start, std::max<int64_t>(0, end - start)};
  }
  return ranges;
}

// A slice node, or the value itself if nothing is cut off.
ir::Value add_slice(WorkGraph& g, ir::Value x, const std::vector<Range>& ranges) {
  std::vector<int64_t> axes;
  ir::Dims starts, ends;
  for (size_t axis = 0; axis < ranges.size(); ++axis) {
    if (ranges[axis].start == 0 && g.type(x).shape[axis] == sym::Expr(ranges[axis].count)) continue;
    axes.push_back(static_cast<int64_t>(axis));
    starts.push_back(ranges[axis].start);
    ends.push_back(ranges[axis].start + ranges[axis].count);
  }
  if (axes.empty()) return x;
  return g.add_value("slice", {x}, {{"axes", axes}, {"starts", starts}, {"ends", ends}});
}

ir::Value add_concat(WorkGraph& g, std::vector<ir::Value> parts, int axis) {
  if (parts.size() == 1) return parts[0];
  return g.add_value("concat", std::move(parts), {{"axis", int64_t{axis}}});
}

}  // namespace

bool flatten_concat(WorkGraph& graph, ir::NodeId node) {
  const int axis = axis_of(graph, node);
  std::vector<ir::Value> parts;
  bool nested = false;
  for (ir::Value v : graph.inputs(node)) {
    const bool inner =
        is(graph, v, "concat") && axis_of(graph, v.node) == axis && graph.use_count(v.node) == 1;
    nested |= inner;
    if (inner) parts.insert(parts.end(), graph.inputs(v.node).begin(), graph.inputs(v.node).end());
    else parts.push_back(v);
  }
  if (!nested) return false;
  const size_t mark = graph.node_limit();
  const ir::Value flat = add_concat(graph, std::move(parts), axis);
  return finish_pass(graph, mark, node, {flat}, "concat-concat");
}

bool concat_of_parts(WorkGraph& graph, ir::NodeId node) {
  const std::vector<ir::Value>& parts = graph.inputs(node);
  const ir::NodeId split = parts[0].node;
  if (!is(graph, parts[0], "split") || axis_of(graph, split) != axis_of(graph, node) ||
      graph.node(split).outputs.size() != parts.size())
    return false;
  for (uint32_t k = 0; k < parts.size(); ++k)
    if (parts[k] != ir::Value{split, k}) return false;
  return finish_pass(graph, graph.node_limit(), node, {graph.inputs(split)[0]}, "concat-split");
}

bool split_of_concat(WorkGraph& graph, ir::NodeId node) {
  const ir::Value whole = graph.inputs(node)[0];
  const int axis = axis_of(graph, node);
  if (!is(graph, whole, "concat") || axis_of(graph, whole.node) != axis) return false;
  const std::vector<ir::Value> parts = graph.inputs(whole.node);
  const size_t mark = graph.node_limit();
  std::vector<ir::Value> results;
  size_t next = 0;
  for (uint32_t k = 0; k < graph.node(node).outputs.size(); ++k) {
    const auto wanted = extent(graph, {node, k}, axis);
    int64_t covered = 0;
    std::vector<ir::Value> own;
    while (wanted && next < parts.size() && covered < *wanted) {
      const auto n = extent(graph, parts[next], axis);
      if (!n) break;
      covered += *n;
      own.push_back(parts[next++]);
    }
    if (!wanted || covered != *wanted || own.empty()) {
      graph.roll_back(mark);
      return false;
    }
    results.push_back(add_concat(graph, std::move(own), axis));
  }
  return finish_pass(graph, mark, node, results, "split-concat");
}

bool slice_of_concat(WorkGraph& graph, ir::NodeId node) {
  const ir::Value whole = graph.inputs(node)[0];
  if (!is(graph, whole, "concat")) return false;
  auto ranges = ranges_of(graph, node);
  if (!ranges) return false;
  const int axis = axis_of(graph, whole.node);
  int64_t offset = 0;
  for (ir::Value part : graph.inputs(whole.node)) {
    const auto n = extent(graph, part, axis);
    if (!n) return false;
    Range& r = (*ranges)[axis];
    if (r.start >= offset && r.start + r.count <= offset + *n && r.count > 0) {
      const size_t mark = graph.node_limit();
      r.start -= offset;
      const ir::Value result = add_slice(graph, part, *ranges);
      return finish_pass(graph, mark, node, {result}, "slice-concat");
    }
    offset += *n;
  }
  return false;
}

bool slice_of_slice(WorkGraph& graph, ir::NodeId node) {
  const ir::Value inner = graph.inputs(node)[0];
  if (!is(graph, inner, "slice")) return false;
  auto outer_ranges = ranges_of(graph, node);
  const auto inner_ranges = ranges_of(graph, inner.node);
  if (!outer_ranges || !inner_ranges) return false;
  for (size_t k = 0; k < outer_ranges->size(); ++k)
    (*outer_ranges)[k].start += (*inner_ranges)[k].start;
  const size_t mark = graph.node_limit();
  const ir::Value result = add_slice(graph, graph.inputs(inner.node)[0], *outer_ranges);
  return finish_pass(graph, mark, node, {result}, "slice-slice");
}

bool slice_of_pad(WorkGraph& graph, ir::NodeId node) {
  const ir::Value padded = graph.inputs(node)[0];
  if (!is(graph, padded, "pad") || graph.use_count(padded.node) != 1) return false;
  const ops::AttrReader attrs(graph.def(padded.node), graph.node(padded.node).attrs);
  const auto ranges = ranges_of(graph, node);
  const auto pads = sym::constants(attrs.dims("pads"));
  const auto shape = sym::constants(graph.type(padded).shape);
  if (attrs.string("mode") != "constant" || !ranges || !pads || !shape) return false;
  const size_t rank = ranges->size();
  ir::Dims begins, ends;
  for (size_t k = 0; k < rank; ++k) {
    const Range& r = (*ranges)[k];
    const int64_t begin = (*pads)[k] - r.start;
    const int64_t end = (*pads)[rank + k] - ((*shape)[k] - r.start - r.count);
    // An empty source between negative pads would not be the same.
    if (r.count == 0 || (*pads)[k] < 0 || (*pads)[rank + k] < 0) return false;
    begins.push_back(begin);
    ends.push_back(end);
  }
  begins.insert(begins.end(), ends.begin(), ends.end());
  const size_t mark = graph.node_limit();
  try {
    const ir::Value result =
        graph.add_value("pad", graph.inputs(padded.node), {{"pads", std::move(begins)}});
    return finish_pass(graph, mark, node, {result}, "slice-pad");
  } catch (const UserError&) {
    graph.roll_back(mark);
    return false;
  }
}

}  // namespace tessera::rules
