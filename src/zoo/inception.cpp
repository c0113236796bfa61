// SPDX-License-Identifier: Apache-2.0
// Inception-v3 (Szegedy et al. 2015) as in torchvision in evaluation mode: BatchNormalization is
// folded into the convolutions, the auxiliary classifier is gone.
#include "zoo/models.h"
#include "zoo/net.h"

namespace tessera::zoo {
namespace {

struct Inception {
  Net net;

  Val unit(const std::string& name, Val x, int64_t channels, const ConvShape& shape) {
    return net.relu(net.conv(name + ".conv", x, channels, shape));
  }
  // A kernel of 1×n or n×1 that keeps the size.
  static ConvShape flat(int64_t height, int64_t width) {
    const int64_t h = height / 2, w = width / 2;
    return {.kernel = {height, width}, .pads = {h, w, h, w}};
  }
  Val pooled(const std::string& name, Val x, int64_t channels) {
    return unit(name + ".branch_pool", net.average_pool(x, square(3, 1, 1), true), channels,
                square(1));
  }

  Val a(const std::string& n, Val x, int64_t pool_channels) {
    const Val b1 = unit(n + ".branch1x1", x, 64, square(1));
    Val b5 = unit(n + ".branch5x5_1", x, 48, square(1));
    b5 = unit(n + ".branch5x5_2", b5, 64, square(5, 1, 2));
    Val b3 = unit(n + ".branch3x3dbl_1", x, 64, square(1));
    b3 = unit(n + ".branch3x3dbl_2", b3, 96, square(3, 1, 1));
    b3 = unit(n + ".branch3x3dbl_3", b3, 96, square(3, 1, 1));
    return net.concat({b1, b5, b3, pooled(n, x, pool_channels)}, 1);
  }
  Val b(const std::string& n, Val x) {
    const Val b3 = unit(n + ".branch3x3", x, 384, square(3, 2));
    Val bd = unit(n + ".branch3x3dbl_1", x, 64, square(1));
    bd = unit(n + ".branch3x3dbl_2", bd, 96, square(3, 1, 1));
    bd = unit(n + ".branch3x3dbl_3", bd, 96, square(3, 2));
    return net.concat({b3, bd, net.max_pool(x, square(3, 2))}, 1);
  }
  Val c(const std::string& n, Val x, int64_t width) {
    const Val b1 = unit(n + ".branch1x1", x, 192, square(1));
    Val b7 = unit(n + ".branch7x7_1", x, width, square(1));
    b7 = unit(n + ".branch7x7_2", b7, width, flat(1, 7));
    b7 = unit(n + ".branch7x7_3", b7, 192, flat(7, 1));
    Val bd = unit(n + ".branch7x7dbl_1", x, width, square(1));
    bd = unit(n + ".branch7x7dbl_2", bd, width, flat(7, 1));
    bd = unit(n + ".branch7x7dbl_3", bd, width, flat(1, 7));
    bd = unit(n + ".branch7x7dbl_4", bd, width, flat(7, 1));
    bd = unit(n + ".branch7x7dbl_5", bd, 192, flat(1, 7));
    return net.concat({b1, b7, bd, pooled(n, x, 192)}, 1);
  }
  Val d(const std::string& n, Val x) {
    Val b3 = unit(n + ".branch3x3_1", x, 192, square(1));
    b3 = unit(n + ".branch3x3_2", b3, 320, square(3, 2));
    Val b7 = unit(n + ".branch7x7x3_1", x, 192, square(1));
    b7 = unit(n + ".branch7x7x3_2", b7, 192, flat(1, 7));
    b7 = unit(n + ".branch7x7x3_3", b7, 192, flat(7, 1));
    b7 = unit(n + ".branch7x7x3_4", b7, 192, square(3, 2));
    return net.concat({b3, b7, net.max_pool(x, square(3, 2))}, 1);
  }
  // The exporter joins the two inner concatenations into the outer one.
  Val e(const std::string& n, Val x) {
    const Val b1 = unit(n + ".branch1x1", x, 320, square(1));
    const Val b3 = unit(n + ".branch3x3_1", x, 384, square(1));
    const Val b3a = unit(n + ".branch3x3_2a", b3, 384, flat(1, 3));
    const Val b3b = unit(n + ".branch3x3_2b", b3, 384, flat(3, 1));
    Val bd = unit(n + ".branch3x3dbl_1", x, 448, square(1));
    bd = unit(n + ".branch3x3dbl_2", bd, 384, square(3, 1, 1));
    const Val bda = unit(n + ".branch3x3dbl_3a", bd, 384, flat(1, 3));
    const Val bdb = unit(n + ".branch3x3dbl_3b", bd, 384, flat(3, 1));
    return net.concat({b1, b3a, b3b, bda, bdb, pooled(n, x, 192)}, 1);
  }
};

}  // namespace

ir::Graph inception_v3(const Settings& s) {
  Inception m{Net("inception_v3", s.seed)};
  Val x = m.net.input("x", DType::f32, {s.batch, 3, s.image, s.image});
  x = m.unit("Conv2d_1a_3x3", x, 32, square(3, 2));
  x = m.unit("Conv2d_2a_3x3", x, 32, square(3));
  x = m.unit("Conv2d_2b_3x3", x, 64, square(3, 1, 1));
  x = m.net.max_pool(x, square(3, 2));
  x = m.unit("Conv2d_3b_1x1", x, 80, square(1));
  x = m.unit("Conv2d_4a_3x3", x, 192, square(3));
  x = m.net.max_pool(x, square(3, 2));
  x = m.a("Mixed_5b", x, 32);
  x = m.a("Mixed_5c", x, 64);
  x = m.a("Mixed_5d", x, 64);
  x = m.b("Mixed_6a", x);
  x = m.c("Mixed_6b", x, 128);
  x = m.c("Mixed_6c", x, 160);
  x = m.c("Mixed_6d", x, 160);
  x = m.c("Mixed_6e", x, 192);
  x = m.d("Mixed_7a", x);
  x = m.e("Mixed_7b", x);
  x = m.e("Mixed_7c", x);
  m.net.output("y", m.net.gemm("fc", m.net.flatten(m.net.mean_over_image(x)), 1000));
  return std::move(m.net).finish();
}

}  // namespace tessera::zoo
