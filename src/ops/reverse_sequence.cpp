// SPDX-License-Identifier: Apache-2.0
// Sequences of different lengths, each reversed.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void reverse_sequence_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), lengths = b.in(1);
  const int batch = b.axis("batch_axis", x.rank()), time = b.axis("time_axis", x.rank());
  b.check(batch != time, "batch_axis and time_axis are both {}", batch);
  b.check(lengths.rank() == 1 && is_integer(lengths.type()),
          "lengths must be a vector of integers");
  b.require_equal(lengths.dim(0), x.dim(batch), "one length per sequence is needed");
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const Expr length = ir::cast(lengths(i[batch]), DType::i64), at = i[time];
    Indices source(i.begin(), i.end());
    source[time] = select(at < length, length - 1 - at, at);
    return x(source);
  });
}

}  // namespace

OpDef reverse_sequence() {
  const ir::ValueType lengths{DType::i64, {3}};
  return {
      .name = "reverse_sequence",
      .doc = "x with the first lengths[b] elements along `time_axis` reversed in every sequence b.",
      .inputs = {{"x"}, {"lengths"}},
      .attrs = {{.name = "batch_axis", .default_value = int64_t{1}},
                {.name = "time_axis", .default_value = int64_t{0}}},
      .meaning = reverse_sequence_meaning,
      .onnx = {{.op = "ReverseSequence", .since = 10}},
      .samples = {{{{DType::f32, {4, 3}}, lengths}},
                  {{{DType::f32, {3, 4, 2}}, lengths},
                   {{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}}}},
  };
}

}  // namespace tessera::ops::records
