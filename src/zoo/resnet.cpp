// SPDX-License-Identifier: Apache-2.0
// ResNet-50 (He et al. 2015) and ResNeXt-50 32x4d (Xie et al. 2016) as in torchvision, exported
// with their BatchNormalization nodes.
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

// Trained networks let each block add little to what passes by; with as much as passes by, rounding
// errors would grow from block to block.
constexpr double branch_gain = 0.5;

Val conv_norm(Net& net, const std::string& conv, const std::string& norm, Val x, int64_t channels,
              ConvShape shape, double gain = 1) {
  shape.bias = false;
  return net.batch_norm(norm, net.conv(conv, x, channels, shape), gain);
}

struct Blocks {
  int64_t groups = 1, width_per_group = 64;
};

// 1×1 down, 3×3 (strided, grouped), 1×1 up, beside the identity or a strided 1×1 projection.
Val bottleneck(Net& net, const std::string& name, Val x, int64_t planes, int64_t stride,
               bool project, const Blocks& blocks) {
  const int64_t width = planes * blocks.width_per_group / 64 * blocks.groups;
  ConvShape middle = square(3, stride, 1);
  middle.groups = blocks.groups;
  Val y = net.relu(conv_norm(net, name + ".conv1", name + ".bn1", x, width, square(1)));
  y = net.relu(conv_norm(net, name + ".conv2", name + ".bn2", y, width, middle));
  y = conv_norm(net, name + ".conv3", name + ".bn3", y, 4 * planes, square(1), branch_gain);
  const Val shortcut = project ? conv_norm(net, name + ".downsample.0", name + ".downsample.1", x,
                                           4 * planes, square(1, stride))
                               : x;
  return net.relu(net.add(y, shortcut));
}

ir::Graph resnet(const std::string& name, const Settings& s, const Blocks& blocks) {
  constexpr int depths[] = {3, 4, 6, 3};
  Net net(name, s.seed);
  Val x = net.input("x", DType::f32, {s.batch, 3, s.image, s.image});
  x = net.relu(conv_norm(net, "conv1", "bn1", x, 64, square(7, 2, 3)));
  x = net.max_pool(x, square(3, 2, 1));
  for (int stage = 0; stage < 4; ++stage)
    for (int k = 0; k < depths[stage]; ++k)
      x = bottleneck(net, fmt::format("layer{}.{}", stage + 1, k), x, int64_t{64} << stage,
                     k == 0 && stage > 0 ? 2 : 1, k == 0, blocks);
  net.output("y", net.gemm("fc", net.flatten(net.mean_over_image(x)), 1000));
  return std::move(net).finish();
}

}  // namespace

ir::Graph resnet50(const Settings& s) { return resnet("resnet50", s, {}); }
ir::Graph resnext50(const Settings& s) { return resnet("resnext50", s, {32, 4}); }

}  // namespace tessera::zoo
