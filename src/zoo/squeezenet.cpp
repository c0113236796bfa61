// SPDX-License-Identifier: Apache-2.0
// SqueezeNet 1.1 (Iandola et al. 2016) as in torchvision.
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

Val fire(Net& net, const std::string& name, Val x, int64_t squeeze, int64_t expand) {
  x = net.relu(net.conv(name + ".squeeze", x, squeeze, square(1)));
  const Val a = net.relu(net.conv(name + ".expand1x1", x, expand, square(1)));
  const Val b = net.relu(net.conv(name + ".expand3x3", x, expand, square(3, 1, 1)));
  return net.concat({a, b}, 1);
}

}  // namespace

ir::Graph squeezenet1_1(const Settings& s) {
  Net net("squeezenet1_1", s.seed);
  Val x = net.input("x", DType::f32, {s.batch, 3, s.image, s.image});
  x = net.relu(net.conv("features.0", x, 64, square(3, 2)));
  x = net.max_pool(x, square(3, 2), true);
  x = fire(net, "features.3", x, 16, 64);
  x = fire(net, "features.4", x, 16, 64);
  x = net.max_pool(x, square(3, 2), true);
  x = fire(net, "features.6", x, 32, 128);
  x = fire(net, "features.7", x, 32, 128);
  x = net.max_pool(x, square(3, 2), true);
  x = fire(net, "features.9", x, 48, 192);
  x = fire(net, "features.10", x, 48, 192);
  x = fire(net, "features.11", x, 64, 256);
  x = fire(net, "features.12", x, 64, 256);
  x = net.relu(net.conv("classifier.1", x, 1000, square(1)));
  net.output("y", net.reshape(net.mean_over_image(x), {s.batch, 1000}));
  return std::move(net).finish();
}

}  // namespace tessera::zoo
