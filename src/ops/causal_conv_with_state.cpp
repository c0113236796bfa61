// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution over the past of a sequence, with the state that continues it.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// What stands before the sequence is the state, or zeros.
std::vector<Val> decompose_causal_conv_with_state(Decomposition& d) {
  const Val x = d.in(0), w = d.in(1);
  d.check(x.rank() == 3 && w.rank() == 3, "x and w must have rank 3");
  const std::string& activation = d.string("activation");
  d.check(activation == "none" || activation == "silu" || activation == "swish",
          "unknown activation '{}'", activation);
  const auto channels = w.dim(0).constant();
  d.check(channels.has_value(), "weights of symbolic size");
  const sym::Expr past = w.dim(2) - 1;
  const Val before =
      d.has(3) ? d.in(3) : expand(d.scalar(0, x.dtype()), {x.dim(0), x.dim(1), past});
  const Val padded = concat({before, x}, 2);
  std::vector<Val> operands{padded, w};
  if (d.has(2)) operands.push_back(d.in(2));
  Val y = d.op("conv", operands, {{"group", *channels}});
  if (activation != "none") {
    const Val wide = y.dtype() == DType::f64 ? y : cast(y, DType::f32);
    y = cast(wide * sigmoid(wide), x.dtype());
  }
  return {y, slice(padded, {2}, {x.dim(2)}, {x.dim(2) + past})};
}

}  // namespace

OpDef causal_conv_with_state() {
  return {
      .name = "causal_conv_with_state",
      .doc =
          "Depthwise causal convolution of x[N,C,L] with w[C,1,K], optionally with Swish; also "
          "the last K − 1 positions.",
      .inputs = {{"x"}, {"w"}, {"bias", true}, {"past_state", true}},
      .attrs = {{.name = "activation",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("none")}},
      .decompose = decompose_causal_conv_with_state,
      .onnx = {{.op = "CausalConvWithState", .since = 27}},
      .samples = {sample({{2, 3, 5}, {3, 1, 4}}), sample({{2, 3, 5}, {3, 1, 2}, {3}, {2, 3, 1}},
                                                         {{"activation", std::string("silu")}})},
  };
}

}  // namespace tessera::ops::records
