// SPDX-License-Identifier: Apache-2.0
// Test support: random inputs, and a comparison of a compiled kernel with the tree walker.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "codegen/loop_kernel.h"
#include "ops/evaluate.h"

namespace tessera::codegen {

/// Which numbers random inputs hold.
enum class Numbers { usual, unusual };

inline Tensor random_tensor(const ir::ValueType& type, Numbers numbers, Rng& rng) {
  if (type.opaque) return {};
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double rare[] = {
      std::numeric_limits<double>::quiet_NaN(), infinity, -infinity, -0.0, 0.0, 1e30, -1e30, 1e-40};
  Tensor tensor(type.dtype, type.concrete_shape());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const bool is_rare = numbers == Numbers::unusual && rng.integer(0, 9) == 0;
    if (is_float(type.dtype)) tensor.set_float(i, is_rare ? rare[rng.integer(0, 7)] : rng.normal());
    else if (type.dtype == DType::boolean) tensor.set_integer(i, rng.integer(0, 1));
    else if (is_rare) tensor.set_integer(i, static_cast<int64_t>(rng.next()));
    else tensor.set_integer(i, rng.integer(0, 20) - (is_signed_integer(type.dtype) ? 10 : 0));
  }
  return tensor;
}

/// Unit of the last place around 1.
inline double epsilon(DType type) {
  switch (type) {
    case DType::f64: return 0x1p-52;
    case DType::f16: return 0x1p-10;
    case DType::bf16: return 0x1p-7;
    default: return 0x1p-23;
  }
}

/// Runs all rows in `parts` calls. Throws UserError when the kernel reports an error.
inline std::vector<Tensor> run_kernel(const LoopKernel& kernel, const ir::Meaning& meaning,
                                      std::span<const Tensor> inputs, int parts) {
  std::vector<Tensor> outputs;
  std::vector<const std::byte*> src;
  std::vector<std::byte*> dst;
  for (const Tensor& t : inputs) src.push_back(t.data());
  for (size_t k = 0; k < meaning.outputs.size(); ++k) {
    const ir::ValueType type = meaning.output_type(k);
    outputs.emplace_back(type.dtype, type.concrete_shape());
    dst.push_back(outputs.back().mutable_data());
  }
  for (int64_t p = parts; kernel.rows != 0 && p-- > 0;)
    if (kernel.run(src.data(), dst.data(), kernel.rows * p / parts, kernel.rows * (p + 1) / parts))
      fail_user(ErrorKind::invalid_input, "index out of range");
  return outputs;
}

/// Empty, or where `found` is further from `expected` than `ulps` in f32 arithmetic allow.
inline std::string difference(const Tensor& expected, const Tensor& found, double ulps) {
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (!is_float(expected.type())) {
      const int64_t e = expected.integer_at(i), f = found.integer_at(i);
      if (e != f) return fmt::format("element {}: {}, expected {}", i, f, e);
      continue;
    }
    const double e = expected.float_at(i), f = found.float_at(i);
    if ((std::isnan(e) && std::isnan(f)) || e == f) continue;
    const double unit = std::max(epsilon(expected.type()), ulps * epsilon(DType::f32));
    const double allowed = unit * std::max(std::abs(e), 0.25) * 2;
    if (!(std::abs(e - f) <= allowed)) return fmt::format("element {}: {}, expected {}", i, f, e);
  }
  return {};
}

/// Compiles and runs the meaning on random inputs; empty, or how it differs from the tree walker.
inline std::string check_meaning(const ir::Meaning& meaning, Numbers numbers, uint64_t seed,
                                 double ulps, int parts = 1) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (const ir::ValueType& type : meaning.inputs)
    inputs.push_back(random_tensor(type, numbers, rng));
  Jit jit({.threads = 1});
  const ir::Meaning* one[] = {&meaning};
  const LoopKernel kernel = jit.compile(one)[0];
  std::vector<Tensor> expected;
  try {
    expected = ops::tree_evaluate(meaning, inputs, false);
  } catch (const UserError& e) {
    try {
      run_kernel(kernel, meaning, inputs, parts);
    } catch (const UserError&) {
      return {};
    }
    return fmt::format("no error, expected: {}", e.what());
  }
  const std::vector<Tensor> found = run_kernel(kernel, meaning, inputs, parts);
  for (size_t k = 0; k < expected.size(); ++k)
    if (auto text = difference(expected[k], found[k], ulps); !text.empty())
      return fmt::format("output {}: {}", k, text);
  return {};
}

}  // namespace tessera::codegen
