// SPDX-License-Identifier: Apache-2.0
// The one recurrence. LSTM, GRU, ONNX Scan and Loop with a known trip count are made of it.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<ir::ValueType> infer_scan(const Opaque::Context& c) {
  const auto states = static_cast<size_t>(c.attrs.integer("states"));
  const auto scans = static_cast<size_t>(c.attrs.integer("scans"));
  const sym::Expr length = c.attrs.dims("length").at(0);
  TESSERA_USER_CHECK(c.regions.size() == 1, "scan: expected one region, found {}",
                     c.regions.size());
  const ir::Graph& body = *c.regions[0];
  TESSERA_USER_CHECK(body.inputs().size() == c.inputs.size() && body.outputs().size() >= states &&
                         states + scans <= c.inputs.size(),
                     "scan: the region has {} inputs and {} outputs for {} inputs and {} states",
                     body.inputs().size(), body.outputs().size(), c.inputs.size(), states);
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    ir::ValueType expected = *c.inputs[k];
    if (k >= states && k < states + scans) {
      TESSERA_USER_CHECK(expected.rank() >= 1 && expected.shape[0] == length,
                         "scan: input {} has type {}, expected {} steps", k, expected.to_string(),
                         length.to_string());
      expected.shape.erase(expected.shape.begin());
    }
    const ir::ValueType& found = body.node(body.inputs()[k]).outputs[0];
    TESSERA_USER_CHECK(expected == found, "scan: region input {} has type {}, expected {}", k,
                       found.to_string(), expected.to_string());
  }
  std::vector<ir::ValueType> types;
  for (size_t k = 0; k < body.outputs().size(); ++k) {
    ir::ValueType type = body.type(body.outputs()[k].value);
    if (k < states)
      TESSERA_USER_CHECK(type == *c.inputs[k], "scan: state {} changes its type from {} to {}", k,
                         c.inputs[k]->to_string(), type.to_string());
    else type.shape.insert(type.shape.begin(), length);
    types.push_back(std::move(type));
  }
  return types;
}

}  // namespace

/// Inputs: `states` initial states, `scans` sequences (steps along axis 0), loop invariants.
/// Region: (states…, one step of each sequence…, invariants…) -> (new states…, results…).
/// Outputs: final states, and each result stacked along a new axis 0. With `reverse`, steps run
/// from the last to the first; sequences and stacked results keep their positions.
OpDef scan() {
  return {
      .name = "scan",
      .doc = "Runs its region once for each of `length` steps, carrying states.",
      .inputs = {{.name = "args", .optional = true, .variadic = true}},
      .attrs = {{.name = "states", .kind = ir::AttrKind::integer},
                {.name = "scans", .kind = ir::AttrKind::integer},
                {.name = "length", .kind = ir::AttrKind::dims},
                {.name = "reverse", .default_value = int64_t{0}}},
      .opaque = Opaque{.infer = infer_scan},
      .structural = true,
  };
}

}  // namespace tessera::ops::records
