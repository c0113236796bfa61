// SPDX-License-Identifier: Apache-2.0
// Nodes of tile programs: types and axes are derived here.
#include "tile/program.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace tessera::tile {
namespace {

void merge(std::vector<AxisId>& into, const std::vector<AxisId>& axes) {
  for (AxisId a : axes) {
    const auto at = std::lower_bound(into.begin(), into.end(), a);
    if (at == into.end() || *at != a) into.insert(at, a);
  }
}

void type_primitive(const Program& p, Node& n) {
  TESSERA_USER_CHECK(static_cast<int>(n.args.size()) == ir::arity(n.prim),
                     "{} takes {} operands, found {}", to_string(n.prim), ir::arity(n.prim),
                     n.args.size());
  const size_t first = n.prim == ir::Prim::select ? 1 : 0;
  const DType type = p.nodes[n.args[first]].type;
  for (size_t k = first; k < n.args.size(); ++k)
    TESSERA_USER_CHECK(p.nodes[n.args[k]].type == type, "{} of {} and {}", to_string(n.prim),
                       to_string(type), to_string(p.nodes[n.args[k]].type));
  if (first == 1)
    TESSERA_USER_CHECK(p.nodes[n.args[0]].type == DType::boolean, "select wants a bool, found {}",
                       to_string(p.nodes[n.args[0]].type));
  n.type = ir::gives_boolean(n.prim) ? DType::boolean : type;
}

void type_load(const Program& p, Node& n) {
  const Param& param = p.params[n.target];
  n.type = param.type;
  const size_t indices = n.args.size() - (n.masked ? 1 : 0);
  TESSERA_USER_CHECK(indices == param.shape.size(), "{} has {} axes, found {} indices", param.name,
                     param.shape.size(), indices);
  for (size_t k = 0; k < indices; ++k)
    TESSERA_USER_CHECK(p.nodes[n.args[k]].type == DType::i64, "an index of {} is {}", param.name,
                       to_string(p.nodes[n.args[k]].type));
  if (n.masked)
    TESSERA_USER_CHECK(p.nodes[n.args.back()].type == DType::boolean, "the mask of {} is {}",
                       param.name, to_string(p.nodes[n.args.back()].type));
}

void drop_reduced(const Program& p, Node& n) {
  for (AxisId a : n.reduced) {
    const auto at = std::find(n.axes.begin(), n.axes.end(), a);
    // A tile that does not depend on the axis counts once for each of its elements.
    if (at != n.axes.end()) n.axes.erase(at);
    TESSERA_USER_CHECK(a < p.axes.size(), "a reduction over no axis");
  }
}

}  // namespace

NodeId Program::add(Node n) {
  n.axes.clear();
  for (NodeId a : n.args) merge(n.axes, nodes[a].axes);
  switch (n.kind) {
    case Kind::constant: break;
    case Kind::size: n.type = DType::i64; break;
    case Kind::index:
      n.type = DType::i64;
      n.axes = {n.target};
      break;
    case Kind::program_id: n.type = DType::i64; break;
    case Kind::load: type_load(*this, n); break;
    case Kind::variable:
      n.type = variables[n.target].type;
      n.axes = variables[n.target].axes;
      break;
    case Kind::primitive: type_primitive(*this, n); break;
    case Kind::cast: break;
    case Kind::reduce:
      n.type = nodes[n.args[0]].type;
      drop_reduced(*this, n);
      break;
    case Kind::dot:
      n.type = nodes[n.args[0]].type;
      TESSERA_USER_CHECK(nodes[n.args[1]].type == n.type, "dot of {} and {}", to_string(n.type),
                         to_string(nodes[n.args[1]].type));
      drop_reduced(*this, n);
      break;
  }
  nodes.push_back(std::move(n));
  return static_cast<NodeId>(nodes.size() - 1);
}

NodeId Program::real(double value, DType type) {
  return add({.kind = Kind::constant, .type = type, .bits = std::bit_cast<int64_t>(value)});
}
NodeId Program::integer(int64_t value) {
  return add({.kind = Kind::constant, .type = DType::i64, .bits = value});
}

Program bind(const Program& program, const std::map<std::string, int64_t>& sizes) {
  std::map<std::string, sym::Expr> bindings;
  for (const auto& [name, size] : sizes) bindings.emplace(name, sym::Expr(size));
  Program p = program;
  for (Axis& a : p.axes) a.extent = a.extent.substitute(bindings);
  for (Param& param : p.params)
    for (sym::Expr& d : param.shape) d = d.substitute(bindings);
  for (Node& n : p.nodes) {
    if (n.kind != Kind::size) continue;
    n.size = n.size.substitute(bindings);
    if (const auto known = n.size.constant()) n.kind = Kind::constant, n.bits = *known;
  }
  return p;
}

std::map<std::string, int64_t> match_shapes(const Program& program, std::span<const Shape> inputs) {
  TESSERA_USER_CHECK(inputs.size() == program.inputs, "{} takes {} inputs, found {}", program.name,
                     program.inputs, inputs.size());
  std::map<std::string, int64_t> sizes;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Param& param = program.params[k];
    TESSERA_USER_CHECK(inputs[k].size() == param.shape.size(), "{} has {} axes, found {}",
                       param.name, param.shape.size(), inputs[k].size());
    for (size_t axis = 0; axis < inputs[k].size(); ++axis) {
      const auto symbol = param.shape[axis].as_symbol();
      const auto known = param.shape[axis].constant();
      TESSERA_USER_CHECK(symbol || known, "axis {} of {} is neither a name nor a number", axis,
                         param.name);
      const int64_t size = known ? *known : sizes.emplace(*symbol, inputs[k][axis]).first->second;
      TESSERA_USER_CHECK(size == inputs[k][axis], "axis {} of {} is {}, found {}", axis, param.name,
                         size, inputs[k][axis]);
    }
  }
  return sizes;
}

}  // namespace tessera::tile
