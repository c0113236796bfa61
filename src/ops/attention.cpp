// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention with grouped heads, masks and a cache: the record.
#include "ops/attention_form.h"

#include <cmath>

#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> import_attention(OnnxImport& c) {
  ir::AttrMap attrs;
  for (const char* name : {"is_causal", "q_num_heads", "kv_num_heads", "qk_matmul_output_mode",
                           "left_window_size", "right_window_size"})
    if (c.has_attr(name)) attrs.emplace(name, c.attr_int(name, 0));
  for (const char* name : {"scale", "softcap"})
    if (c.has_attr(name)) attrs.emplace(name, c.attr_float(name, 0));
  if (const int64_t type = c.attr_int("softmax_precision", 0); type != 0)
    attrs.emplace("softmax_precision", c.dtype_of(type));
  std::vector<Val> inputs;
  for (int k = 0; k < c.input_count(); ++k) inputs.push_back(c.input(k));
  return c.builder().op_n("attention", inputs, attrs);
}

// A subgraph of one value, such as a change of scores, put in place.
Val attention_modified(OnnxImport& c, const char* name, Val x) {
  if (!c.has_attr(name)) return x;
  std::vector<Val> captures;
  const ir::ValueType type = x.type();
  const auto body = c.attr_graph(name, {&type, 1}, captures);
  std::vector<ir::Value> arguments{x.value};
  for (const Val& v : captures) arguments.push_back(v.value);
  const auto results = ir::inline_graph(c.builder().raw(), *body, arguments);
  if (results.size() != 1) c.fail(fmt::format("{} must have one output", name));
  return c.builder().wrap(results[0]);
}

// Attention whose scores and probabilities pass through subgraphs.
std::vector<Val> import_flex_attention(OnnxImport& c) {
  const Val q = c.input(0), k = c.input(1), v = c.input(2);
  if (q.rank() != 4 || k.rank() != 4 || v.rank() != 4) c.fail("inputs must have rank 4");
  const auto size = q.dim(3).constant();
  if (!size && !c.has_attr("scale")) c.unsupported("a symbolic head size without scale");
  const double scale =
      c.has_attr("scale") ? c.attr_float("scale", 1) : 1 / std::sqrt(static_cast<double>(*size));
  const double root = std::sqrt(scale);
  const DType type = q.dtype();
  const int64_t wanted = c.attr_int("softmax_precision", 0);
  const bool narrow = type == DType::f16 || type == DType::bf16;
  const DType work = wanted != 0 ? c.dtype_of(wanted) : narrow ? DType::f32 : type;
  const Val product = attention_product(q * root, transpose(k, {0, 1, 3, 2}) * root);
  const Val scores = attention_modified(c, "score_mod", cast(product, work));
  const Val weights = attention_modified(c, "prob_mod", c.op("softmax", {scores}));
  return {cast(attention_product(weights, cast(v, work)), type)};
}

void export_attention(OnnxExport& c) {
  ir::AttrMap attrs = c.node().attrs;
  if (auto at = attrs.find("softmax_precision"); at != attrs.end())
    at->second = c.onnx_type(std::get<DType>(at->second));
  if (c.has_input(6) && c.opset() < 24) c.unsupported("nonpad_kv_seqlen needs operator set 24");
  if ((attrs.contains("left_window_size") || attrs.contains("right_window_size")) && c.opset() < 25)
    c.unsupported("attention windows need operator set 25");
  c.result(c.emit("Attention", export_inputs(c), attrs, 4));
}

}  // namespace

OpDef attention() {
  const ir::ValueType q{DType::f32, {2, 4, 3, 8}}, k{DType::f32, {2, 2, 5, 8}},
      mask{DType::boolean, {3, 5}}, long_mask{DType::f32, {3, 7}}, past{DType::f32, {2, 2, 2, 8}},
      flat{DType::f32, {2, 3, 8}};
  const int64_t one = 1, two = 2;
  const auto number = [](const char* name, int64_t value) {
    return AttrDef{.name = name, .default_value = value};
  };
  return {
      .name = "attention",
      .doc =
          "softmax(q·kᵀ · scale + bias)·v over heads (Vaswani et al., 2017) with grouped key and "
          "value heads; also the extended keys and values and the scores.",
      .inputs = {{"q"},
                 {"k"},
                 {"v"},
                 {"attn_mask", true},
                 {"past_key", true},
                 {"past_value", true},
                 {"nonpad_kv_seqlen", true}},
      .attrs = {number("is_causal", 0),
                {.name = "q_num_heads", .optional = true},
                {.name = "kv_num_heads", .optional = true},
                {.name = "scale", .kind = ir::AttrKind::real, .optional = true},
                {.name = "softcap", .kind = ir::AttrKind::real, .default_value = 0.0},
                {.name = "softmax_precision", .kind = ir::AttrKind::dtype, .optional = true},
                number("qk_matmul_output_mode", 0),
                number("left_window_size", -1),
                number("right_window_size", -1)},
      .decompose = decompose_attention,
      .onnx = {{.op = "Attention",
                .since = 23,
                .import = import_attention,
                .export_ = export_attention},
               {.op = "FlexAttention",
                .domain = "ai.onnx.preview",
                .import = import_flex_attention}},
      .samples = {{{q, k, k, mask}},
                  {{q, k, k, long_mask, past, past}, {{"is_causal", one}}},
                  {{flat, flat, flat}, {{"q_num_heads", two}, {"kv_num_heads", two}}}},
  };
}

}  // namespace tessera::ops::records
