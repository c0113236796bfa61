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

// Axis `from` of x moved to `to`, and reversed if `flip`.
Val scan_moved(Val x, int from, int to, bool flip) {
  std::vector<int64_t> perm;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (axis != from) perm.push_back(axis);
  perm.insert(perm.begin() + to, from);
  if (from != to) x = transpose(x, perm);
  if (!flip) return x;
  const auto one = [](int64_t v) { return std::vector{v}; };
  return x.builder->op(
      "slice", {x},
      {{"axes", one(to)}, {"starts", one(-1)}, {"ends", one(INT64_MIN)}, {"steps", one(-1)}});
}

// The sequences, with the steps along axis 0, are the arguments after the states.
std::vector<Val> scan_with_body(OnnxImport& c, std::vector<Val> arguments, int states) {
  std::vector<ir::ValueType> types;
  sym::Expr length;
  for (const Val& v : arguments) {
    types.push_back(v.type());
    if (static_cast<int>(types.size()) <= states) continue;
    length = v.dim(0);
    types.back().shape.erase(types.back().shape.begin());
  }
  const int64_t scans = static_cast<int64_t>(types.size()) - states;
  const auto body = c.attr_graph("body", types, arguments);
  return c.builder().op_n(
      "scan", std::move(arguments),
      {{"states", int64_t{states}}, {"scans", scans}, {"length", ir::Dims{length}}}, {body});
}

// How many of the inputs are sequences: the last ones.
int scan_input_count(OnnxImport& c, int inputs) {
  const int64_t scans = c.attr_int("num_scan_inputs", 0);
  if (scans < 1 || scans > inputs) c.fail("num_scan_inputs does not fit the inputs");
  return static_cast<int>(scans);
}

// Sequences are turned so that their steps run forward along axis 0; results are turned back.
std::vector<Val> import_scan(OnnxImport& c) {
  const int states = c.input_count() - scan_input_count(c, c.input_count());
  const auto choice = [&](const char* name, int k) {
    const auto values = c.attr_ints(name, {});
    if (values.empty()) return int64_t{0};
    if (k >= static_cast<int>(values.size())) c.fail(fmt::format("{} is too short", name));
    return values[static_cast<size_t>(k)];
  };
  std::vector<Val> arguments;
  for (int k = 0; k < c.input_count(); ++k) {
    Val v = c.input(k);
    if (!v.present()) c.fail("an input is missing");
    if (k >= states) {
      const int axis =
          normalize_axis(choice("scan_input_axes", k - states), v.rank(), "Scan: axes");
      v = scan_moved(v, axis, 0, choice("scan_input_directions", k - states) != 0);
    }
    arguments.push_back(v);
  }
  std::vector<Val> results = scan_with_body(c, std::move(arguments), states);
  for (int k = states; k < static_cast<int>(results.size()); ++k) {
    Val& v = results[static_cast<size_t>(k)];
    const int axis = normalize_axis(choice("scan_output_axes", k - states), v.rank(), "Scan: axes");
    v = scan_moved(v, 0, axis, choice("scan_output_directions", k - states) != 0);
  }
  return results;
}

// Before operator set 9 inputs had a batch axis first, and the first input held the lengths.
std::vector<Val> import_scan_8(OnnxImport& c) {
  const int scans = scan_input_count(c, c.input_count() - 1);
  const int states = c.input_count() - 1 - scans;
  if (c.has_input(0)) c.unsupported("sequence_lens");
  for (int64_t d : c.attr_ints("directions", {}))
    if (d != 0) c.unsupported("reversed sequences before operator set 9");
  std::vector<Val> arguments;
  for (int k = 0; k < states + scans; ++k) {
    Val v = c.input(k + 1);
    if (!v.present() || v.rank() < (k < states ? 1 : 2)) c.fail("an input has too few axes");
    if (v.dim(0) != sym::Expr(1)) c.unsupported("a batch");
    arguments.push_back(squeeze(v, {0}));
  }
  std::vector<Val> results = scan_with_body(c, std::move(arguments), states);
  for (Val& v : results) v = unsqueeze(v, {0});
  return results;
}

}  // namespace

/// Inputs: `states` initial states, `scans` sequences (steps along axis 0), loop invariants.
/// Region: (states…, a step of each sequence…, invariants…) -> (new states…, results…). Outputs:
/// final states, results stacked along a new axis 0. With `reverse`, steps run backward.
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
      .onnx = {{.op = "Scan", .since = 8, .import = import_scan_8},
               {.op = "Scan", .since = 9, .import = import_scan}},
  };
}

}  // namespace tessera::ops::records
