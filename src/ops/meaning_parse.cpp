// SPDX-License-Identifier: Apache-2.0
// The parser of meanings (meaning_text.h).
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/check.h"
#include "ops/meaning_text.h"

namespace tessera::ops {
namespace {

constexpr int deepest_nesting = 500;

class MeaningParser {
 public:
  explicit MeaningParser(std::string_view text) : text_(text) {}

  ir::Meaning run() {
    meaning_.pool = std::make_unique<ir::ExprPool>();
    word();
    expect("(");
    while (!accept(")")) {
      const std::string name = word();
      if (name != fmt::format("x{}", meaning_.inputs.size())) fail("inputs are x0, x1 … in order");
      expect(":");
      meaning_.inputs.push_back(type(true));
      if (!accept(",") && !at(")")) fail("expected ',' or ')'");
    }
    expect("->");
    std::vector<ir::ValueType> types;
    do types.push_back(type(false));
    while (accept(","));
    for (ir::ValueType& t : types) output(std::move(t));
    while (accept_word("where")) requirement();
    if (peek() != '\0') fail("expected the end");
    return std::move(meaning_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    int line = 1, column = 1;
    for (char c : text_.substr(0, at_)) {
      column = c == '\n' ? 1 : column + 1;
      line += c == '\n';
    }
    fail_user(ErrorKind::invalid_input, "meaning:{}:{}: {}", line, column, message);
  }

  // ---- words ----
  static bool letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }
  static bool digit(char c) { return c >= '0' && c <= '9'; }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool at(std::string_view symbol) {
    peek();
    return text_.substr(at_).starts_with(symbol);
  }
  bool accept(std::string_view symbol) {
    if (!at(symbol)) return false;
    at_ += symbol.size();
    return true;
  }
  void expect(std::string_view symbol) {
    if (!accept(symbol)) fail(fmt::format("expected '{}'", symbol));
  }
  std::string_view next_word() {
    peek();
    size_t end = at_;
    if (end < text_.size() && letter(text_[end]))
      while (end < text_.size() && (letter(text_[end]) || digit(text_[end]))) ++end;
    return text_.substr(at_, end - at_);
  }
  bool accept_word(std::string_view expected) {
    if (next_word() != expected) return false;
    at_ += expected.size();
    return true;
  }
  std::string word() {
    const std::string result(next_word());
    if (result.empty()) fail("expected a name");
    at_ += result.size();
    return result;
  }
  int64_t integer() {
    const bool negative = accept("-");
    uint64_t value = 0;
    peek();
    if (at_ >= text_.size() || !digit(text_[at_])) fail("expected an integer");
    for (; at_ < text_.size() && digit(text_[at_]); ++at_)
      value = value * 10 + static_cast<uint64_t>(text_[at_] - '0');
    return static_cast<int64_t>(negative ? uint64_t{0} - value : value);
  }

  // ---- sizes and types ----
  sym::Expr size() {
    sym::Expr total = accept("-") ? -size_term() : size_term();
    while (true) {
      if (accept("+")) total = total + size_term();
      else if (!at("->") && accept("-")) total = total - size_term();
      else return total;
    }
  }
  sym::Expr size_term() {
    sym::Expr product = size_factor();
    while (accept("*")) product = product * size_factor();
    return product;
  }
  sym::Expr size_factor() {
    const Deeper deeper(*this);
    if (digit(peek())) return integer();
    if (accept("(")) {
      sym::Expr inner = size();
      expect(")");
      return inner;
    }
    if (auto quoted = backticked()) return sym::Expr::symbol(*quoted);
    const std::string name = word();
    if (!accept("(")) return sym::Expr::symbol(name);
    const sym::Expr a = size();
    expect(",");
    const sym::Expr b = size();
    expect(")");
    if (name == "div") return sym::floor_div(a, b);
    if (name == "mod") return sym::modulo(a, b);
    if (name == "min") return sym::min(a, b);
    if (name == "max") return sym::max(a, b);
    fail(fmt::format("'{}' of sizes", name));
  }
  std::optional<std::string> backticked() {
    if (!accept("`")) return std::nullopt;
    const size_t end = text_.find('`', at_);
    if (end == std::string_view::npos) fail("a name without its closing backtick");
    std::string name(text_.substr(at_, end - at_));
    at_ = end + 1;
    return name;
  }
  DType dtype() {
    const auto result = dtype_from_string(word());
    if (!result) fail("expected an element type");
    return *result;
  }
  ir::ValueType type(bool may_be_absent) {
    ir::ValueType result;
    if (may_be_absent && accept_word("none")) {
      result.opaque = true;
      return result;
    }
    result.dtype = dtype();
    expect("[");
    while (!accept("]")) {
      result.shape.push_back(size());
      if (!accept(",") && !at("]")) fail("expected ',' or ']'");
    }
    return result;
  }

  void output(ir::ValueType type) {
    if (word() != "out") fail("expected 'out'");
    expect("(");
    for (size_t k = 0; k < type.shape.size(); ++k) {
      if (k) expect(",");
      if (word() != fmt::format("i{}", k)) fail("output indices are i0, i1 … in order");
    }
    expect(")");
    expect("=");
    rank_ = static_cast<int64_t>(type.shape.size());
    names_.clear();
    const ir::Expr body = scope();
    if (body.type() != type.dtype)
      fail(fmt::format("the body is {}, expected {}", to_string(body.type()),
                       to_string(type.dtype)));
    meaning_.outputs.push_back({std::move(type.shape), body});
  }

  void requirement() {
    ir::Requirement r;
    r.lhs = size();
    r.kind = accept("==") ? ir::Requirement::Kind::equal : ir::Requirement::Kind::at_least;
    if (r.kind == ir::Requirement::Kind::at_least) expect(">=");
    r.rhs = size();
    expect("\"");
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size()) r.message += text_[at_];
    }
    expect("\"");
    meaning_.requirements.push_back(std::move(r));
  }

  // ---- expressions ----
  struct Deeper {
    MeaningParser& parser;
    explicit Deeper(MeaningParser& p) : parser(p) {
      if (++parser.depth_ > deepest_nesting) parser.fail("nested too deeply");
    }
    ~Deeper() { --parser.depth_; }
  };

  ir::Expr scope() {
    const auto outer = names_;
    while (accept_word("let")) {
      const std::string name = word();
      expect("=");
      names_.insert_or_assign(name, sum());
      expect(";");
    }
    const ir::Expr body = sum();
    names_ = outer;
    return body;
  }
  ir::Expr combine(ir::Prim prim, std::span<const ir::Expr> args) {
    const auto first = prim == ir::Prim::select ? args[1] : args[0];
    if (first.type() != args.back().type())
      fail(fmt::format("'{}' of {} and {}", ir::to_string(prim), to_string(first.type()),
                       to_string(args.back().type())));
    return meaning_.pool->primitive(prim, args);
  }
  ir::Expr sum() {
    const Deeper deeper(*this);
    ir::Expr left = term();
    while (true) {
      const bool plus = at("+");
      if (!plus && !at("-")) return left;
      ++at_;
      const ir::Expr right = term();
      left = combine(plus ? ir::Prim::add : ir::Prim::sub, std::array{left, right});
    }
  }
  ir::Expr term() {
    ir::Expr left = factor();
    while (true) {
      const bool times = at("*");
      if (!times && !at("/")) return left;
      ++at_;
      const ir::Expr right = factor();
      left = combine(times ? ir::Prim::mul : ir::Prim::div, std::array{left, right});
    }
  }
  std::vector<ir::Expr> arguments() {
    std::vector<ir::Expr> args;
    expect("(");
    while (!accept(")")) {
      args.push_back(sum());
      if (!accept(",") && !at(")")) fail("expected ',' or ')'");
    }
    return args;
  }
  // The number after `prefix` in names such as x12; −1 for other names.
  static int64_t numbered(const std::string& name, char prefix) {
    if (name.size() < 2 || name.size() > 9 || name[0] != prefix) return -1;
    for (size_t k = 1; k < name.size(); ++k)
      if (!digit(name[k])) return -1;
    return std::strtoll(name.c_str() + 1, nullptr, 10);
  }

  ir::Expr factor() {
    const Deeper deeper(*this);
    if (accept("(")) {
      const ir::Expr inner = sum();
      expect(")");
      return inner;
    }
    if (digit(peek()) || peek() == '-') return literal();
    if (auto quoted = backticked()) return meaning_.pool->size_of(sym::Expr::symbol(*quoted));
    const std::string_view next = next_word();
    if (next == "inf" || next == "nan") return literal();
    const std::string name = word();
    if (auto at = names_.find(name); at != names_.end()) return at->second;
    if (dtype_from_string(name) && at("(")) return call(name);  // i8(e) is a cast, i8 an index
    if (const int64_t axis = numbered(name, 'i'); axis >= 0) {
      if (axis >= rank_) fail(fmt::format("'{}' of an output of rank {}", name, rank_));
      return meaning_.pool->variable({ir::Var::Kind::output, static_cast<uint32_t>(axis)});
    }
    if (const int64_t input = numbered(name, 'x'); input >= 0) return read(input);
    if (!at("(")) {
      if (numbered(name, 'r') >= 0 || numbered(name, 't') >= 0)
        fail(fmt::format("'{}' is not bound here", name));
      return meaning_.pool->size_of(sym::Expr::symbol(name));
    }
    return call(name);
  }

  ir::Expr read(int64_t input) {
    if (input >= static_cast<int64_t>(meaning_.inputs.size()) || meaning_.inputs[input].opaque)
      fail(fmt::format("there is no input x{}", input));
    const std::vector<ir::Expr> indices = arguments();
    const ir::ValueType& type = meaning_.inputs[input];
    if (static_cast<int>(indices.size()) != type.rank())
      fail(fmt::format("{} indices into rank {}", indices.size(), type.rank()));
    for (ir::Expr i : indices)
      if (i.type() != DType::i64) fail("an index must be i64");
    return meaning_.pool->read(static_cast<uint32_t>(input), type.dtype, indices);
  }

  ir::Expr call(const std::string& name) {
    if (name == "size") {
      expect("(");
      const sym::Expr value = size();
      expect(")");
      return meaning_.pool->size_of(value);
    }
    for (const auto reduction :
         {ir::Reduction::sum, ir::Reduction::prod, ir::Reduction::max, ir::Reduction::min})
      if (ir::to_string(reduction) == name && binds()) return reduce(reduction);
    const std::vector<ir::Expr> args = arguments();
    if (const auto type = dtype_from_string(name)) {
      if (args.size() != 1) fail("a cast takes one operand");
      return meaning_.pool->cast(args[0], *type);
    }
    const auto prim = ir::prim_from_string(name);
    if (!prim) fail(fmt::format("unknown primitive '{}'", name));
    if (static_cast<int>(args.size()) != ir::arity(*prim))
      fail(fmt::format("'{}' takes {} operands", name, ir::arity(*prim)));
    return combine(*prim, args);
  }

  // Is it "(r1 <", the head of a reduction?
  bool binds() {
    const size_t start = at_;
    bool result = accept("(") && numbered(std::string(next_word()), 'r') >= 0;
    if (result) word(), result = at("<");
    at_ = start;
    return result;
  }

  ir::Expr reduce(ir::Reduction reduction) {
    expect("(");
    const std::string name = word();
    expect("<");
    const ir::Expr extent = sum();
    expect(",");
    const ir::Expr variable = meaning_.pool->fresh_variable();
    const auto outer = names_;
    names_.insert_or_assign(name, variable);
    const ir::Expr body = scope();
    names_ = outer;
    expect(")");
    return meaning_.pool->reduce(reduction, variable, extent, body);
  }

  ir::Expr literal() {
    peek();
    const size_t start = at_;
    accept("-");
    bool real = false;
    if (accept_word("inf") || accept_word("nan")) real = true;
    else
      while (at_ < text_.size()) {
        const char c = text_[at_];
        const bool sign = (c == '-' || c == '+') && text_[at_ - 1] == 'e';
        if (!digit(c) && c != '.' && c != 'e' && !sign) break;
        real |= !digit(c);
        ++at_;
      }
    const std::string digits(text_.substr(start, at_ - start));
    const DType type = at_ < text_.size() && text_[at_] == ':' && accept(":") ? dtype()
                       : real                                                 ? DType::f32
                                                                              : DType::i64;
    if (real != is_float(type)) fail(fmt::format("'{}' is no {}", digits, to_string(type)));
    if (real) return meaning_.pool->real(std::strtod(digits.c_str(), nullptr), type);
    const size_t end = at_;
    at_ = start;
    const int64_t value = integer();
    at_ = end;
    return meaning_.pool->integer(value, type);
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  int64_t rank_ = 0;
  std::map<std::string, ir::Expr> names_;
  ir::Meaning meaning_;
};

}  // namespace

ir::Meaning parse_meaning(std::string_view text) { return MeaningParser(text).run(); }

}  // namespace tessera::ops
