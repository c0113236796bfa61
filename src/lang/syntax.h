// SPDX-License-Identifier: Apache-2.0
// The syntax tree of a program, as written; nothing is looked up yet. Grammar: docs/language.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lang/lexer.h"

namespace tessera::lang {

struct Syntax;
struct Statement;
using SyntaxPtr = std::unique_ptr<Syntax>;

/// `value` or `name=value` in a call.
struct Argument {
  std::string name;  ///< empty: by position
  SyntaxPtr value;
  Place place;
};

/// One part of x[…]: an index, a range with optional bounds, or `...`.
struct Subscript {
  enum class Kind : uint8_t { index, range, rest };
  Kind kind = Kind::index;
  SyntaxPtr start, end, step;  ///< `start` is the index
};

/// A parameter of a function (type absent) or a region (no default).
struct Parameter {
  std::string name;
  SyntaxPtr type, fallback;
  Place place;
};

/// `{ h: f32[4], x: f32[4] -> … return … }` after a call.
struct RegionSyntax {
  std::vector<Parameter> parameters;
  std::vector<Statement> body;
};

/// An expression.
struct Syntax {
  enum class Kind : uint8_t {
    name,       ///< text; `quoted` when in backticks
    integer,    ///< integer
    real,       ///< real
    string,     ///< text
    absent,     ///< _
    list,       ///< operands
    unary,      ///< text, operands[0]
    binary,     ///< text, operands[0..1]
    call,       ///< text, arguments, region
    subscript,  ///< operands[0], subscripts
    member,     ///< operands[0] . text
  };
  Kind kind = Kind::name;
  Place place;
  std::string text;
  bool quoted = false;
  int64_t integer = 0;
  double real = 0;
  std::vector<SyntaxPtr> operands;
  std::vector<Argument> arguments;
  std::vector<Subscript> subscripts;
  std::unique_ptr<RegionSyntax> region;
};

/// A name on the left of `=`, with the type it states.
struct Target {
  std::string name;
  SyntaxPtr type;
  Place place;
};

struct Statement {
  enum class Kind : uint8_t {
    program,   ///< name
    property,  ///< name = key, text = value
    sizes,     ///< targets
    input,     ///< targets[0]
    param,     ///< targets[0], count (a list of so many) or null, value or null
    assign,    ///< targets = value
    output,    ///< targets, value or null (the variable of that name)
    loop,      ///< name in from..to (`value` .. `count`) { body }
    function,  ///< name, parameters, body
    result,    ///< return values
  };
  Kind kind = Kind::assign;
  Place place;
  std::string name, text;
  std::vector<Target> targets;
  SyntaxPtr value, count;
  std::vector<SyntaxPtr> values;
  std::vector<Parameter> parameters;
  std::vector<Statement> body;
};

/// Reads a whole program. Throws UserError with file, line and column.
std::vector<Statement> parse_syntax(std::string_view text, const std::string& file);

}  // namespace tessera::lang
