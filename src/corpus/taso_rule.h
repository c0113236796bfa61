// SPDX-License-Identifier: Apache-2.0
// Substitution rules in TASO's textual form (Jia et al., SOSP 2019), read as plain data:
//
//   (matmul [acti=none] ?x1 (concat [axis=1 ndim=2] ?x4 ?x5))  ==>  …
//
// `?x` is a tensor, `[…]` holds attributes, `(…).k` is output k, and outputs are separated by " ,
// ".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::corpus {

struct TasoTerm {
  std::string op;        ///< empty for a variable
  std::string variable;  ///< without "?"
  std::map<std::string, std::string> attrs;
  std::vector<TasoTerm> args;
  int output = 0;

  /// An attribute as a number. Throws UserError if it is absent or no number.
  int64_t integer(const std::string& attr) const;
  bool is_variable() const { return op.empty(); }
};

struct TasoRule {
  std::string name;  ///< FILE:LINE
  std::string text;
  std::vector<TasoTerm> left, right;
};

/// Throws UserError naming the rule and the column.
TasoRule parse_taso_rule(std::string_view line, std::string name);
/// One rule a line; blank lines and lines that start with "#" are passed over.
std::vector<TasoRule> read_taso_rules(const std::string& path);

}  // namespace tessera::corpus
