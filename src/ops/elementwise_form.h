// SPDX-License-Identifier: Apache-2.0
// What elementwise records share: the element types that they accept, default samples, and the
// import of an ONNX operator as a single node.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ops/op_def.h"

namespace tessera::ops {

/// The element types that an operator accepts; others are a UserError.
enum class Domain : uint8_t {
  any,
  floats,
  numbers,         ///< floats and integers
  signed_numbers,  ///< floats and signed integers
  integers,
  booleans,
};

/// Throws UserError naming the operator unless `type` belongs to `domain`.
void check_domain(const MeaningBuilder& b, DType type, Domain domain);

using UnaryFn = std::function<Expr(Expr)>;
using BinaryFn = std::function<Expr(Expr, Expr)>;
/// As UnaryFn, with attributes.
using UnaryAttrFn = std::function<Expr(MeaningBuilder&, Expr)>;

/// The parts of an elementwise record that differ.
struct ElementwiseSpec {
  std::string name;
  std::string doc;
  std::string onnx_op = {};  ///< empty: no ONNX form
  int since = 1;
  Domain domain = Domain::floats;
  std::vector<Trait> traits = {};
  std::vector<AttrDef> attrs = {};
};

OpDef unary_record(ElementwiseSpec spec, UnaryFn f);
OpDef unary_record(ElementwiseSpec spec, UnaryAttrFn f);
/// Both inputs have one type; broadcasts.
OpDef binary_record(ElementwiseSpec spec, BinaryFn f);
/// One or more inputs of one type, combined from left to right; `finish` (may be null) receives the
/// total and the number of inputs.
OpDef variadic_record(ElementwiseSpec spec, BinaryFn f, std::function<Expr(Expr, int)> finish = {});

/// An attribute of kind real with a default.
AttrDef real_attr(std::string name, double default_value);
/// An attribute of kind integer with a default.
AttrDef int_attr(std::string name, int64_t default_value);

}  // namespace tessera::ops
