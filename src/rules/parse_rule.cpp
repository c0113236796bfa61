// SPDX-License-Identifier: Apache-2.0
// Recursive descent over one line of a rules file.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "ops/registry.h"
#include "rules/rule.h"

namespace tessera::rules {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& family, int line) : text_(text) {
    rule_.family = family;
    rule_.line = line;
  }

  Rule parse() {
    rule_.name = word("a rule name");
    expect(":");
    rule_.lhs = sides(true);
    if (accept("<=>")) rule_.both_ways = rule_.when_cheaper = true;
    else expect("=>");
    rule_.rhs = sides(false);
    if (accept_word("if"))
      while (peek() == '(') rule_.conditions.push_back(term());
    if (!accept_word("mode")) fail("expected 'mode exact' or 'mode real'");
    const std::string mode = word("a mode");
    if (mode != "exact" && mode != "real") fail("unknown mode '" + mode + "'");
    rule_.mode = mode == "exact" ? Mode::exact : Mode::real;
    if (accept_word("when")) {
      const std::string when = word("'cheaper' or 'asked'");
      if (when != "cheaper" && when != "asked") fail("expected 'cheaper' or 'asked'");
      rule_.when_cheaper = true;
      rule_.when_asked = when == "asked";
    }
    if (accept_word("on")) {
      do rule_.samples.push_back(sample());
      while (accept("|"));
    }
    skip();
    if (at_ < text_.size()) fail("unexpected text");
    check();
    return std::move(rule_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    fail_user(ErrorKind::invalid_input, "{}.rules:{}:{}: {}", rule_.family, rule_.line, at_ + 1,
              message);
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool starts_with(std::string_view s) { return text_.substr(at_).starts_with(s); }
  bool accept(std::string_view s) {
    skip();
    if (!starts_with(s)) return false;
    at_ += s.size();
    return true;
  }
  void expect(std::string_view s) {
    if (!accept(s)) fail(fmt::format("expected '{}'", s));
  }
  static bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  }
  bool accept_word(std::string_view s) {
    skip();
    if (!starts_with(s) || (at_ + s.size() < text_.size() && is_word(text_[at_ + s.size()])))
      return false;
    at_ += s.size();
    return true;
  }
  std::string word(std::string_view what) {
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (begin == at_) fail(fmt::format("expected {}", what));
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string function_name() {
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() && (is_word(text_[at_]) || std::string_view("+*/=<>!").find(
                                                             text_[at_]) != std::string_view::npos))
      ++at_;
    if (begin == at_) fail("expected a function name");
    return std::string(text_.substr(begin, at_ - begin));
  }

  // ?name
  int variable() {
    expect("?");
    const std::string name = word("a variable name");
    const auto it = std::find(rule_.variables.begin(), rule_.variables.end(), name);
    if (it != rule_.variables.end()) return static_cast<int>(it - rule_.variables.begin());
    rule_.variables.push_back(name);
    rule_.is_list.push_back(false);
    return static_cast<int>(rule_.variables.size()) - 1;
  }

  bool at_number() {
    const char c = peek();
    return std::isdigit(static_cast<unsigned char>(c)) ||
           (c == '-' && at_ + 1 < text_.size() &&
            (std::isdigit(static_cast<unsigned char>(text_[at_ + 1])) || text_[at_ + 1] == 'i')) ||
           starts_with("inf");
  }
  std::string number_text() {
    skip();
    const size_t begin = at_;
    if (text_[at_] == '-') ++at_;
    if (starts_with("inf")) {
      at_ += 3;
    } else {
      const auto digits = [&] {
        while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
      };
      digits();
      if (at_ + 1 < text_.size() && text_[at_] == '.' &&
          std::isdigit(static_cast<unsigned char>(text_[at_ + 1]))) {
        ++at_;
        digits();
      }
      if (at_ < text_.size() && text_[at_] == 'e') {
        ++at_;
        if (text_[at_] == '-' || text_[at_] == '+') ++at_;
        digits();
      }
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  Term number_term() {
    const std::string text = number_text();
    Term t;
    if (text.find_first_of(".ei") == std::string::npos) {
      t.kind = Term::Kind::integer;
      const auto r = std::from_chars(text.data(), text.data() + text.size(), t.integer);
      if (r.ec != std::errc{}) fail("number out of range");
    } else {
      t.kind = Term::Kind::real;
      t.real = std::strtod(text.c_str(), nullptr);
    }
    return t;
  }

  Term term() {
    Term t;
    if (accept("(")) {
      t.kind = Term::Kind::call;
      t.name = function_name();
      while (peek() != ')') {
        if (peek() == '\0') fail("expected ')'");
        t.args.push_back(term());
      }
      expect(")");
    } else if (accept("{")) {
      t.kind = Term::Kind::call;
      t.name = "list";
      while (!accept("}")) {
        t.args.push_back(term());
        if (peek() != '}') expect(",");
      }
    } else if (peek() == '?') {
      t.kind = Term::Kind::variable;
      t.slot = variable();
    } else if (at_number()) {
      t = number_term();
    } else {
      t.kind = Term::Kind::symbol;
      t.name = word("a term");
    }
    return t;
  }

  std::vector<Pattern> sides(bool left) {
    std::vector<Pattern> result;
    do result.push_back(pattern(left));
    while (accept("&"));
    return result;
  }

  Pattern pattern(bool left) {
    Pattern p;
    if (peek() == '?') {
      p.slot = variable();
      if (starts_with(":")) {
        if (!left) fail("a name stands on the left side only");
        ++at_;
        const int name = p.slot;
        p = pattern(left);
        if (p.kind != Pattern::Kind::apply && p.kind != Pattern::Kind::any)
          fail("only an operator can be named");
        p.slot = name;
        return p;
      }
    } else if (at_number()) {
      p.kind = Pattern::Kind::number;
      p.text = number_text();
      p.number = std::strtod(p.text.c_str(), nullptr);
    } else {
      expect("(");
      const std::string op = word("an operator name");
      if (op == "any") {
        if (!left) fail("'any' stands on the left side only");
        p.kind = Pattern::Kind::any;
        while (peek() != ')' && peek() != '\0') p.args.push_back(pattern(left));
        if (p.args.empty()) fail("'any' without alternatives");
      } else if (op == "scalar") {
        if (left) fail("'scalar' stands on the right side only");
        p.kind = Pattern::Kind::scalar;
        p.term = term();
      } else {
        apply(p, op, left);
      }
      expect(")");
      output_number(p);
    }
    if (accept("...")) p.repeated = true;
    return p;
  }

  void output_number(Pattern& p) {
    if (!starts_with(".") || starts_with("...")) return;
    ++at_;
    if (starts_with("?")) p.output_slot = variable();
    else p.output = static_cast<int>(number_term().integer);
  }

  void apply(Pattern& p, const std::string& op, bool left) {
    p.kind = Pattern::Kind::apply;
    p.def = ops::registry().find(op);
    if (!p.def) fail("unknown operator '" + op + "'");
    if (starts_with("[")) {
      ++at_;
      while (!accept("]")) {
        if (accept("*")) {
          p.rest = variable();
        } else {
          AttrPattern a;
          a.name = word("an attribute name");
          const auto known = std::any_of(p.def->attrs.begin(), p.def->attrs.end(),
                                         [&](const ops::AttrDef& d) { return d.name == a.name; });
          if (!known) fail(fmt::format("'{}' has no attribute '{}'", op, a.name));
          expect("=");
          a.term = term();
          p.attrs.push_back(std::move(a));
        }
        if (peek() != ']') expect(",");
      }
      std::sort(p.attrs.begin(), p.attrs.end(),
                [](const AttrPattern& a, const AttrPattern& b) { return a.name < b.name; });
    }
    while (peek() != ')') {
      if (peek() == '\0') fail("expected ')'");
      p.args.push_back(pattern(left));
      if (p.args.back().repeated && left && peek() != ')')
        fail("a repeated operand must be the last");
    }
  }

  RuleSample sample() {
    RuleSample specs;
    while (peek() == '?') {
      SampleSpec s;
      s.slot = variable();
      if (starts_with("[")) {
        ++at_;
        s.is_tensor = true;
        while (!accept("]")) {
          std::string dim = word("a size");
          if (accept("*")) dim += "*";
          s.dims.push_back(std::move(dim));
          if (peek() != ']') expect(",");
        }
        if (starts_with(":")) {
          ++at_;
          const std::string type = word("an element type");
          s.dtype = dtype_from_string(type);
          if (!s.dtype) fail("unknown element type '" + type + "'");
        }
        if (accept(">")) {
          if (word("0") != "0") fail("expected 0");
          s.positive = true;
        }
        s.twice = accept_word("twice");
        s.eye = accept_word("eye");
        s.blocks = accept_word("blocks");
        if (accept("=")) s.value = std::strtod(number_text().c_str(), nullptr);
      } else {
        if (starts_with(".")) {
          ++at_;
          s.attr = word("an attribute name");
        }
        expect("=");
        s.term = term();
      }
      specs.push_back(std::move(s));
    }
    if (specs.empty()) fail("an empty sample");
    return specs;
  }

  static void occurrences(const Pattern& p, bool inside, std::vector<int>& in,
                          std::vector<int>& out) {
    const bool now = inside || p.repeated;
    const auto note = [&](int slot) {
      if (slot >= 0) ++(now ? in : out)[slot];
    };
    note(p.slot);
    note(p.rest);
    note(p.output_slot);
    for (const AttrPattern& a : p.attrs)
      if (a.term.kind == Term::Kind::variable) note(a.term.slot);
    for (const Pattern& arg : p.args) occurrences(arg, now, in, out);
  }

  // A variable is a list if it occurs in a repeated pattern; in a group (`P...` alone) what the
  // nodes share is the plain variables that stand first among the operands or are attributes.
  void check() {
    const size_t n = rule_.variables.size();
    std::vector<int> in(n, 0), out(n, 0);
    for (const Pattern& p : rule_.lhs) occurrences(p, false, in, out);
    for (size_t k = 0; k < n; ++k) {
      if (in[k] + out[k] == 0) fail("variable ?" + rule_.variables[k] + " is not on the left side");
      rule_.is_list[k] = out[k] == 0;
    }
    if (rule_.is_group()) {
      const Pattern& p = rule_.lhs[0];
      std::vector<int> shared{p.rest};
      for (const AttrPattern& a : p.attrs)
        if (a.term.kind == Term::Kind::variable) shared.push_back(a.term.slot);
      // The operand named ?x is what the members of a group share.
      for (size_t k = 0; k < n; ++k)
        if (rule_.variables[k] == "x") shared.push_back(static_cast<int>(k));
      for (int slot : shared)
        if (slot >= 0) rule_.is_list[slot] = false;
    } else if (rule_.lhs.size() != rule_.rhs.size()) {
      fail("the sides have different numbers of results");
    }
    if (rule_.is_group() && rule_.rhs.size() != 1) fail("a group is replaced by one operator");
    for (const Pattern& p : rule_.lhs)
      if (p.kind != Pattern::Kind::apply) fail("the left side must be an operator");
  }

  std::string_view text_;
  size_t at_ = 0;
  Rule rule_;
};

}  // namespace

Rule parse_rule(std::string_view line, const std::string& family, int line_number) {
  return Parser(line, family, line_number).parse();
}

Rule Rule::reversed() const {
  Rule r = *this;
  std::swap(r.lhs, r.rhs);
  r.name += "-reversed";
  return r;
}

}  // namespace tessera::rules
