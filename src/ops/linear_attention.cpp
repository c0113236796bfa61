// SPDX-License-Identifier: Apache-2.0
// Attention by a recurrent state: linear, gated, and delta rules.
#include <cmath>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// [batch, steps, heads · size] as [steps, batch, heads, …] for the scan.
Val linear_attention_steps(Val x, ir::Dims heads) {
  ir::Dims shape{x.dim(0), x.dim(1)};
  shape.insert(shape.end(), heads.begin(), heads.end());
  const Val split = cast(reshape(x, shape), DType::f32);
  std::vector<int64_t> perm{1, 0};
  for (size_t axis = 2; axis < shape.size(); ++axis) perm.push_back(static_cast<int64_t>(axis));
  return transpose(split, perm);
}

struct LinearAttentionInputs {
  Val state, q, k, v, decay, beta;
};

// S ← exp(g)·S; v ← β·(v − Sᵀk); S ← S + k vᵀ; o = Sᵀq. States are [batch, heads, keys, values].
std::shared_ptr<const ir::Graph> linear_attention_body(const LinearAttentionInputs& in) {
  Builder body("step");
  const auto step = [&](Val outer, const char* name) {
    ir::ValueType type = outer.type();
    type.shape.erase(type.shape.begin());
    return body.input(name, type);
  };
  Val state = body.input("state", in.state.type());
  const Val q = step(in.q, "q"), k = step(in.k, "k");
  Val v = step(in.v, "v");
  if (in.decay.present()) state = state * unsqueeze(exp(step(in.decay, "decay")), {3});
  if (in.beta.present()) {
    const Val recalled = matmul(unsqueeze(k, {2}), state);
    v = step(in.beta, "beta") * (v - squeeze(recalled, {2}));
  }
  state = state + unsqueeze(k, {3}) * unsqueeze(v, {2});
  body.output("state", state);
  body.output("y", matmul(q, state));  // q is [batch, heads, group, keys]
  return std::make_shared<const ir::Graph>(std::move(body).finish());
}

std::vector<Val> decompose_linear_attention(Decomposition& d) {
  const Val query = d.in(0), value = d.in(2);
  const std::string& rule = d.string("update_rule");
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool delta = rule == "delta" || rule == "gated_delta";
  d.check(gated || delta || rule == "linear", "unknown update rule '{}'", rule);
  d.check(gated == d.has(4) && delta == d.has(5), "rule '{}' does not fit the given inputs", rule);
  const int64_t heads = d.integer("kv_num_heads"), all = d.integer("q_num_heads");
  d.check(heads > 0 && all > 0 && all % heads == 0, "{} query heads for {} heads", all, heads);
  const sym::Expr keys = sym::floor_div(query.dim(2), all);
  const sym::Expr values = sym::floor_div(value.dim(2), heads);
  LinearAttentionInputs in;
  in.q = linear_attention_steps(query, {heads, all / heads, keys});
  in.k = linear_attention_steps(d.in(1), {heads, keys});
  in.v = linear_attention_steps(value, {heads, values});
  const auto parameter = [&](int k) {  // one number for each head, or for each key dimension
    const Val p = d.in(k);
    const bool wide = !(p.dim(2) == sym::Expr(heads)) && !(p.dim(2) == sym::Expr(1));
    return wide ? linear_attention_steps(p, {heads, keys})
                : linear_attention_steps(p, {p.dim(2), 1});
  };
  if (gated) in.decay = parameter(4);
  if (delta) in.beta = parameter(5);
  const ir::Dims shape{query.dim(0), heads, keys, values};
  in.state = d.has(3) ? cast(d.in(3), DType::f32) : expand(d.scalar(0, DType::f32), shape);
  std::vector<Val> arguments{in.state, in.q, in.k, in.v};
  if (gated) arguments.push_back(in.decay);
  if (delta) arguments.push_back(in.beta);
  const auto results = d.builder().op_n("scan", arguments,
                                        {{"states", int64_t{1}},
                                         {"scans", static_cast<int64_t>(arguments.size()) - 1},
                                         {"length", ir::Dims{query.dim(1)}}},
                                        {linear_attention_body(in)});
  double scale = d.real("scale");
  if (scale == 0) {
    d.check(keys.constant().has_value(), "the key size must be known, or scale given");
    scale = 1 / std::sqrt(static_cast<double>(*keys.constant()));
  }
  const Val y = transpose(results[1], {1, 0, 2, 3, 4}) * scale;  // [batch, steps, heads, group, v]
  return {cast(reshape(y, {query.dim(0), query.dim(1), values * all}), query.dtype()),
          cast(results[0], d.has(3) ? d.in(3).dtype() : query.dtype())};
}

}  // namespace

OpDef linear_attention() {
  const ir::ValueType x{DType::f32, {2, 3, 8}}, gate{DType::f32, {2, 3, 2}};
  const int64_t two = 2;
  return {
      .name = "linear_attention",
      .doc =
          "Attention by a recurrent matrix state with rule linear, gated, delta or gated_delta "
          "(Yang et al., 2024); also the last state.",
      .inputs =
          {{"query"}, {"key"}, {"value"}, {"past_state", true}, {"decay", true}, {"beta", true}},
      .attrs = {{.name = "q_num_heads"},
                {.name = "kv_num_heads"},
                {.name = "scale", .kind = ir::AttrKind::real, .default_value = 0.0},
                {.name = "update_rule",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("gated_delta")}},
      .decompose = decompose_linear_attention,
      .onnx = {{.op = "LinearAttention", .since = 27, .ignored = {"chunk_size"}}},
      .samples =
          {{{x, x, x, {DType::f32, {2, 2, 4, 4}}, gate, gate},
            {{"q_num_heads", two}, {"kv_num_heads", two}}},
           {{x, x, x},
            {{"q_num_heads", two}, {"kv_num_heads", two}, {"update_rule", std::string("linear")}}}},
  };
}

}  // namespace tessera::ops::records
