// SPDX-License-Identifier: Apache-2.0
// What graphs are enumerated over: input tensors, and operator records with the parameters that
// are tried. A row of a table each; what an operator computes is only in its record.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/op_def.h"

namespace tessera::synth {

/// `count` interchangeable input tensors of one shape; or a constant, when `fill` (all elements)
/// or `identity` (ones where the first two axes agree at the middle of the others) says so.
struct InputClass {
  std::string name;
  Shape shape;
  int count = 1;
  std::optional<double> fill = {};
  bool identity = false;
  bool is_constant() const { return fill.has_value() || identity; }
};

/// A record of one or two operands with one choice of parameters. Choices that depend on the
/// operands' shapes are named, and resolved by `attributes`.
struct Template {
  enum class Fit : uint8_t { any, equal_shapes, second_scalar };
  const ops::OpDef* def = nullptr;
  int arity = 1;
  ir::AttrMap attrs = {};
  Fit fit = Fit::any;
  /// Pads that keep the spatial extents at stride 1, from the weights or kernel_shape.
  bool same_pads = false;
  /// Axis that is split in two: into halves, or `first` and the rest.
  std::optional<int> split_axis = {};
  int64_t first = 0;

  bool is_commutative() const;
  /// The attributes for operands of these types; nothing if the choice does not apply.
  std::optional<ir::AttrMap> attributes(std::span<const ir::ValueType> types) const;
  std::string to_string() const;
};

struct Vocabulary {
  std::string name, doc;
  std::vector<InputClass> inputs;
  std::vector<Template> templates;
  int64_t max_elements = 64;  ///< of any tensor
  int max_rank = 4;
  int operators = 3;    ///< of a graph, unless options say otherwise
  bool corpus = false;  ///< its rules are checked in (rules/learned)
};

/// The rows of the table.
std::vector<Vocabulary> vocabulary_table();
/// All vocabularies, by name.
const std::vector<Vocabulary>& vocabularies();
/// Throws UserError listing the names.
const Vocabulary& vocabulary(std::string_view name);

}  // namespace tessera::synth
