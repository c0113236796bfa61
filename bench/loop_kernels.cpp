// SPDX-License-Identifier: Apache-2.0
// Generated kernels on one thread: elementwise chains, softmax, layer normalization, transposes
// and reductions, in bytes moved per second; memcpy is the bound.
#include <benchmark/benchmark.h>

#include <cstring>

#include "codegen/loop_kernel.h"
#include "ops/meaning_builder.h"
#include "ops/op_def.h"

namespace {

using namespace tessera;
using ir::Expr;
using ops::MeaningBuilder;

using Body = std::function<Expr(MeaningBuilder&, std::span<const Expr>)>;

ir::Meaning meaning_of(const std::vector<ir::Dims>& inputs, const ir::Dims& output,
                       const Body& body) {
  static const ops::OpDef def{.name = "bench"};
  static const ir::AttrMap attrs;
  std::vector<ir::ValueType> types;
  std::vector<const ir::ValueType*> pointers;
  for (const ir::Dims& d : inputs) types.push_back({DType::f32, d});
  for (const ir::ValueType& t : types) pointers.push_back(&t);
  MeaningBuilder b(def, attrs, pointers);
  b.output(output, [&](std::span<const Expr> i) { return body(b, i); });
  return std::move(b).finish();
}

void run(benchmark::State& state, const std::vector<ir::Dims>& inputs, const ir::Dims& output,
         const Body& body) {
  const ir::Meaning meaning = meaning_of(inputs, output, body);
  const ir::Meaning* one[] = {&meaning};
  codegen::Jit jit;
  const codegen::LoopKernel kernel = jit.compile(one)[0];
  std::vector<Tensor> tensors;
  std::vector<const std::byte*> src;
  double bytes = 4.0 * static_cast<double>(sym::product(output).constant().value());
  for (const ir::ValueType& t : meaning.inputs) {
    Tensor& tensor = tensors.emplace_back(t.dtype, t.concrete_shape());
    for (int64_t i = 0; i < tensor.size(); ++i)
      tensor.set_float(i, 0.5 + static_cast<double>(i % 17) / 16);
    bytes += static_cast<double>(tensor.bytes());
  }
  for (const Tensor& t : tensors) src.push_back(t.data());
  Tensor result(DType::f32, meaning.output_type(0).concrete_shape());
  std::byte* dst[] = {result.mutable_data()};
  for (auto _ : state) kernel.run(src.data(), dst, 0, kernel.rows);
  state.SetBytesProcessed(static_cast<int64_t>(bytes * static_cast<double>(state.iterations())));
  state.counters["rows"] = static_cast<double>(kernel.rows);
}

void copy(benchmark::State& state) {
  const int64_t n = state.range(0);
  std::vector<float> a(n, 1), b(n);
  for (auto _ : state) {
    std::memcpy(b.data(), a.data(), n * 4);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * n * 8);
}
BENCHMARK(copy)->Arg(1 << 15)->Arg(1 << 22);

void add_relu(benchmark::State& state) {
  const int64_t n = state.range(0);
  run(state, {{n}, {n}}, {n}, [](MeaningBuilder& b, auto i) {
    return max(b.in(0)(i) + b.in(1)(i), b.literal(0, DType::f32));
  });
}
BENCHMARK(add_relu)->Arg(1 << 15)->Arg(1 << 22);

void gelu(benchmark::State& state) {
  const int64_t n = state.range(0);
  run(state, {{n}}, {n}, [](MeaningBuilder& b, auto i) {
    const Expr x = b.in(0)(i);
    return x * 0.5 * (erf(x * 0.70710678) + 1);
  });
}
BENCHMARK(gelu)->Arg(1 << 15)->Arg(1 << 22);

void bias_by_channel(benchmark::State& state) {
  run(state, {{1, 64, 56, 56}, {64}}, {1, 64, 56, 56}, [](MeaningBuilder& b, auto i) {
    return max(b.in(0)(i) + b.in(1)(i[1]), b.literal(0, DType::f32));
  });
}
BENCHMARK(bias_by_channel);

void softmax(benchmark::State& state) {
  const int64_t n = state.range(0), m = state.range(1);
  run(state, {{n, m}}, {n, m}, [&](MeaningBuilder& b, auto i) {
    const auto x = b.in(0);
    const Expr top = b.max(m, [&](Expr r) { return x(i[0], r); });
    const Expr sum = b.sum(m, [&](Expr r) { return exp(x(i[0], r) - top); });
    return exp(x(i) - top) / sum;
  });
}
BENCHMARK(softmax)->Args({1536, 128})->Args({2364, 197})->Args({128, 1000});

void layer_normalization(benchmark::State& state) {
  const int64_t n = state.range(0), m = state.range(1);
  run(state, {{n, m}, {m}, {m}}, {n, m}, [&](MeaningBuilder& b, auto i) {
    const auto x = b.in(0);
    const Expr mean = b.sum(m, [&](Expr r) { return x(i[0], r); }) / static_cast<double>(m);
    const Expr variance = b.sum(m, [&](Expr r) {
      return (x(i[0], r) - mean) * (x(i[0], r) - mean);
    }) / static_cast<double>(m);
    return (x(i) - mean) / sqrt(variance + 1e-5) * b.in(1)(i[1]) + b.in(2)(i[1]);
  });
}
BENCHMARK(layer_normalization)->Args({128, 768})->Args({4096, 1024});

void transpose(benchmark::State& state) {
  const int64_t n = state.range(0), m = state.range(1);
  run(state, {{n, m}}, {m, n}, [](MeaningBuilder& b, auto i) { return b.in(0)(i[1], i[0]); });
}
BENCHMARK(transpose)->Args({1024, 1024})->Args({1000, 1003})->Args({3072, 768});

void transpose_heads(benchmark::State& state) {
  run(state, {{128, 12, 64}}, {12, 128, 64},
      [](MeaningBuilder& b, auto i) { return b.in(0)(i[1], i[0], i[2]); });
}
BENCHMARK(transpose_heads);

void channels_last(benchmark::State& state) {
  run(state, {{64, 56, 56}}, {56, 56, 64},
      [](MeaningBuilder& b, auto i) { return b.in(0)(i[2], i[0], i[1]); });
}
BENCHMARK(channels_last);

void row_sums(benchmark::State& state) {
  run(state, {{1024, 1024}}, {1024}, [](MeaningBuilder& b, auto i) {
    return b.sum(1024, [&](Expr r) { return b.in(0)(i[0], r); });
  });
}
BENCHMARK(row_sums);

void column_sums(benchmark::State& state) {
  run(state, {{1024, 1024}}, {1024}, [](MeaningBuilder& b, auto i) {
    return b.sum(1024, [&](Expr r) { return b.in(0)(r, i[0]); });
  });
}
BENCHMARK(column_sums);

void average_over_space(benchmark::State& state) {
  run(state, {{2048, 7, 7}}, {2048}, [](MeaningBuilder& b, auto i) {
    return b.sum(7, [&](Expr r) { return b.sum(7, [&](Expr s) { return b.in(0)(i[0], r, s); }); });
  });
}
BENCHMARK(average_over_space);

// 3×3 windows with a border of one.
void max_pool(benchmark::State& state) {
  run(state, {{64, 112, 112}}, {64, 56, 56}, [](MeaningBuilder& b, auto i) {
    return b.max(3, [&](Expr r) {
      return b.max(3, [&](Expr s) {
        const Expr y = i[1] * 2 + r - 1, x = i[2] * 2 + s - 1, zero = b.integer(0);
        const Expr inside = zero <= y && y < b.integer(112) && zero <= x && x < b.integer(112);
        return select(inside, b.in(0)(i[0], y, x), b.literal(-1e30, DType::f32));
      });
    });
  });
}
BENCHMARK(max_pool);

void depthwise(benchmark::State& state) {
  run(state, {{72, 56, 56}, {72, 3, 3}}, {72, 56, 56}, [](MeaningBuilder& b, auto i) {
    return b.sum(3, [&](Expr r) {
      return b.sum(3, [&](Expr s) {
        const Expr y = i[1] + r - 1, x = i[2] + s - 1, zero = b.integer(0);
        const Expr inside = zero <= y && y < b.integer(56) && zero <= x && x < b.integer(56);
        return select(inside, b.in(0)(i[0], y, x), b.literal(0, DType::f32)) * b.in(1)(i[0], r, s);
      });
    });
  });
}
BENCHMARK(depthwise);

void split_heads_by_reshape(benchmark::State& state) {
  run(state, {{128, 768}}, {12, 128, 64},
      [](MeaningBuilder& b, auto i) { return b.in(0)(i[1], i[0] * 64 + i[2]); });
}
BENCHMARK(split_heads_by_reshape);

void compile_time(benchmark::State& state) {
  const ir::Meaning meaning =
      meaning_of({{128, 768}, {768}}, {128, 768}, [](MeaningBuilder& b, auto i) {
        const Expr x = b.in(0)(i) + b.in(1)(i[1]);
        return x * 0.5 * (erf(x * 0.70710678) + 1);
      });
  const ir::Meaning* one[] = {&meaning};
  codegen::Jit jit;
  for (auto _ : state) benchmark::DoNotOptimize(jit.compile(one));
}
BENCHMARK(compile_time)->Unit(benchmark::kMillisecond);

}  // namespace
