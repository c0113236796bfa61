// SPDX-License-Identifier: Apache-2.0
// The printer of meanings; the parser is meaning_parse.cpp.
#include "ops/meaning_text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "base/check.h"

namespace tessera::ops {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

bool is_identifier(const std::string& name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (name.empty() || !letter(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// x0, i0, r1 and t0 are the text's own.
bool is_own_name(const std::string& name) {
  return name.size() > 1 && std::string_view("xirt").find(name[0]) != std::string_view::npos &&
         std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_word(const std::string& name) {
  for (const char* word : {"let", "inf", "nan", "none", "size", "true", "false", "where"})
    if (name == word) return true;
  return dtype_from_string(name).has_value() || ir::prim_from_string(name).has_value() ||
         name == "sum" || name == "prod";
}

std::string spell_symbol(const std::string& name) {
  return is_identifier(name) && !is_own_name(name) && !is_word(name) ? name : "`" + name + "`";
}

std::string spell_literal(const ExprNode& n) {
  const auto typed = [&](std::string text, DType plain) {
    return n.type == plain ? text : fmt::format("{}:{}", text, to_string(n.type));
  };
  if (!is_float(n.type)) return typed(fmt::format("{}", n.bits), DType::i64);
  const double value = ir::real_value(n);
  std::string text = std::isnan(value) ? "nan" : fmt::format("{}", value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return typed(text, DType::f32);
}

class MeaningPrinter {
 public:
  explicit MeaningPrinter(const ir::Meaning& meaning) : pool_(*meaning.pool) {}

  std::string output(ExprId body) {
    names_.clear();
    count_ = 0;
    return scope(body, {});
  }

 private:
  // The innermost reduction that a node lies in is that of the lowest bound variable it uses, since
  // bound variables are numbered by height.
  using Home = std::optional<uint32_t>;

  const std::set<uint32_t>& free_bound(ExprId id) {
    if (auto at = free_.find(id); at != free_.end()) return at->second;
    std::set<uint32_t> result;
    const ExprNode& n = pool_.node(id);
    if (n.kind == ExprKind::variable && n.var.kind == ir::Var::Kind::bound)
      result.insert(n.var.number);
    for (size_t k = 0; k < n.args.size(); ++k) {
      std::set<uint32_t> inner = free_bound(n.args[k]);
      if (n.kind == ExprKind::reduce && k == 1) inner.erase(n.var.number);
      result.insert(inner.begin(), inner.end());
    }
    return free_[id] = std::move(result);
  }

  Home home(ExprId id) {
    const auto& bound = free_bound(id);
    return bound.empty() ? std::nullopt : Home(*bound.begin());
  }

  // The text of a scope's body, after the definitions of what occurs in it more than once.
  std::string scope(ExprId body, Home own) {
    std::map<ExprId, int> uses;
    std::vector<ExprId> stack{body};
    while (!stack.empty()) {
      const ExprId id = stack.back();
      stack.pop_back();
      for (ExprId a : pool_.node(id).args)
        if (uses[a]++ == 0) stack.push_back(a);
    }
    std::vector<ExprId> defined;
    std::string text;
    for (const auto& [id, count] : uses) {  // operands have lower ids than their users
      const ExprNode& n = pool_.node(id);
      if (count < 2 || n.args.empty() || id == body || home(id) != own || names_.contains(id))
        continue;
      const std::string value = expression(id, 0);
      names_[id] = fmt::format("t{}", count_++);
      defined.push_back(id);
      text += fmt::format("let {} = {}; ", names_[id], value);
    }
    text += expression(body, 0);
    for (ExprId id : defined) names_.erase(id);
    return text;
  }

  // `level` is how tightly the surroundings bind: 0 nothing, 1 sums, 2 products, 3 a right operand
  // of a product or a negation's operand.
  std::string expression(ExprId id, int level) {
    if (auto at = names_.find(id); at != names_.end()) return at->second;
    const ExprNode& n = pool_.node(id);
    switch (n.kind) {
      case ExprKind::constant: {
        const std::string text = spell_literal(n);
        return level > 0 && text[0] == '-' ? "(" + text + ")" : text;
      }
      case ExprKind::size: {
        const sym::Expr& size = pool_.sizes()[n.size];
        return size.as_symbol() ? spell_symbol(*size.as_symbol())
                                : fmt::format("size({})", print_size(size));
      }
      case ExprKind::variable:
        return fmt::format("{}{}", n.var.kind == ir::Var::Kind::output ? 'i' : 'r', n.var.number);
      case ExprKind::read: return fmt::format("x{}({})", n.input, list(n.args));
      case ExprKind::cast:
        return fmt::format("{}({})", to_string(n.type), expression(n.args[0], 0));
      case ExprKind::primitive: return primitive(n, level);
      case ExprKind::reduce:
        return fmt::format("{}(r{} < {}, {})", ir::to_string(n.reduction), n.var.number,
                           expression(n.args[0], 0), scope(n.args[1], n.var.number));
    }
    return {};
  }

  std::string primitive(const ExprNode& n, int level) {
    const auto infix = [&](char symbol, int own) {
      std::string text = fmt::format("{} {} {}", expression(n.args[0], own), symbol,
                                     expression(n.args[1], own + 1));
      return level > own ? "(" + text + ")" : text;
    };
    switch (n.prim) {
      case Prim::add: return infix('+', 1);
      case Prim::sub: return infix('-', 1);
      case Prim::mul: return infix('*', 2);
      case Prim::div: return infix('/', 2);
      default: return fmt::format("{}({})", ir::to_string(n.prim), list(n.args));
    }
  }

  std::string list(const std::vector<ExprId>& args) {
    std::string text;
    for (size_t k = 0; k < args.size(); ++k) text += (k ? ", " : "") + expression(args[k], 0);
    return text;
  }

  const ir::ExprPool& pool_;
  std::unordered_map<ExprId, std::set<uint32_t>> free_;
  std::unordered_map<ExprId, std::string> names_;
  int count_ = 0;
};

std::string spell(const ir::ValueType& type) {
  if (type.opaque) return "none";
  std::string text = std::string(to_string(type.dtype)) + "[";
  for (size_t k = 0; k < type.shape.size(); ++k)
    text += (k ? ", " : "") + print_size(type.shape[k]);
  return text + "]";
}

}  // namespace

std::string print_size(const sym::Expr& size) { return size.to_string(spell_symbol); }

std::string print_meaning(const ir::Meaning& meaning, std::string_view name) {
  std::string text = fmt::format("{}(", name);
  for (size_t k = 0; k < meaning.inputs.size(); ++k)
    text += fmt::format("{}x{}: {}", k ? ", " : "", k, spell(meaning.inputs[k]));
  text += ") -> ";
  for (size_t k = 0; k < meaning.outputs.size(); ++k)
    text += (k ? ", " : "") + spell(meaning.output_type(k));
  text += "\n";
  MeaningPrinter printer(meaning);
  for (const ir::MeaningOutput& o : meaning.outputs) {
    text += "out(";
    for (size_t k = 0; k < o.shape.size(); ++k) text += fmt::format("{}i{}", k ? ", " : "", k);
    text += ") = " + printer.output(o.body.id) + "\n";
  }
  for (const ir::Requirement& r : meaning.requirements) {
    std::string message;
    for (char c : r.message) {
      if (c == '"' || c == '\\') message += '\\';
      message += c;
    }
    text += fmt::format("where {} {} {} \"{}\"\n", print_size(r.lhs),
                        r.kind == ir::Requirement::Kind::equal ? "==" : ">=", print_size(r.rhs),
                        message);
  }
  return text;
}

}  // namespace tessera::ops
