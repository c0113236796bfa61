// SPDX-License-Identifier: Apache-2.0
// Words of the text language with their places.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace tessera::lang {

/// Line and column from 1; columns count bytes.
struct Place {
  int line = 1;
  int column = 1;
  bool operator==(const Place&) const = default;
};

/// Throws UserError "file:line:column: message (hint: …)".
[[noreturn]] void fail_at(const std::string& file, Place place, const std::string& message,
                          const std::string& hint = {}, ErrorKind kind = ErrorKind::invalid_input);

struct Token {
  enum class Kind : uint8_t { name, number, string, symbol, newline, end };
  Kind kind = Kind::end;
  std::string text;     ///< a name without its backticks, a string without quotes and escapes
  bool quoted = false;  ///< a name in backticks: never a keyword
  Place place;
};

/// Splits a program. Comments run from # to the end of the line; newlines inside ( ) and [ ] are
/// dropped; a semicolon is a newline. Throws UserError at the first bad character.
std::vector<Token> tokenize(std::string_view text, const std::string& file);

/// True for a name that needs no backticks.
bool is_plain_name(std::string_view text);
/// The name as it stands in a program: plain, or in backticks.
std::string spell_name(const std::string& name);
/// The known name with the fewest edits, for hints; empty when none is near.
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);
/// A string literal with escapes.
std::string spell_string(const std::string& text);

}  // namespace tessera::lang
