// SPDX-License-Identifier: Apache-2.0
// The text form of tile programs. Line ends mean nothing; comments run from # to the end of a line.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "tile/program.h"

namespace tessera::tile {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) { skip(); }

  File run() {
    File file;
    word("program");
    p_.name = identifier();
    params();
    p_.inputs = p_.params.size();
    token("->");
    params();
    while (accept_word("grid")) {
      const std::string axis = identifier();
      p_.grid.push_back(open_axis(axis));
    }
    while (at_ < text_.size() && !peek_word("schedule") && !peek_word("reference"))
      p_.body.push_back(statement());
    if (accept_word("schedule")) {
      do {
        const std::string axis = identifier();
        token("=");
        file.schedule.blocks[axis] = integer();
      } while (accept(","));
    }
    if (peek_word("reference")) read_references(file);
    if (at_ < text_.size()) fail("expected a statement");
    for (const auto& [axis, size] : file.schedule.blocks) {
      bool known = false;
      for (const Axis& a : p_.axes) known |= a.name == axis;
      if (!known) fail(fmt::format("the schedule names an unknown axis '{}'", axis));
      if (size < 1) fail(fmt::format("a block of {} elements", size));
    }
    verify(p_, name_);
    file.program = std::move(p_);
    return file;
  }

 private:
  // The texts behind lines that say `reference`; the word may stand inside of a text elsewhere.
  void read_references(File& file) {
    while (accept_word("reference")) {
      size_t end = at_;
      do end = text_.find("\nreference", end == at_ ? end : end + 1);
      while (end != std::string_view::npos && end + 10 < text_.size() && text_[end + 10] != '\n' &&
             text_[end + 10] != '\r');
      const size_t stop = std::min(end, text_.size());
      file.references.push_back({std::string(text_.substr(at_, stop - at_)), line()});
      at_ = stop;
      skip();
    }
  }

  int line() const {
    const auto before = text_.substr(0, std::min(at_, text_.size()));
    return 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  }

  [[noreturn]] void fail(const std::string& message) const {
    int line = 1, column = 1;
    for (size_t k = 0; k < std::min(at_, text_.size()); ++k)
      if (text_[k] == '\n') ++line, column = 1;
      else ++column;
    fail_user(ErrorKind::invalid_input, "{}:{}:{}: {}", name_, line, column, message);
  }

  void skip() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
      else if (text_[at_] == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      else return;
    }
  }
  bool peek(std::string_view symbol) const { return text_.substr(at_).starts_with(symbol); }
  bool accept(std::string_view symbol) {
    if (!peek(symbol)) return false;
    at_ += symbol.size();
    skip();
    return true;
  }
  void token(std::string_view symbol) {
    if (!accept(symbol)) fail(fmt::format("expected '{}'", symbol));
  }
  static bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
  bool peek_word(std::string_view word) const {
    const size_t end = at_ + word.size();
    return peek(word) && (end >= text_.size() || !is_name(text_[end]));
  }
  bool accept_word(std::string_view word) { return peek_word(word) && accept(word); }
  void word(std::string_view w) {
    if (!accept_word(w)) fail(fmt::format("expected '{}'", w));
  }
  std::string identifier() {
    size_t end = at_;
    while (end < text_.size() && is_name(text_[end])) ++end;
    if (end == at_ || std::isdigit(static_cast<unsigned char>(text_[at_]))) fail("expected a name");
    std::string name(text_.substr(at_, end - at_));
    at_ = end;
    skip();
    return name;
  }
  int64_t integer() {
    int64_t value = 0;
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("expected an integer");
    at_ = static_cast<size_t>(end - text_.data());
    skip();
    return value;
  }
  DType type() {
    const std::string name = identifier();
    const auto found = dtype_from_string(name);
    if (!found) fail(fmt::format("unknown type '{}'", name));
    return *found;
  }

  // A sum of products of names and numbers.
  sym::Expr size() {
    sym::Expr sum = size_product();
    while (true) {
      if (accept("+")) sum = sum + size_product();
      else if (accept("-")) sum = sum - size_product();
      else return sum;
    }
  }
  sym::Expr size_product() {
    sym::Expr product = size_factor();
    while (accept("*")) product = product * size_factor();
    return product;
  }
  sym::Expr size_factor() {
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])))
      return sym::Expr(integer());
    return sym::Expr::symbol(identifier());
  }

  void params() {
    token("(");
    if (accept(")")) return;
    do {
      Param param;
      param.name = identifier();
      token(":");
      param.type = type();
      token("[");
      if (!peek("]")) do
          param.shape.push_back(size());
        while (accept(","));
      token("]");
      for (const Param& other : p_.params)
        if (other.name == param.name) fail(fmt::format("two parameters '{}'", param.name));
      p_.params.push_back(std::move(param));
    } while (accept(","));
    token(")");
  }

  // Axes of one name are one axis when their extents are equal.
  AxisId open_axis(const std::string& name) {
    token("<");
    const sym::Expr extent = size();
    for (AxisId a = 0; a < p_.axes.size(); ++a) {
      if (p_.axes[a].name != name) continue;
      if (!(p_.axes[a].extent == extent))
        fail(fmt::format("axis '{}' has extents {} and {}", name, p_.axes[a].extent.to_string(),
                         extent.to_string()));
      return a;
    }
    p_.axes.push_back({name, extent});
    return static_cast<AxisId>(p_.axes.size() - 1);
  }

  AxisId axis() {
    const std::string name = identifier();
    for (AxisId a = 0; a < p_.axes.size(); ++a)
      if (p_.axes[a].name == name) return a;
    fail(fmt::format("unknown axis '{}'", name));
  }

  Statement statement() {
    Statement s;
    s.line = line();
    if (accept_word("for")) {
      s.kind = Statement::Kind::loop;
      s.target = open_axis(identifier());
      token("{");
      while (!accept("}")) {
        if (at_ >= text_.size()) fail("expected '}'");
        s.body.push_back(statement());
      }
      return s;
    }
    if (accept_word("var")) return definition(s.line);
    const std::string name = identifier();
    for (uint32_t k = 0; k < p_.variables.size(); ++k)
      if (p_.variables[k].name == name) {
        token("=");
        s.target = k;
        s.value = checked_expression();
        return s;
      }
    for (uint32_t k = static_cast<uint32_t>(p_.inputs); k < p_.params.size(); ++k)
      if (p_.params[k].name == name) {
        s.kind = Statement::Kind::store;
        s.target = k;
        token("[");
        if (!peek("]") && !peek("|")) do
            s.indices.push_back(checked_expression());
          while (accept(","));
        if (accept("|")) s.mask = checked_expression();
        token("]");
        token("=");
        s.value = checked_expression();
        return s;
      }
    fail(fmt::format("'{}' is neither a variable nor a result", name));
  }

  Statement definition(int line) {
    Statement s;
    s.line = line;
    s.kind = Statement::Kind::define;
    Variable v;
    v.name = identifier();
    token("[");
    if (!peek("]")) do
        v.axes.push_back(axis());
      while (accept(","));
    token("]");
    std::sort(v.axes.begin(), v.axes.end());
    token(":");
    v.type = type();
    token("=");
    s.value = checked_expression();
    s.target = static_cast<uint32_t>(p_.variables.size());
    for (const Variable& other : p_.variables)
      if (other.name == v.name) fail(fmt::format("two variables '{}'", v.name));
    p_.variables.push_back(std::move(v));
    return s;
  }

  // Errors about types get the place where the expression stands.
  NodeId checked_expression() {
    const size_t start = at_;
    try {
      return expression(0);
    } catch (const UserError& e) {
      if (std::string_view(e.what()).starts_with(name_ + ":")) throw;
      at_ = start;
      fail(e.what());
    }
  }

  NodeId primitive(ir::Prim prim, std::vector<NodeId> args) {
    return p_.add({.kind = Kind::primitive, .prim = prim, .args = std::move(args)});
  }

  NodeId expression(int level) {
    if (++depth_ > 200) fail("an expression is nested too deeply");
    NodeId left = unary();
    while (true) {
      struct Infix {
        const char* text;
        ir::Prim prim;
        int level;
        bool swapped;
      };
      static constexpr Infix table[] = {
          {"==", ir::Prim::eq, 3, false}, {"!=", ir::Prim::ne, 3, false},
          {"<=", ir::Prim::le, 3, false}, {">=", ir::Prim::le, 3, true},
          {"<", ir::Prim::lt, 3, false},  {">", ir::Prim::lt, 3, true},
          {"+", ir::Prim::add, 4, false}, {"-", ir::Prim::sub, 4, false},
          {"*", ir::Prim::mul, 5, false}, {"/", ir::Prim::div, 5, false}};
      const Infix* found = nullptr;
      for (const Infix& infix : table)
        if (!found && peek(infix.text)) found = &infix;
      if (peek_word("or")) {
        static constexpr Infix either{"or", ir::Prim::logical_or, 1, false};
        found = &either;
      } else if (peek_word("and")) {
        static constexpr Infix both{"and", ir::Prim::logical_and, 2, false};
        found = &both;
      }
      if (!found || found->level < level) break;
      token(found->text);
      const NodeId right = expression(found->level + 1);
      left = found->swapped ? primitive(found->prim, {right, left})
                            : primitive(found->prim, {left, right});
    }
    --depth_;
    return left;
  }

  NodeId unary() {
    if (accept("-")) {
      // A literal takes the sign.
      const NodeId id = unary();
      Node& n = p_.nodes[id];
      if (n.kind == Kind::constant && id + 1 == p_.nodes.size()) {
        n.bits =
            is_float(n.type) ? std::bit_cast<int64_t>(-std::bit_cast<double>(n.bits)) : -n.bits;
        return id;
      }
      return primitive(ir::Prim::neg, {id});
    }
    if (accept("(")) {
      const NodeId id = expression(0);
      token(")");
      return id;
    }
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) return number();
    return named(identifier());
  }

  NodeId number() {
    const std::string_view rest = text_.substr(at_);
    double real = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), real);
    if (error != std::errc()) fail("expected a number");
    const std::string_view digits(rest.data(), static_cast<size_t>(end - rest.data()));
    const bool is_real = digits.find_first_of(".eE") != std::string_view::npos;
    int64_t whole = 0;
    if (!is_real) std::from_chars(digits.data(), digits.data() + digits.size(), whole);
    at_ += digits.size();
    skip();
    return suffixed(is_real ? real : static_cast<double>(whole), whole,
                    is_real ? DType::f32 : DType::i64);
  }

  // A literal with its type behind it, 3:i32. The colon of a reduction never follows a literal.
  NodeId suffixed(double real, int64_t whole, DType t) {
    if (accept(":")) t = type();
    return is_float(t) ? p_.real(real, t)
                       : p_.add({.kind = Kind::constant, .type = t, .bits = whole});
  }

  NodeId named(const std::string& name) {
    if (name == "inf") return suffixed(std::numeric_limits<double>::infinity(), 0, DType::f32);
    if (name == "nan") return suffixed(std::nan(""), 0, DType::f32);
    for (uint32_t k = 0; k < p_.variables.size(); ++k)
      if (p_.variables[k].name == name) return p_.add({.kind = Kind::variable, .target = k});
    for (uint32_t k = 0; k < p_.params.size(); ++k)
      if (p_.params[k].name == name) return load(k);
    for (AxisId a = 0; a < p_.axes.size(); ++a)
      if (p_.axes[a].name == name) return p_.add({.kind = Kind::index, .target = a});
    if (accept("(")) return call(name);
    return p_.add({.kind = Kind::size, .size = sym::Expr::symbol(name)});
  }

  NodeId load(uint32_t param) {
    Node n{.kind = Kind::load, .target = param};
    token("[");
    if (!peek("]") && !peek("|")) do
        n.args.push_back(expression(0));
      while (accept(","));
    if (accept("|")) {
      n.args.push_back(expression(0));
      n.masked = true;
    }
    token("]");
    return p_.add(std::move(n));
  }

  NodeId call(const std::string& name) {
    Node n;
    if (name == "program_id") {
      n.kind = Kind::program_id;
      n.target = axis();
      token(")");
      return p_.add(std::move(n));
    }
    if (name == "size") {
      n.kind = Kind::size;
      n.size = size();
      token(")");
      return p_.add(std::move(n));
    }
    if (name == "dot" || begins_reduction(name)) return reduction(name);
    if (const auto t = dtype_from_string(name)) {
      n = {.kind = Kind::cast, .type = *t, .args = {expression(0)}};
      token(")");
      return p_.add(std::move(n));
    }
    const auto prim = ir::prim_from_string(name);
    if (!prim) fail(fmt::format("unknown function '{}'", name));
    std::vector<NodeId> args;
    do args.push_back(expression(0));
    while (accept(","));
    token(")");
    return primitive(*prim, std::move(args));
  }

  // `max(j: …)` against `max(a, b)`: names of axes and a colon.
  bool begins_reduction(const std::string& name) const {
    if (name != "sum" && name != "prod" && name != "max" && name != "min") return false;
    for (size_t k = at_; k < text_.size();) {
      size_t end = k;
      while (end < text_.size() && is_name(text_[end])) ++end;
      const auto is_axis = [&](const Axis& a) { return a.name == text_.substr(k, end - k); };
      if (std::none_of(p_.axes.begin(), p_.axes.end(), is_axis)) return false;
      while (end < text_.size() && text_[end] == ' ') ++end;
      if (end == text_.size() || text_[end] != ',') return end < text_.size() && text_[end] == ':';
      for (k = end + 1; k < text_.size() && text_[k] == ' ';) ++k;
    }
    return false;
  }

  NodeId reduction(const std::string& name) {
    Node n{.kind = name == "dot" ? Kind::dot : Kind::reduce};
    n.reduction = name == "prod"  ? ir::Reduction::prod
                  : name == "max" ? ir::Reduction::max
                  : name == "min" ? ir::Reduction::min
                                  : ir::Reduction::sum;
    do n.reduced.push_back(axis());
    while (accept(","));
    token(":");
    n.args.push_back(expression(0));
    if (n.kind == Kind::dot) {
      token(",");
      n.args.push_back(expression(0));
    }
    token(")");
    return p_.add(std::move(n));
  }

  std::string_view text_;
  std::string name_;
  size_t at_ = 0;
  int depth_ = 0;
  Program p_;
};

}  // namespace

File parse(std::string_view text, const std::string& name) { return Parser(text, name).run(); }

}  // namespace tessera::tile
