// SPDX-License-Identifier: Apache-2.0
// A recursive-descent reader of TASO's rule text.
#include "corpus/taso_rule.h"

#include <charconv>
#include <filesystem>
#include <fstream>

#include "base/check.h"

namespace tessera::corpus {
namespace {

class Reader {
 public:
  Reader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  std::vector<TasoTerm> side() {
    std::vector<TasoTerm> terms{term()};
    while (skip(','), taken_) terms.push_back(term());
    return terms;
  }
  void arrow() {
    blanks();
    if (!text_.substr(at_).starts_with("==>")) fail("expected ==>");
    at_ += 3;
  }
  void end() {
    blanks();
    if (at_ != text_.size()) fail("expected the end of the rule");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    fail_user(ErrorKind::invalid_input, "rule {}, column {}: {}", name_, at_ + 1, what);
  }
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\r')) ++at_;
  }
  char peek() {
    blanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void skip(char c) {
    taken_ = peek() == c;
    if (taken_) ++at_;
  }
  std::string word() {
    blanks();
    const size_t from = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '_' || text_[at_] == '-'))
      ++at_;
    if (at_ == from) fail("expected a name");
    return std::string(text_.substr(from, at_ - from));
  }

  TasoTerm term() {
    TasoTerm t;
    skip('?');
    if (taken_) {
      t.variable = word();
      return t;
    }
    skip('(');
    if (!taken_) fail("expected ( or ?");
    t.op = word();
    skip('[');
    if (taken_) {
      for (skip(']'); !taken_; skip(']')) {
        const std::string attr = word();
        skip('=');
        if (!taken_) fail("expected =");
        t.attrs[attr] = word();
      }
    }
    for (skip(')'); !taken_; skip(')')) t.args.push_back(term());
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      const std::string k = word();
      if (std::from_chars(k.data(), k.data() + k.size(), t.output).ec != std::errc())
        fail("expected the number of an output");
    }
    return t;
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  bool taken_ = false;
};

}  // namespace

int64_t TasoTerm::integer(const std::string& attr) const {
  const auto it = attrs.find(attr);
  TESSERA_USER_CHECK(it != attrs.end(), "{} has no attribute {}", op, attr);
  int64_t value = 0;
  const char* const last = it->second.data() + it->second.size();
  const auto r = std::from_chars(it->second.data(), last, value);
  TESSERA_USER_CHECK(r.ec == std::errc() && r.ptr == last, "{}: {}={} is no number", op, attr,
                     it->second);
  return value;
}

TasoRule parse_taso_rule(std::string_view line, std::string name) {
  TasoRule rule{std::move(name), std::string(line), {}, {}};
  Reader reader(rule.text, rule.name);
  rule.left = reader.side();
  reader.arrow();
  rule.right = reader.side();
  reader.end();
  TESSERA_USER_CHECK(rule.left.size() == rule.right.size(), "rule {}: {} results become {}",
                     rule.name, rule.left.size(), rule.right.size());
  return rule;
}

std::vector<TasoRule> read_taso_rules(const std::string& path) {
  std::ifstream file(path);
  TESSERA_USER_CHECK(file.good(), "cannot read {}", path);
  const std::string stem = std::filesystem::path(path).stem().string();
  std::vector<TasoRule> rules;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number)
    if (!line.empty() && line[0] != '#')
      rules.push_back(parse_taso_rule(line, fmt::format("{}:{}", stem, number)));
  return rules;
}

}  // namespace tessera::corpus
