// SPDX-License-Identifier: Apache-2.0
// What fusion and generated loops are said to gain, measured on one thread:
//
//     claims_bench [CLAIM...]
//
// Every claim compares a program compiled as a whole with the same program one kernel per operator,
// or with parts of it that are each one kernel. The kernels of both are listed with their share of
// what bounds them: arithmetic at the peak, or their bytes at the speed of a copy beyond the
// caches. A kernel of the other side that takes longer than its bound allows at 85 % counts as if
// it took just that, so that no claim holds because of a slow baseline. The claim `functions`
// compares exp, log, tanh and erf with glibc's vector library. Both sides are measured by turns;
// peaks beside them.
#include <dlfcn.h>
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "backend/cpu/target.h"
#include "base/rng.h"
#include "codegen/loop_kernel.h"
#include "cost/machine.h"
#include "lang/parse.h"
#include "plan/compile.h"

namespace tessera {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Claim {
  const char* name;
  double asked;  ///< least ratio of the other side's time to the fused program's
  const char* program;
  std::vector<const char*> parts = {};  ///< of the other side; empty: one kernel per operator
};

constexpr double least_share = 0.85;  ///< of its bound that a kernel of the other side must reach

const Claim claims[] = {
    {"gelu", 1.7, "input x: f32[16777216]\noutput y = gelu(x) * 0.7\n"},
    {"softmax", 2.5,
     "input x: f32[16384, 1024]\nt = reduce_max(x, axes=[-1])\ne = exp(x - t)\n"
     "output y = e / reduce_sum(e, axes=[-1])\n"},
    {"layer_norm", 1.75,
     "input x: f32[16384, 1024]\ninput w: f32[1024]\ninput b: f32[1024]\n"
     "d = x - reduce_mean(x, axes=[-1])\nv = reduce_mean(d * d, axes=[-1])\n"
     "output y = d / sqrt(v + 0.00001) * w + b\n"},
    {"attention",
     1.15,
     "input q: f32[12, 1024, 64]\ninput k: f32[12, 1024, 64]\ninput v: f32[12, 1024, 64]\n"
     "output y = softmax(q @ k.T * 0.125, axis=-1) @ v\n",
     {"input q: f32[12, 1024, 64]\ninput k: f32[12, 1024, 64]\noutput s = q @ k.T * 0.125\n",
      "input s: f32[12, 1024, 1024]\noutput p = softmax(s, axis=-1)\n",
      "input p: f32[12, 1024, 1024]\ninput v: f32[12, 1024, 64]\noutput y = p @ v\n"}},
};

std::vector<Tensor> inputs_of(const runtime::Plan& plan) {
  Rng rng(1);
  std::vector<Tensor> inputs;
  for (const runtime::Port& port : plan.inputs()) {
    Tensor& t = inputs.emplace_back(port.type, port.shape);
    for (int64_t i = 0; i < t.size(); ++i)
      t.mutable_as<float>()[i] = static_cast<float>(rng.normal());
  }
  return inputs;
}

// A compiled program and the least time that each of its kernels took.
struct Measured {
  std::unique_ptr<runtime::Plan> plan;
  std::vector<Tensor> inputs;
  std::vector<double> seconds;

  explicit Measured(std::unique_ptr<runtime::Plan> compiled)
      : plan(std::move(compiled)),
        inputs(inputs_of(*plan)),
        seconds(plan->launches().size(), 1e9) {}

  void run() {
    const std::vector<double> now = plan->profile(inputs, 2);
    for (size_t k = 0; k < now.size(); ++k) seconds[k] = std::min(seconds[k], now[k]);
  }
};

struct Peaks {
  double flops = 0, copied = 0;
  double bound(const runtime::Launch& l) const {
    return std::max(l.flops / flops, l.bytes / copied);
  }
};

// Lists kernels; their time, in which none counts for more than `most` times its bound.
double list_kernels(const std::vector<Measured>& programs, const Peaks& peaks, double most) {
  double total = 0;
  for (const Measured& p : programs)
    for (size_t k = 0; k < p.seconds.size(); ++k) {
      const runtime::Launch& l = p.plan->launches()[k];
      const double bound = peaks.bound(l), counted = std::min(p.seconds[k], most * bound);
      std::printf("    %9.0f us  %4.0f %% of its bound  %s (%s)", p.seconds[k] * 1e6,
                  100 * bound / p.seconds[k], l.name.c_str(), l.kernel->implementation().c_str());
      if (counted < p.seconds[k]) std::printf(", counts as %.0f us", counted * 1e6);
      std::printf("\n");
      total += counted;
    }
  return total;
}

bool examine(const Claim& claim, codegen::Target& target) {
  const auto compile = [&](const char* program, bool fuse) {
    const ir::Graph graph = lang::parse_program(program, claim.name);
    return Measured(plan::compile(graph, target, {.threads = 1, .fuse = fuse}));
  };
  std::vector<Measured> fused, other;
  fused.push_back(compile(claim.program, true));
  for (const char* part : claim.parts) other.push_back(compile(part, true));
  if (other.empty()) other.push_back(compile(claim.program, false));
  Peaks peaks;
  for (int round = 0; round < 5; ++round) {
    for (auto* side : {&fused, &other})
      for (Measured& program : *side) program.run();
    peaks.flops = std::max(peaks.flops, cost::measure_flops(4));
    peaks.copied = std::max(peaks.copied, cost::measure_copy(size_t{64} << 20, 2));
  }
  constexpr double unlimited = 1e9;
  std::printf("%s, fused (copies at %.1f GB/s)\n", claim.name, peaks.copied * 1e-9);
  const double time = list_kernels(fused, peaks, unlimited);
  std::printf("  %s\n", claim.parts.empty() ? "one kernel per operator" : "parts");
  const double others = list_kernels(other, peaks, 1 / least_share);
  const double ratio = others / time;
  std::printf("  %s: %.2f times as fast (asked: %.2f)\n", claim.name, ratio, claim.asked);
  return ratio >= claim.asked;
}

#ifdef __x86_64__
using VectorFunction = __m512 (*)(__m512);

__attribute__((target("avx512f"))) void apply(VectorFunction f, const float* x, float* y,
                                              int64_t n) {
  for (int64_t i = 0; i < n; i += 16) _mm512_storeu_ps(y + i, f(_mm512_loadu_ps(x + i)));
}

// Nanoseconds for 16 numbers: the best of many passes over `n` of them.
double measure(int64_t n, const std::function<void()>& pass) {
  double best = 1e9;
  for (int repeat = 0; repeat < 200; ++repeat) {
    const double begin = now();
    for (int k = 0; k < 20; ++k) pass();
    best = std::min(best, (now() - begin) / 20);
  }
  return best * 1e9 * 16 / static_cast<double>(n);
}

bool examine_functions() {
  constexpr int64_t n = 4096;
  constexpr double asked = 1.3;
  void* library = dlopen("libmvec.so.1", RTLD_NOW);
  if (codegen::host_vector_unit().lanes != 16 || !library) {
    std::printf("functions: skipped, there is no AVX-512 or no libmvec here\n");
    return true;
  }
  bool held = true;
  const std::pair<ir::Prim, const char*> functions[] = {{ir::Prim::exp, "_ZGVeN16v_expf"},
                                                        {ir::Prim::log, "_ZGVeN16v_logf"},
                                                        {ir::Prim::tanh, "_ZGVeN16v_tanhf"},
                                                        {ir::Prim::erf, "_ZGVeN16v_erff"}};
  for (const auto& [prim, name] : functions) {
    ir::Meaning meaning;
    meaning.pool = std::make_unique<ir::ExprPool>();
    meaning.inputs = {{DType::f32, {n}}};
    const std::vector<ir::Expr> index{meaning.pool->variable({ir::Var::Kind::output, 0})};
    meaning.outputs.push_back({{n}, ir::unary(prim, meaning.pool->read(0, DType::f32, index))});
    codegen::Jit jit;
    const ir::Meaning* one[] = {&meaning};
    const codegen::LoopKernel kernel = jit.compile(one)[0];
    Tensor x(DType::f32, {n}), y(DType::f32, {n});
    for (int64_t i = 0; i < n; ++i)
      x.mutable_as<float>()[i] = 0.01F + 4.0F * static_cast<float>(i) / n;
    const std::byte* src[] = {x.data()};
    std::byte* dst[] = {y.mutable_data()};
    const auto f = reinterpret_cast<VectorFunction>(dlsym(library, name));
    const double ours = measure(n, [&] { kernel.run(src, dst, 0, kernel.rows); });
    if (!f) {
      std::printf("%s: %.2f ns for 16 numbers; libmvec has none\n", to_string(prim).data(), ours);
      continue;
    }
    const double theirs = measure(n, [&] { apply(f, x.as<float>(), y.mutable_as<float>(), n); });
    std::printf("%s: %.2f ns for 16 numbers, libmvec %.2f, ratio %.2f (asked: at most %.2f)\n",
                to_string(prim).data(), ours, theirs, ours / theirs, asked);
    held = held && ours <= asked * theirs;
  }
  return held;
}
#else
bool examine_functions() {
  std::printf("functions: skipped, this is no x86-64\n");
  return true;
}
#endif

int run(int argc, char** argv) {
  const std::vector<std::string> chosen(argv + 1, argv + argc);
  const auto wanted = [&](const std::string& name) {
    return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
  };
  const auto target = backend::cpu::make_target();
  std::string missed;
  for (const Claim& claim : claims)
    if (wanted(claim.name) && !examine(claim, *target)) missed += std::string(" ") + claim.name;
  if (wanted("functions") && !examine_functions()) missed += " functions";
  std::printf("%s%s\n", missed.empty() ? "every claim holds" : "missed:", missed.c_str());
  return missed.empty() ? 0 : 1;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  try {
    return tessera::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}
