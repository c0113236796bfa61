// SPDX-License-Identifier: Apache-2.0
// Tile programs as text; parse() reads it back as the same program.
#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"
#include "tile/program.h"

namespace tessera::tile {
namespace {

struct Operator {
  const char* text;
  int level;  ///< of binding; operands on the right bind tighter
};

std::optional<Operator> infix(ir::Prim prim) {
  switch (prim) {
    case ir::Prim::logical_or: return Operator{" or ", 1};
    case ir::Prim::logical_and: return Operator{" and ", 2};
    case ir::Prim::eq: return Operator{" == ", 3};
    case ir::Prim::ne: return Operator{" != ", 3};
    case ir::Prim::lt: return Operator{" < ", 3};
    case ir::Prim::le: return Operator{" <= ", 3};
    case ir::Prim::add: return Operator{" + ", 4};
    case ir::Prim::sub: return Operator{" - ", 4};
    case ir::Prim::mul: return Operator{" * ", 5};
    case ir::Prim::div: return Operator{" / ", 5};
    default: return std::nullopt;
  }
}

std::string literal(const Node& n) {
  if (!is_float(n.type)) {
    return n.type == DType::i64 ? fmt::format("{}", n.bits)
                                : fmt::format("{}:{}", n.bits, to_string(n.type));
  }
  const auto v = std::bit_cast<double>(n.bits);
  std::string text = std::isnan(v)   ? "nan"
                     : std::isinf(v) ? (v < 0 ? "-inf" : "inf")
                                     : fmt::format("{}", v);
  if (std::isfinite(v) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return n.type == DType::f32 ? text : fmt::format("{}:{}", text, to_string(n.type));
}

class Printer {
 public:
  explicit Printer(const Program& p) : p_(p) {}

  std::string run() {
    out_ = "program " + p_.name + "(";
    for (size_t k = 0; k < p_.inputs; ++k) out_ += (k ? ", " : "") + param(p_.params[k]);
    out_ += ") -> (";
    for (size_t k = p_.inputs; k < p_.params.size(); ++k)
      out_ += (k > p_.inputs ? ", " : "") + param(p_.params[k]);
    out_ += ")\n";
    for (AxisId a : p_.grid)
      out_ += fmt::format("grid {} < {}\n", p_.axes[a].name, p_.axes[a].extent.to_string());
    block(p_.body, 0);
    return std::move(out_);
  }

 private:
  static std::string param(const Param& param) {
    std::string text = fmt::format("{}: {}[", param.name, to_string(param.type));
    for (size_t k = 0; k < param.shape.size(); ++k)
      text += (k ? ", " : "") + param.shape[k].to_string();
    return text + "]";
  }

  std::string names(const std::vector<AxisId>& axes) const {
    std::string text;
    for (AxisId a : axes) text += (text.empty() ? "" : ", ") + p_.axes[a].name;
    return text;
  }

  // In the order of their names: numbers of axes are no part of the text.
  std::string sorted_names(std::vector<AxisId> axes) const {
    std::sort(axes.begin(), axes.end(),
              [&](AxisId a, AxisId b) { return p_.axes[a].name < p_.axes[b].name; });
    return names(axes);
  }

  void block(const std::vector<Statement>& body, int depth) {
    for (const Statement& s : body) {
      out_.append(static_cast<size_t>(2 * depth), ' ');
      switch (s.kind) {
        case Statement::Kind::define: {
          const Variable& v = p_.variables[s.target];
          out_ += fmt::format("var {}[{}]: {} = {}\n", v.name, sorted_names(v.axes),
                              to_string(v.type), expression(s.value, 0));
          break;
        }
        case Statement::Kind::assign:
          out_ += fmt::format("{} = {}\n", p_.variables[s.target].name, expression(s.value, 0));
          break;
        case Statement::Kind::store:
          out_ += fmt::format("{}[{}{}] = {}\n", p_.params[s.target].name, list(s.indices),
                              s.mask == none ? "" : " | " + expression(s.mask, 0),
                              expression(s.value, 0));
          break;
        case Statement::Kind::loop:
          out_ += fmt::format("for {} < {} {{\n", p_.axes[s.target].name,
                              p_.axes[s.target].extent.to_string());
          block(s.body, depth + 1);
          out_.append(static_cast<size_t>(2 * depth), ' ');
          out_ += "}\n";
          break;
      }
    }
  }

  std::string list(std::span<const NodeId> ids) const {
    std::string text;
    for (size_t k = 0; k < ids.size(); ++k) text += (k ? ", " : "") + expression(ids[k], 0);
    return text;
  }

  std::string expression(NodeId id, int level) const {
    const Node& n = p_.nodes[id];
    const std::span<const NodeId> args(n.args);
    switch (n.kind) {
      case Kind::constant: return literal(n);
      case Kind::size:
        return n.size.as_symbol() ? n.size.to_string() : "size(" + n.size.to_string() + ")";
      case Kind::index: return p_.axes[n.target].name;
      case Kind::program_id: return "program_id(" + p_.axes[n.target].name + ")";
      case Kind::variable: return p_.variables[n.target].name;
      case Kind::cast: return fmt::format("{}({})", to_string(n.type), expression(n.args[0], 0));
      case Kind::load: {
        const size_t indices = args.size() - (n.masked ? 1 : 0);
        return fmt::format("{}[{}{}]", p_.params[n.target].name, list(args.first(indices)),
                           n.masked ? " | " + expression(args.back(), 0) : "");
      }
      case Kind::reduce:
        return fmt::format("{}({}: {})", to_string(n.reduction), names(n.reduced), list(args));
      case Kind::dot: return fmt::format("dot({}: {})", names(n.reduced), list(args));
      case Kind::primitive: break;
    }
    const auto op = infix(n.prim);
    if (!op) return fmt::format("{}({})", to_string(n.prim), list(args));
    // Comparisons do not chain: both sides bind tighter.
    const int left = op->level == 3 ? 4 : op->level;
    std::string text = expression(args[0], left) + op->text + expression(args[1], op->level + 1);
    return op->level < level ? "(" + text + ")" : text;
  }

  const Program& p_;
  std::string out_;
};

}  // namespace

std::string print(const Program& program) { return Printer(program).run(); }

std::string print(const Schedule& schedule) {
  if (schedule.blocks.empty()) return {};
  std::string text = "schedule ";
  for (const auto& [axis, size] : schedule.blocks)
    text += fmt::format("{}{} = {}", text.size() > 9 ? ", " : "", axis, size);
  return text + "\n";
}

std::string print(const File& file) {
  std::string text = print(file.program) + print(file.schedule);
  for (const Reference& r : file.references) text += "reference\n" + r.text + "\n";
  return text;
}

}  // namespace tessera::tile
