// SPDX-License-Identifier: Apache-2.0
// Layers of the built-in models and the scales of their weights.
#include "zoo/net.h"

#include <cmath>
#include <numbers>

namespace tessera::zoo {
namespace {

constexpr double bias_deviation = 0.1;
// A pooled average over k² neighbours that are partly alike keeps about this part of the variance.
constexpr double pooled_variance = 0.5;
// Filters with fewer weights than this are not centred: it would take too much of the filter.
constexpr int64_t fewest_centred = 16;

// Moments of max(x, 0) for x ~ N(mean, variance).
Moments rectified(const Moments& x) {
  const double s = std::sqrt(x.variance);
  if (s == 0) return {std::max(x.mean, 0.0), 0};
  const double z = x.mean / s;
  const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
  const double below = 0.5 * std::erfc(-z / std::numbers::sqrt2);
  const double mean = x.mean * below + s * density;
  const double power = x.power() * below + x.mean * s * density;
  return {mean, std::max(power - mean * mean, 0.0)};
}

int64_t size_at(Val x, int axis) { return *x.dim(axis).constant(); }

double fan_deviation(int64_t fan_in, double power) {
  return 1 / std::sqrt(static_cast<double>(fan_in) * power);
}

void centre_rows(Tensor& w, int64_t rows, double mean) {
  const int64_t n = w.size() / rows;
  auto* p = w.mutable_as<float>();
  for (int64_t r = 0; r < rows; ++r, p += n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += p[i];
    const auto excess = static_cast<float>(sum / static_cast<double>(n) - mean);
    for (int64_t i = 0; i < n; ++i) p[i] -= excess;
  }
}

}  // namespace

ConvShape square(int64_t kernel, int64_t stride, int64_t pad) {
  return {.kernel = {kernel, kernel}, .strides = {stride, stride}, .pads = {pad, pad, pad, pad}};
}

Val Net::input(std::string name, DType type, std::vector<int64_t> shape) {
  return b_.input(std::move(name), {type, ir::Dims(shape.begin(), shape.end())});
}

ir::Graph Net::finish() && {
  b_.raw().set_property("producer", "tessera zoo");
  return std::move(b_).finish();
}

Val Net::expect(Val x, Moments m) {
  moments_[x.value] = m;
  return x;
}

Val Net::weight(const std::string& name, Shape shape, double deviation, double mean, bool centred) {
  Tensor w(DType::f32, std::move(shape));
  auto* p = w.mutable_as<float>();
  // Uniform rather than normal: as good, and several times quicker for 10^8 weights.
  const double low = mean - std::sqrt(3.0) * deviation, width = 2 * std::sqrt(3.0) * deviation;
  for (int64_t i = 0; i < w.size(); ++i) p[i] = static_cast<float>(low + width * rng_.uniform());
  if (centred) centre_rows(w, w.shape()[0], mean);
  return b_.constant(std::move(w), name);
}

// What all channels have in common carries no information, but layer by layer it would drown what
// differs between inputs: hence filters of zero sum.
Val Net::conv(const std::string& name, Val x, int64_t channels, const ConvShape& s) {
  const int64_t per_group = size_at(x, 1) / s.groups;
  const int64_t fan_in = per_group * s.kernel[0] * s.kernel[1];
  const bool centred = fan_in >= fewest_centred;
  const Moments m = moments(x);
  const Val w = weight(name + ".weight", {channels, per_group, s.kernel[0], s.kernel[1]},
                       fan_deviation(fan_in, centred ? m.variance : m.power()), 0, centred);
  std::vector<Val> inputs{x, w};
  if (s.bias) inputs.push_back(weight(name + ".bias", {channels}, bias_deviation));
  ir::AttrMap attrs{{"strides", s.strides}, {"pads", s.pads}};
  if (s.groups != 1) attrs.emplace("group", s.groups);
  return expect(b_.op("conv", inputs, attrs, name), {0, 1});
}

Val Net::batch_norm(const std::string& name, Val x, double gain) {
  const int64_t channels = size_at(x, 1);
  const Moments m = moments(x);
  const Val scale = weight(name + ".weight", {channels}, 0.1 * gain, gain);
  const Val bias = weight(name + ".bias", {channels}, bias_deviation);
  const Val mean = weight(name + ".running_mean", {channels}, 0.1 * std::sqrt(m.variance), m.mean);
  const Val variance = weight(name + ".running_var", {channels}, 0.1 * m.variance, m.variance);
  return expect(b_.op("batch_normalization", {x, scale, bias, mean, variance}, {}, name),
                {0, gain * gain});
}

Val Net::layer_norm(const std::string& name, Val x, double epsilon) {
  const int64_t width = size_at(x, -1);
  const Val scale = weight(name + ".weight", {width}, 0.1, 1);
  const Val bias = weight(name + ".bias", {width}, bias_deviation);
  return expect(b_.op("layer_normalization", {x, scale, bias}, {{"epsilon", epsilon}}, name),
                {0, 1});
}

Val Net::group_norm(const std::string& name, Val x, int64_t groups, double epsilon) {
  const std::vector<int64_t> shape = *sym::constants(x.shape());
  const int64_t channels = shape[1];
  const std::vector<double> one(static_cast<size_t>(groups), 1.0);
  const Val ones = b_.constant(Tensor::from_floats(one, {groups}));
  const Val zeros = b_.constant(Tensor(DType::f32, {groups}));
  const Val flat = reshape(x, {shape[0], groups, channels / groups * shape[2] * shape[3]});
  const Val normal = b_.op("instance_normalization", {flat, ones, zeros}, {{"epsilon", epsilon}});
  const Val back = reshape(normal, shape);
  const Val scale = weight(name + ".weight", {channels, 1, 1}, 0.1, 1);
  const Val bias = weight(name + ".bias", {channels, 1, 1}, bias_deviation);
  return expect(back * scale + bias, {0, 1});
}

Val Net::linear(const std::string& name, Val x, int64_t width, bool bias) {
  const int64_t fan_in = size_at(x, -1);
  const double deviation = fan_deviation(fan_in, moments(x).power());
  Val y = matmul(x, weight(name + ".weight", {fan_in, width}, deviation));
  if (bias) y = y + weight(name + ".bias", {width}, bias_deviation);
  return expect(y, {0, 1});
}

Val Net::gemm(const std::string& name, Val x, int64_t width, bool transposed) {
  const int64_t fan_in = size_at(x, -1);
  const double deviation = fan_deviation(fan_in, moments(x).power());
  const Shape shape = transposed ? Shape{width, fan_in} : Shape{fan_in, width};
  const Val w = weight(name + ".weight", shape, deviation);
  const Val bias = weight(name + ".bias", {width}, bias_deviation);
  return expect(b_.op("gemm", {x, w, bias}, {{"transB", int64_t{transposed}}}, name), {0, 1});
}

Val Net::embedding(const std::string& name, Val ids, int64_t rows, int64_t width,
                   double deviation) {
  const Val table = weight(name + ".weight", {rows, width}, deviation);
  return expect(b_.op("gather", {table, ids}, {}, name), {0, deviation * deviation});
}

Val Net::relu(Val x) { return expect(b_.op("relu", {x}), rectified(moments(x))); }

Val Net::add(Val a, Val b) {
  const Moments x = moments(a), y = moments(b);
  return expect(a + b, {x.mean + y.mean, x.variance + y.variance});
}

Val Net::concat(std::vector<Val> parts, int64_t axis) {
  double total = 0, mean = 0, power = 0;
  for (const Val& part : parts) {
    const auto n = static_cast<double>(size_at(part, static_cast<int>(axis)));
    total += n;
    mean += n * moments(part).mean;
    power += n * moments(part).power();
  }
  mean /= total;
  return expect(ops::concat(std::move(parts), axis), {mean, power / total - mean * mean});
}

Val Net::max_pool(Val x, const ConvShape& w, bool ceil) {
  ir::AttrMap attrs{{"kernel_shape", w.kernel}, {"strides", w.strides}, {"pads", w.pads}};
  if (ceil) attrs.emplace("ceil_mode", int64_t{1});
  const Moments m = moments(x);
  // About the expected largest of a few Gaussian values.
  return expect(b_.op("max_pool", {x}, attrs), {m.mean + std::sqrt(m.variance), m.variance});
}

Val Net::average_pool(Val x, const ConvShape& w, bool count_pads) {
  const Moments m = moments(x);
  const double kept = w.kernel[0] == 1 ? 1 : pooled_variance;
  return expect(b_.op("average_pool", {x},
                      {{"kernel_shape", w.kernel},
                       {"strides", w.strides},
                       {"pads", w.pads},
                       {"count_include_pad", int64_t{count_pads}}}),
                {m.mean, kept * m.variance});
}

Val Net::mean_over_image(Val x) {
  const Moments m = moments(x);
  return expect(reduce("reduce_mean", x, {2, 3}), {m.mean, pooled_variance * m.variance});
}

Val Net::flatten(Val x) { return expect(b_.op("flatten", {x}), moments(x)); }

Val Net::gelu_erf(Val x) {
  const Val erf = b_.op("erf", {x / number(std::numbers::sqrt2)});
  return expect(x * (number(0.5) * (erf + number(1))), rectified(moments(x)));
}

Val Net::gelu_tanh(Val x) {
  const Val half = x * number(0.5);
  const Val cubed = b_.op("pow", {x, number(3)}) * number(0.044715);
  const Val inner = (x + cubed) * number(std::sqrt(2 / std::numbers::pi));
  return expect(half * (ops::tanh(inner) + number(1)), rectified(moments(x)));
}

Val Net::silu(Val x) {
  // Moments of x·σ(x) for a standard normal x: 0.207 and 0.356 − 0.207².
  return expect(x * ops::sigmoid(x), {0.207, 0.313 * moments(x).power()});
}

Val Net::reshape(Val x, std::vector<int64_t> shape) {
  const Moments m = moments(x);
  return expect(ops::reshape(x, ir::Dims(shape.begin(), shape.end())), m);
}

Val Net::transpose(Val x, std::vector<int64_t> perm) {
  const Moments m = moments(x);
  return expect(ops::transpose(x, std::move(perm)), m);
}

}  // namespace tessera::zoo
