// SPDX-License-Identifier: Apache-2.0
// One pass over the bytes.
#include "lang/lexer.h"

#include <algorithm>
#include <array>

#include "types/dtype.h"

namespace tessera::lang {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool continues_name(char c) { return starts_name(c) || is_digit(c); }

int hex_digit(char c) { return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

constexpr std::array<std::string_view, 16> keywords = {
    "program", "property", "sizes", "input", "param", "output", "fn", "return",
    "for",     "in",       "true",  "false", "inf",   "nan",    "_",  "opaque"};

// Longest first.
constexpr std::array<std::string_view, 11> long_symbols = {
    "...", "->", "..", "**", "//", "==", "!=", "<=", ">=", "++", "::"};
constexpr std::string_view short_symbols = "+-*/@%<>=()[]{},:.";

class Lexer {
 public:
  Lexer(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) step();
    add(Token::Kind::newline, "\n");
    add(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void advance(size_t bytes) {
    for (size_t k = 0; k < bytes; ++k, ++at_) {
      if (text_[at_] == '\n') ++place_.line, place_.column = 1;
      else ++place_.column;
    }
  }
  void add(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), false, place_});
  }

  void step() {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\r') return advance(1);
    if (c == '#') {
      const size_t end = text_.find('\n', at_);
      return advance((end == std::string_view::npos ? text_.size() : end) - at_);
    }
    if (c == '\n' || c == ';') {
      if (depth_ == 0) add(Token::Kind::newline, "\n");
      return advance(1);
    }
    if (starts_name(c)) return word();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (c == '"') return string();
    if (c == '`') return quoted_name();
    symbol();
  }

  void word() {
    size_t length = 1;
    while (continues_name(peek(length))) ++length;
    add(Token::Kind::name, std::string(text_.substr(at_, length)));
    advance(length);
  }

  // Digits, then a fraction and an exponent where they follow; `0..12` is a range, not a number.
  void number() {
    size_t length = 0;
    const auto digits = [&] {
      while (is_digit(peek(length))) ++length;
    };
    digits();
    if (peek(length) == '.' && peek(length + 1) != '.') {
      ++length;
      digits();
    }
    if (peek(length) == 'e' || peek(length) == 'E') {
      const size_t sign = peek(length + 1) == '-' || peek(length + 1) == '+' ? 1 : 0;
      if (is_digit(peek(length + 1 + sign))) {
        length += 1 + sign;
        digits();
      }
    }
    if (starts_name(peek(length)))
      fail_at(file_, place_, "malformed number", "write * between a number and a name");
    add(Token::Kind::number, std::string(text_.substr(at_, length)));
    advance(length);
  }

  void string() {
    const Place start = place_;
    std::string value;
    size_t length = 1;
    for (;; ++length) {
      const char c = peek(length);
      if (at_ + length >= text_.size() || c == '\n')
        fail_at(file_, start, "a string without its closing quote");
      if (c == '"') break;
      if (c != '\\') {
        value += c;
        continue;
      }
      switch (peek(++length)) {
        case 'n': value += '\n'; break;
        case 't': value += '\t'; break;
        case '"': value += '"'; break;
        case '\\': value += '\\'; break;
        case 'x': {
          int byte = 0;
          for (int k = 0; k < 2; ++k) {
            const int digit = hex_digit(peek(++length));
            if (digit < 0) fail_at(file_, start, "malformed \\x escape in a string");
            byte = byte * 16 + digit;
          }
          value += static_cast<char>(byte);
          break;
        }
        default:
          fail_at(file_, start, "unknown escape in a string",
                  "escapes are \\n \\t \\\" \\\\ \\xHH");
      }
    }
    add(Token::Kind::string, std::move(value));
    advance(length + 1);
  }

  void quoted_name() {
    const size_t end = text_.find_first_of("`\n", at_ + 1);
    if (end == std::string_view::npos || text_[end] != '`' || end == at_ + 1)
      fail_at(file_, place_, "a name without its closing backtick");
    std::string value;
    for (size_t k = at_ + 1; k < end; ++k) {
      if (text_.substr(k, 2) != "\\x") {
        value += text_[k];
        continue;
      }
      const int high = k + 3 < end ? hex_digit(text_[k + 2]) : -1;
      const int low = k + 3 < end ? hex_digit(text_[k + 3]) : -1;
      if (high < 0 || low < 0) fail_at(file_, place_, "malformed \\x escape in a name");
      value += static_cast<char>(high * 16 + low);
      k += 3;
    }
    add(Token::Kind::name, std::move(value));
    tokens_.back().quoted = true;
    advance(end - at_ + 1);
  }

  void symbol() {
    for (std::string_view s : long_symbols)
      if (text_.substr(at_).starts_with(s)) {
        add(Token::Kind::symbol, std::string(s));
        return advance(s.size());
      }
    const char c = peek();
    if (short_symbols.find(c) == std::string_view::npos)
      fail_at(file_, place_, fmt::format("unexpected character '{}'", spell_byte(c)));
    if (c == '(' || c == '[') ++depth_;
    if ((c == ')' || c == ']') && depth_ > 0) --depth_;
    // A region's statements inside a call end at newlines again.
    if (c == '{') depths_.push_back(std::exchange(depth_, 0));
    if (c == '}' && !depths_.empty()) {
      depth_ = depths_.back();
      depths_.pop_back();
    }
    add(Token::Kind::symbol, std::string(1, c));
    advance(1);
  }

  static std::string spell_byte(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 32 && byte < 127 ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  Place place_;
  int depth_ = 0;
  std::vector<int> depths_;
  std::vector<Token> tokens_;
};

}  // namespace

void fail_at(const std::string& file, Place place, const std::string& message,
             const std::string& hint, ErrorKind kind) {
  throw UserError(kind, fmt::format("{}:{}:{}: {}{}", file, place.line, place.column, message,
                                    hint.empty() ? "" : fmt::format(" (hint: {})", hint)));
}

std::vector<Token> tokenize(std::string_view text, const std::string& file) {
  return Lexer(text, file).run();
}

bool is_plain_name(std::string_view text) {
  return !text.empty() && starts_name(text[0]) &&
         std::all_of(text.begin(), text.end(), continues_name) &&
         std::find(keywords.begin(), keywords.end(), text) == keywords.end() &&
         !dtype_from_string(text);
}

std::string spell_name(const std::string& name) {
  if (is_plain_name(name)) return name;
  std::string text = "`";
  for (char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 32 || c == '`' || c == '\\') text += fmt::format("\\x{:02x}", byte);
    else text += c;
  }
  return text + "`";
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  std::string result;
  for (const std::string& candidate : known) {
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t k = 0; k < row.size(); ++k) row[k] = k;
    for (size_t i = 1; i <= name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t k = 1; k < row.size(); ++k) {
        const size_t change = diagonal + (name[i - 1] != candidate[k - 1]);
        diagonal = row[k];
        row[k] = std::min({change, row[k] + 1, row[k - 1] + 1});
      }
    }
    if (row.back() < best) best = row.back(), result = candidate;
  }
  return result;
}

std::string spell_string(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n') result += "\\n";
    else if (static_cast<unsigned char>(c) < 32)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else result += c;
  }
  return result + "\"";
}

}  // namespace tessera::lang
