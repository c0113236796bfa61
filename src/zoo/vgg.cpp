// SPDX-License-Identifier: Apache-2.0
// VGG-19 (Simonyan and Zisserman 2014) as in torchvision.
#include "base/check.h"
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {

ir::Graph vgg19(const Settings& s) {
  constexpr int depths[] = {2, 2, 4, 4, 4};
  TESSERA_USER_CHECK(s.image % 32 == 0, "vgg19 --image must be a multiple of 32, found {}",
                     s.image);
  Net net("vgg19", s.seed);
  Val x = net.input("x", DType::f32, {s.batch, 3, s.image, s.image});
  int index = 0;
  for (int stage = 0; stage < 5; ++stage) {
    const int64_t channels = std::min<int64_t>(64 << stage, 512);
    for (int k = 0; k < depths[stage]; ++k, index += 2)
      x = net.relu(net.conv(fmt::format("features.{}", index), x, channels, square(3, 1, 1)));
    x = net.max_pool(x, square(2, 2));
    ++index;
  }
  // The adaptive pool to 7×7 does nothing at 224; other sizes feed the classifier as they are.
  x = net.flatten(x);
  x = net.relu(net.gemm("classifier.0", x, 4096));
  x = net.relu(net.gemm("classifier.3", x, 4096));
  net.output("y", net.gemm("classifier.6", x, 1000));
  return std::move(net).finish();
}

}  // namespace tessera::zoo
