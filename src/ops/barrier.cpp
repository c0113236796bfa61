// SPDX-License-Identifier: Apache-2.0
// An operator of a model that no record covers: it is carried along and never interpreted.
#include "ops/op_def.h"

namespace tessera::ops::records {

/// `node` is the ONNX node as the importer serialized it, `outputs` says which of its outputs are
/// named (1) or left out (0); the node's results are the named ones. Inputs beyond `arguments` are
/// the outer values that its subgraphs mention as `captures`.
OpDef barrier() {
  return {
      .name = "barrier",
      .doc = "An uninterpreted ONNX node, kept as it is.",
      .inputs = {{.name = "args", .optional = true, .variadic = true}},
      .attrs = {{.name = "operator", .kind = ir::AttrKind::string},
                {.name = "node", .kind = ir::AttrKind::string},
                {.name = "arguments", .kind = ir::AttrKind::integer},
                {.name = "outputs", .kind = ir::AttrKind::integers},
                {.name = "captures",
                 .kind = ir::AttrKind::strings,
                 .default_value = std::vector<std::string>{}}},
      .opaque = Opaque{.infer = [](const Opaque::Context&) -> std::vector<ir::ValueType> {
                         fail_user(ErrorKind::unsupported,
                                   "the types of a barrier are not inferred");
                       },
                       .evaluate = [](const Opaque::Context& c) -> std::vector<Tensor> {
                         fail_user(ErrorKind::unsupported, "operator {} cannot be interpreted",
                                   c.attrs.string("operator"));
                       }},
      .structural = true,
      .impure = true,
  };
}

}  // namespace tessera::ops::records
