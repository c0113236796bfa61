// SPDX-License-Identifier: Apache-2.0
// The same bits as another type.
#include <cstring>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<ir::ValueType> infer_bit_cast(const Opaque::Context& c) {
  const DType to = c.attrs.dtype("to"), from = c.inputs[0]->dtype;
  TESSERA_USER_CHECK(size_of(to) == size_of(from), "bit_cast: {} and {} differ in size",
                     to_string(from), to_string(to));
  TESSERA_USER_CHECK(to != DType::boolean || from == DType::boolean,
                     "bit_cast: bits of {} are no bool", to_string(from));
  return {{to, c.inputs[0]->shape}};
}

std::vector<Tensor> evaluate_bit_cast(const Opaque::Context& c) {
  Tensor result(c.attrs.dtype("to"), c.values[0]->shape());
  if (result.bytes() != 0) std::memcpy(result.mutable_data(), c.values[0]->data(), result.bytes());
  return {result};
}

}  // namespace

/// Opaque because expressions have values, not bits.
OpDef bit_cast() {
  return {
      .name = "bit_cast",
      .doc = "The bits of x as another type of the same size.",
      .inputs = {{"x"}},
      .attrs = {{.name = "to", .kind = ir::AttrKind::dtype}},
      .opaque = Opaque{.infer = infer_bit_cast, .evaluate = evaluate_bit_cast},
      .onnx = {{.op = "BitCast", .since = 26}},
      .samples = {sample({3, 5}, DType::f32, {{"to", DType::i32}}),
                  sample({4}, DType::u16, {{"to", DType::f16}})},
  };
}

}  // namespace tessera::ops::records
