// SPDX-License-Identifier: Apache-2.0
// Typed access to a node's attributes, with the defaults of its record.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/attribute.h"

namespace tessera::ops {

struct OpDef;

/// Reads attributes of one node. A missing attribute without default, or one of another kind,
/// throws UserError naming the operator and the attribute.
class AttrReader {
 public:
  AttrReader(const OpDef& def, const ir::AttrMap& attrs) : def_(&def), attrs_(&attrs) {}

  /// True if the node states the attribute or the record has a default for it.
  bool has_attr(std::string_view name) const { return find(name) != nullptr; }
  int64_t integer(std::string_view name) const;
  /// An integer that proofs may keep as a symbol: then the attribute is a list of one size.
  sym::Expr count(std::string_view name) const;
  bool flag(std::string_view name) const { return integer(name) != 0; }
  double real(std::string_view name) const;
  const std::string& string(std::string_view name) const;
  std::vector<int64_t> integers(std::string_view name) const;
  std::vector<double> reals(std::string_view name) const;
  std::vector<std::string> strings(std::string_view name) const;
  DType dtype(std::string_view name) const;
  /// Accepts ints as well as dims.
  ir::Dims dims(std::string_view name) const;
  const Tensor& tensor(std::string_view name) const;
  /// An axis in [-rank, rank), normalized to [0, rank).
  int axis(std::string_view name, int rank) const;
  /// A list of axes, normalized, sorted, without duplicates (which are an error).
  std::vector<int> axes(std::string_view name, int rank) const;

  const OpDef& def() const { return *def_; }
  const ir::AttrMap& attrs() const { return *attrs_; }

 private:
  const ir::AttrValue* find(std::string_view name) const;
  const ir::AttrValue& get(std::string_view name) const;
  [[noreturn]] void wrong_kind(std::string_view name, std::string_view expected) const;

  const OpDef* def_;
  const ir::AttrMap* attrs_;
};

/// Normalizes one axis; throws UserError naming `what` when it is outside [-rank, rank).
int normalize_axis(int64_t axis, int rank, std::string_view what);

}  // namespace tessera::ops
