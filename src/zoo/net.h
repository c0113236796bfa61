// SPDX-License-Identifier: Apache-2.0
// What the built-in models are written with: layers that draw seeded weights, scaled so that
// activations keep unit variance. For that the mean and variance that activations are expected to
// have are carried along, under the assumption that they are Gaussian (He et al. 2015).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "ops/builder.h"

namespace tessera::zoo {

using ops::Val;

/// Expected mean and variance of a value's elements.
struct Moments {
  double mean = 0, variance = 1;
  double power() const { return mean * mean + variance; }
};

struct ConvShape {
  std::vector<int64_t> kernel;  ///< height and width
  std::vector<int64_t> strides{1, 1};
  std::vector<int64_t> pads{0, 0, 0, 0};
  int64_t groups = 1;
  bool bias = true;
};
/// A square kernel with the same padding on all sides.
ConvShape square(int64_t kernel, int64_t stride = 1, int64_t pad = 0);

/// A model under construction. Weights are named after the layer: "<name>.weight".
class Net {
 public:
  Net(std::string name, uint64_t seed) : b_(std::move(name)), rng_(seed) {}

  ops::Builder& builder() { return b_; }
  Val input(std::string name, DType type, std::vector<int64_t> shape);
  void output(std::string name, Val x) { b_.output(std::move(name), x); }
  ir::Graph finish() &&;

  /// Uniform weights of the given standard deviation and mean. Centred: each row along the first
  /// axis has the mean exactly.
  Val weight(const std::string& name, Shape shape, double deviation, double mean = 0,
             bool centred = false);
  Val number(double value) { return b_.scalar(value, DType::f32); }

  // Layers. Outputs have unit variance unless said otherwise.
  Val conv(const std::string& name, Val x, int64_t channels, const ConvShape& shape);
  /// BatchNormalization with statistics that fit x, as after training; outputs deviate by `gain`.
  Val batch_norm(const std::string& name, Val x, double gain = 1);
  Val layer_norm(const std::string& name, Val x, double epsilon);
  /// Group normalization as exported: InstanceNormalization between reshapes, then scale and bias.
  Val group_norm(const std::string& name, Val x, int64_t groups, double epsilon);
  /// MatMul with a weight [in, out], then Add when there is a bias.
  Val linear(const std::string& name, Val x, int64_t width, bool bias = true);
  /// Gemm with a weight [out, in] (`transposed`) or [in, out].
  Val gemm(const std::string& name, Val x, int64_t width, bool transposed = true);
  Val embedding(const std::string& name, Val ids, int64_t rows, int64_t width, double deviation);

  Val relu(Val x);
  Val add(Val a, Val b);
  Val concat(std::vector<Val> parts, int64_t axis);
  Val max_pool(Val x, const ConvShape& window, bool ceil = false);
  Val average_pool(Val x, const ConvShape& window, bool count_pads);
  Val mean_over_image(Val x);  ///< keeps the axes
  Val flatten(Val x);
  Val gelu_erf(Val x);   ///< 0.5·x·(1 + erf(x/√2)) as Div, Erf, Add, Mul, Mul
  Val gelu_tanh(Val x);  ///< the tanh form as Mul, Pow, Mul, Add, Mul, Tanh, Add, Mul
  Val silu(Val x);       ///< Sigmoid, Mul

  Val reshape(Val x, std::vector<int64_t> shape);
  Val transpose(Val x, std::vector<int64_t> perm);

  const Moments& moments(Val x) { return moments_[x.value]; }
  Val expect(Val x, Moments m);  ///< records what x is expected to hold

 private:
  ops::Builder b_;
  Rng rng_;
  std::map<ir::Value, Moments> moments_;
};

}  // namespace tessera::zoo
