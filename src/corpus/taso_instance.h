// SPDX-License-Identifier: Apache-2.0
// TASO's rules with sizes put in, as pairs of graphs over the operator records.
//
// Ranks and sizes come from the operators' own requirements on both sides; what they leave open is
// drawn at random. Convolutions take their number of groups from the channel counts, as TASO's do.
// Element-wise operands have equal shapes. A split divides where the last concatenation joined.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/rng.h"
#include "corpus/taso_rule.h"
#include "ir/graph.h"

namespace tessera::corpus {

struct TasoDraw {
  int64_t low = 1, high = 4;
  bool one_group = false;    ///< every convolution has one group
  bool equal_parts = false;  ///< operands of a concatenation have equal shapes
  bool symbolic = false;     ///< sizes are symbols; only ranks are drawn
  bool same_outputs = true;  ///< only sizes for which both sides' outputs have equal shapes
};

struct TasoInstance {
  std::map<std::string, ir::Dims> shapes;  ///< of the variables
  sym::Expr groups = 1;   ///< the most groups that a convolution has, of those that are known
  ir::Graph left, right;  ///< with the same inputs: the variables by name

  std::string to_string() const;  ///< "x1[2,3], x4[3,4], groups 1"
};

/// A random instance; nothing if the drawn ranks and sizes fit no instance. Throws UserError for an
/// operator or a form that is not known.
std::optional<TasoInstance> draw_taso_instance(const TasoRule& rule, Rng& rng,
                                               const TasoDraw& options = {});

/// Whether a constant of the rule (an identity, ones) has a shape that only its surroundings tell.
bool has_shapeless_constant(const TasoRule& rule);

}  // namespace tessera::corpus
