// SPDX-License-Identifier: Apache-2.0
// The table of all operator records, sorted by name, and what is derived from a record for one
// node: its meaning, its decomposition, its output types.
#pragma once

#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "ops/op_def.h"

namespace tessera::ops {

/// Immutable after construction; the one global of the project.
class Registry {
 public:
  explicit Registry(std::vector<OpDef> records);
  /// Throws UserError(unsupported) for an unknown name.
  const OpDef& get(std::string_view name) const;
  const OpDef* find(std::string_view name) const;
  const std::vector<OpDef>& all() const { return records_; }

  struct FormRef {
    const OpDef* def = nullptr;
    const OnnxForm* form = nullptr;
  };
  /// The form with the largest `since` that is at most `opset`; empty if there is none.
  FormRef find_onnx(std::string_view domain, std::string_view op_type, int opset) const;

 private:
  std::vector<OpDef> records_;
  std::map<std::string, size_t, std::less<>> by_name_;
  std::multimap<std::string, FormRef, std::less<>> by_onnx_;
};

const Registry& registry();

/// Input types by position; null where an optional input is absent.
using InputTypes = std::vector<const ir::ValueType*>;
InputTypes input_types(const ir::Graph& graph, const ir::Node& node);

/// The meaning of one instance. REQUIRES: def.meaning. Throws UserError when the operator does not
/// accept the inputs or attributes.
ir::Meaning instantiate(const OpDef& def, const InputTypes& inputs, const ir::AttrMap& attrs);
ir::Meaning instantiate(const ir::Graph& graph, const ir::Node& node);

/// The decomposition of one instance as a graph whose inputs are the present inputs in order.
/// REQUIRES: def.decompose. Adds to `work`, if given, as infer does.
ir::Graph decompose(const OpDef& def, const InputTypes& inputs, const ir::AttrMap& attrs,
                    std::span<const std::shared_ptr<const ir::Graph>> regions = {},
                    int64_t* work = nullptr);
ir::Graph decompose(const ir::Graph& graph, const ir::Node& node);

/// Output types of one instance. `values` (may be empty) are known input values, for operators
/// whose shape depends on data. `work`, if given, grows by the expression nodes that this made: the
/// time that inference takes is in proportion.
std::vector<ir::ValueType> infer(const OpDef& def, const InputTypes& inputs,
                                 const ir::AttrMap& attrs,
                                 std::span<const std::shared_ptr<const ir::Graph>> regions = {},
                                 std::span<const Tensor* const> values = {},
                                 int64_t* work = nullptr);

/// Throws UserError if the node states an attribute that the record lacks, or one of another kind,
/// or a wrong number of inputs.
void check_signature(const OpDef& def, size_t input_count, const ir::AttrMap& attrs);

}  // namespace tessera::ops
