// SPDX-License-Identifier: Apache-2.0
// Channels moved to blocks of pixels.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_depth_to_space(Decomposition& d) {
  const Val x = d.in(0);
  const int64_t block = d.integer("blocksize");
  const std::string& mode = d.string("mode");
  d.check(x.rank() == 4, "x must have rank 4, found {}", x.rank());
  d.check(block >= 1 && block <= 1 << 15, "blocksize = {}", block);
  d.check(mode == "DCR" || mode == "CRD", "mode = '{}'", mode);
  const ir::Dims s = x.shape();
  const sym::Expr depth = sym::floor_div(s[1], block * block);
  const bool depth_last = mode == "DCR";
  const Val blocks = depth_last ? reshape(x, {s[0], block, block, depth, s[2], s[3]})
                                : reshape(x, {s[0], depth, block, block, s[2], s[3]});
  const Val moved =
      depth_last ? transpose(blocks, {0, 3, 4, 1, 5, 2}) : transpose(blocks, {0, 1, 4, 2, 5, 3});
  return {reshape(moved, {s[0], depth, s[2] * sym::Expr(block), s[3] * sym::Expr(block)})};
}

}  // namespace

OpDef depth_to_space() {
  return {
      .name = "depth_to_space",
      .doc =
          "Channels of x: [N, C, H, W] rearranged into `blocksize`² blocks of pixels; in mode "
          "DCR the block's position is the slower part of the channel, in CRD the faster.",
      .inputs = {{"x"}},
      .attrs = {{.name = "blocksize"},
                {.name = "mode",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("DCR")}},
      .decompose = decompose_depth_to_space,
      .onnx = {{.op = "DepthToSpace"}},
      .samples = {sample({1, 8, 2, 3}, DType::f32, {{"blocksize", int64_t{2}}}),
                  sample({2, 4, 1, 2}, DType::f32,
                         {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}})},
  };
}

}  // namespace tessera::ops::records
