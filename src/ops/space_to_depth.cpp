// SPDX-License-Identifier: Apache-2.0
// Blocks of pixels moved to channels.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_space_to_depth(Decomposition& d) {
  const Val x = d.in(0);
  const int64_t block = d.integer("blocksize");
  d.check(x.rank() == 4, "x must have rank 4, found {}", x.rank());
  d.check(block >= 1 && block <= 1 << 15, "blocksize = {}", block);
  const std::string& mode = d.string("mode");
  d.check(mode == "DCR" || mode == "CRD", "mode = '{}'", mode);
  const ir::Dims s = x.shape();
  const sym::Expr height = sym::floor_div(s[2], block), width = sym::floor_div(s[3], block);
  const Val blocks = reshape(x, {s[0], s[1], height, block, width, block});
  const std::vector<int64_t> depth_last{0, 3, 5, 1, 2, 4}, depth_first{0, 1, 3, 5, 2, 4};
  return {reshape(transpose(blocks, mode == "DCR" ? depth_last : depth_first),
                  {s[0], s[1] * sym::Expr(block * block), height, width})};
}

}  // namespace

OpDef space_to_depth() {
  return {
      .name = "space_to_depth",
      .doc =
          "`blocksize`² blocks of pixels of x: [N, C, H, W] rearranged into channels, the "
          "block's position slower than the channel.",
      .inputs = {{"x"}},
      .attrs = {{.name = "blocksize"},
                {.name = "mode",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("DCR")}},
      .decompose = decompose_space_to_depth,
      .onnx = {{.op = "SpaceToDepth"}},
      .samples = {sample({1, 2, 4, 6}, DType::f32, {{"blocksize", int64_t{2}}}),
                  sample({1, 2, 2, 4}, DType::f32,
                         {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}})},
  };
}

}  // namespace tessera::ops::records
