// SPDX-License-Identifier: Apache-2.0
// Recursive descent over the tokens; the depth of nesting is bounded, so hostile input cannot
// exhaust the stack.
#include "lang/syntax.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>

#include "types/dtype.h"

namespace tessera::lang {
namespace {

constexpr int deepest_nesting = 200;
constexpr int longest_chain = 1000;  // a + b + …: a chain is as deep a tree as it is long

// Binary operators by level, loosest first; all associate to the left.
constexpr std::array<std::array<std::string_view, 6>, 3> levels = {{
    {"<", "<=", ">", ">=", "==", "!="},
    {"+", "-", "++"},
    {"*", "/", "@", "//", "%"},
}};

class Parser {
 public:
  Parser(std::string_view text, const std::string& file)
      : file_(file), tokens_(tokenize(text, file)) {}

  std::vector<Statement> program() {
    std::vector<Statement> statements;
    skip_newlines();
    while (peek().kind != Token::Kind::end) {
      statements.push_back(statement());
      end_statement();
    }
    return statements;
  }

 private:
  struct Deeper {
    Parser& parser;
    explicit Deeper(Parser& p) : parser(p) {
      if (++parser.depth_ > deepest_nesting) parser.fail("nested too deeply");
    }
    ~Deeper() { --parser.depth_; }
  };

  const Token& peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool at(std::string_view symbol, size_t ahead = 0) const {
    return peek(ahead).kind == Token::Kind::symbol && peek(ahead).text == symbol;
  }
  bool at_word(std::string_view word) const {
    return peek().kind == Token::Kind::name && !peek().quoted && peek().text == word;
  }
  bool accept(std::string_view symbol) {
    if (!at(symbol)) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void fail(const std::string& message, const std::string& hint = {}) const {
    fail_at(file_, peek().place, message, hint);
  }
  static std::string describe(const Token& token) {
    if (token.kind == Token::Kind::end) return "the end of the file";
    if (token.kind == Token::Kind::newline) return "the end of the line";
    return "'" + token.text + "'";
  }
  void expect(std::string_view symbol) {
    if (!accept(symbol)) fail(fmt::format("expected '{}', found {}", symbol, describe(peek())));
  }
  std::string name(std::string_view what) {
    if (peek().kind != Token::Kind::name || (!peek().quoted && !is_plain_name(peek().text)))
      fail(fmt::format("expected {}, found {}", what, describe(peek())),
           peek().kind == Token::Kind::name ? "keywords need `backticks` to be names" : "");
    return take().text;
  }
  void skip_newlines() {
    while (peek().kind == Token::Kind::newline) ++at_;
  }
  void end_statement() {
    if (peek().kind != Token::Kind::newline && !at("}"))
      fail(fmt::format("expected the end of the statement, found {}", describe(peek())));
    skip_newlines();
  }

  // ---- statements ----

  Statement statement() {
    const Deeper deeper(*this);
    Statement s;
    s.place = peek().place;
    if (at_word("program")) {
      take();
      s.kind = Statement::Kind::program;
      s.name = name("the program's name");
    } else if (at_word("property")) {
      take();
      s.kind = Statement::Kind::property;
      s.name = string("the property's key");
      expect("=");
      s.text = string("the property's value");
    } else if (at_word("sizes")) {
      take();
      s.kind = Statement::Kind::sizes;
      do s.targets.push_back({name("a size's name"), nullptr, peek().place});
      while (accept(","));
    } else if (at_word("input") || at_word("param")) {
      declaration(s);
    } else if (at_word("output")) {
      take();
      s.kind = Statement::Kind::output;
      targets(s);
      if (accept("=")) s.value = values();
    } else if (at_word("for")) {
      loop(s);
    } else if (at_word("fn")) {
      function(s);
    } else if (at_word("return")) {
      take();
      s.kind = Statement::Kind::result;
      do s.values.push_back(expression());
      while (accept(","));
    } else {
      targets(s);
      expect("=");
      s.value = values();
    }
    return s;
  }

  void targets(Statement& s) {
    do {
      const Place place = peek().place;
      Target target{at_word("_") ? take().text : name("a statement"), nullptr, place};
      if (accept(":")) target.type = expression();
      s.targets.push_back(std::move(target));
    } while (accept(","));
  }

  // One expression, or several as a list.
  SyntaxPtr values() {
    SyntaxPtr first = expression();
    if (!at(",")) return first;
    auto list = node(Syntax::Kind::list, first->place);
    list->operands.push_back(std::move(first));
    while (accept(",")) list->operands.push_back(expression());
    return list;
  }

  std::string string(std::string_view what) {
    if (peek().kind != Token::Kind::string)
      fail(fmt::format("expected {} as a string, found {}", what, describe(peek())));
    return take().text;
  }

  void declaration(Statement& s) {
    const bool param = take().text == "param";
    s.kind = param ? Statement::Kind::param : Statement::Kind::input;
    Target target{name("a name"), nullptr, s.place};
    if (param && accept("[")) {
      s.count = expression();
      expect("]");
    }
    expect(":");
    target.type = expression();
    s.targets.push_back(std::move(target));
    if (param && accept("=")) s.value = expression();
  }

  void loop(Statement& s) {
    take();
    s.kind = Statement::Kind::loop;
    s.name = name("the loop's variable");
    if (!at_word("in")) fail(fmt::format("expected 'in', found {}", describe(peek())));
    take();
    s.value = expression();
    expect("..");
    s.count = expression();
    s.body = block();
  }

  void function(Statement& s) {
    take();
    s.kind = Statement::Kind::function;
    s.name = name("the function's name");
    expect("(");
    while (!at(")")) {
      Parameter p{name("a parameter"), nullptr, nullptr, peek().place};
      if (accept("=")) p.fallback = expression();
      s.parameters.push_back(std::move(p));
      if (!accept(",")) break;
    }
    expect(")");
    if (accept("=")) {
      Statement result;
      result.kind = Statement::Kind::result;
      result.place = peek().place;
      result.values.push_back(values());
      s.body.push_back(std::move(result));
    } else {
      s.body = block();
    }
  }

  std::vector<Statement> block() {
    std::vector<Statement> body;
    expect("{");
    statements_until_brace(body);
    return body;
  }

  void statements_until_brace(std::vector<Statement>& body) {
    skip_newlines();
    while (!at("}")) {
      if (peek().kind == Token::Kind::end) fail("a block without its closing '}'");
      body.push_back(statement());
      end_statement();
    }
    expect("}");
  }

  // ---- expressions ----

  static SyntaxPtr node(Syntax::Kind kind, Place place) {
    auto result = std::make_unique<Syntax>();
    result->kind = kind;
    result->place = place;
    return result;
  }

  SyntaxPtr expression(size_t level = 0) {
    const Deeper deeper(*this);
    if (level == levels.size()) return unary();
    SyntaxPtr left = expression(level + 1);
    for (int length = 0;; ++length) {
      if (length > longest_chain) fail("nested too deeply");
      bool found = false;
      for (std::string_view symbol : levels[level]) found |= !symbol.empty() && at(symbol);
      if (!found) return left;
      auto binary = node(Syntax::Kind::binary, peek().place);
      binary->text = take().text;
      binary->operands.push_back(std::move(left));
      binary->operands.push_back(expression(level + 1));
      left = std::move(binary);
    }
  }

  SyntaxPtr unary() {
    const Deeper deeper(*this);
    if (!at("-")) return power();
    auto result = node(Syntax::Kind::unary, peek().place);
    result->text = take().text;
    result->operands.push_back(unary());
    return result;
  }

  SyntaxPtr power() {
    SyntaxPtr base = postfix();
    if (!at("**")) return base;
    auto result = node(Syntax::Kind::binary, peek().place);
    result->text = take().text;
    result->operands.push_back(std::move(base));
    result->operands.push_back(unary());
    return result;
  }

  SyntaxPtr postfix() {
    SyntaxPtr value = primary();
    for (int length = 0;; ++length) {
      if (length > longest_chain) fail("nested too deeply");
      if (at(".") && peek(1).kind == Token::Kind::name) {
        auto result = node(Syntax::Kind::member, take().place);
        result->text = take().text;
        result->operands.push_back(std::move(value));
        value = std::move(result);
      } else if (at("[")) {
        auto result = node(Syntax::Kind::subscript, take().place);
        result->operands.push_back(std::move(value));
        while (!at("]")) {
          result->subscripts.push_back(subscript());
          if (!accept(",")) break;
        }
        expect("]");
        value = std::move(result);
      } else {
        return value;
      }
    }
  }

  Subscript subscript() {
    Subscript s;
    if (accept("...")) {
      s.kind = Subscript::Kind::rest;
      return s;
    }
    const auto bound = [&]() -> SyntaxPtr {
      return at(":") || at("::") || at(",") || at("]") ? nullptr : expression();
    };
    s.start = bound();
    if (accept("::")) {
      s.kind = Subscript::Kind::range;
      s.step = bound();
    } else if (accept(":")) {
      s.kind = Subscript::Kind::range;
      s.end = bound();
      if (accept(":")) s.step = bound();
    } else if (!s.start) {
      fail(fmt::format("expected an index, found {}", describe(peek())));
    }
    return s;
  }

  SyntaxPtr primary() {
    const Token& token = peek();
    if (token.kind == Token::Kind::number) return number();
    if (token.kind == Token::Kind::string) {
      auto result = node(Syntax::Kind::string, token.place);
      result->text = take().text;
      return result;
    }
    if (accept("(")) {
      SyntaxPtr inner = values();
      expect(")");
      return inner;
    }
    if (at("[")) {
      auto result = node(Syntax::Kind::list, take().place);
      while (!at("]")) {
        result->operands.push_back(expression());
        if (!accept(",")) break;
      }
      expect("]");
      return result;
    }
    if (token.kind != Token::Kind::name)
      fail(fmt::format("expected an expression, found {}", describe(token)));
    if (at_word("_")) return node(Syntax::Kind::absent, take().place);
    for (const auto& [word, value] : {std::pair{"inf", HUGE_VAL}, {"nan", std::nan("")}})
      if (at_word(word)) {
        auto result = node(Syntax::Kind::real, take().place);
        result->real = value;
        return result;
      }
    for (const auto& [word, value] : {std::pair{"true", 1}, {"false", 0}})
      if (at_word(word)) {
        auto result = node(Syntax::Kind::integer, take().place);
        result->integer = value;
        return result;
      }
    const Place place = token.place;
    const bool quoted = token.quoted,
               type = !quoted && (dtype_from_string(token.text) || token.text == "opaque");
    const std::string text = type ? take().text : name("an expression");
    if (!at("(")) {
      auto result = node(Syntax::Kind::name, place);
      result->text = text;
      result->quoted = quoted;
      return result;
    }
    return call(text, place);
  }

  SyntaxPtr call(const std::string& callee, Place place) {
    auto result = node(Syntax::Kind::call, place);
    result->text = callee;
    expect("(");
    while (!at(")")) {
      Argument argument;
      argument.place = peek().place;
      if (peek().kind == Token::Kind::name && at("=", 1)) {
        argument.name = take().text;
        expect("=");
      }
      argument.value = expression();
      result->arguments.push_back(std::move(argument));
      if (!accept(",")) break;
    }
    expect(")");
    if (at("{")) result->region = region();
    return result;
  }

  std::unique_ptr<RegionSyntax> region() {
    auto result = std::make_unique<RegionSyntax>();
    expect("{");
    skip_newlines();
    while (!at("->")) {
      Parameter p{name("a region's parameter"), nullptr, nullptr, peek().place};
      if (accept(":")) p.type = expression();
      result->parameters.push_back(std::move(p));
      if (!accept(",")) break;
      skip_newlines();
    }
    expect("->");
    statements_until_brace(result->body);
    return result;
  }

  SyntaxPtr number() {
    const Token& token = take();
    const bool whole = token.text.find_first_of(".eE") == std::string::npos;
    auto result = node(whole ? Syntax::Kind::integer : Syntax::Kind::real, token.place);
    if (whole) {
      errno = 0;
      // Up to 2^64 − 1: constants of u64 travel by their bits.
      result->integer = static_cast<int64_t>(std::strtoull(token.text.c_str(), nullptr, 10));
      if (errno != 0) fail_at(file_, token.place, "the number does not fit 64 bits");
    } else {
      result->real = std::strtod(token.text.c_str(), nullptr);
    }
    return result;
  }

  std::string file_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::vector<Statement> parse_syntax(std::string_view text, const std::string& file) {
  return Parser(text, file).program();
}

}  // namespace tessera::lang
