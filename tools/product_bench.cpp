// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of the models' own shapes: generated kernels against oneDNN, as a
// percentage of what the processor can do, with weights that are in no cache.
//
//     product_bench [--threads N] [--filter TEXT]
//
// The columns of bf16, of bf16 by AMX, and of i16 are the same products rounded (--tolerance),
// against their own peaks. A calibration loop of independent multiply-adds runs next to every
// measurement, so that a clock that drifts, or a neighbour, changes both numbers of a ratio.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>

#include "amx/kernel.h"
#include "backend/cpu/target.h"
#include "base/rng.h"
#include "codegen/loop_kernel.h"

namespace tessera {
namespace {

using codegen::LibraryRequest;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

using Kind = codegen::Contraction::Pairs::Kind;

// GFLOP/s of one thread: 24 sums in registers, compiled like every other kernel.
class Peak {
 public:
  // Of the tiles of AMX: four sums.
  static std::unique_ptr<Peak> of_amx() {
    codegen::Contraction c;
    c.rows = {{.extent = 32, .a = 256, .dst = 32}};
    c.reduce = {{.extent = 256, .a = 1, .b = 32}};
    c.column = {.extent = 32, .b = 1, .dst = 1};
    const amx::Form form = *amx::form_of(c, 256, 256);
    return std::make_unique<Peak>(amx::kernel(form), c.flops());
  }
  Peak(const codegen::EmittedKernel& kernel, double flops) : flops_(flops) {
    kernel_ = jit_.compile({}, std::span(&kernel, 1))[0];
    a_.assign(32 * 256, 0);
    b_.assign(32 * 256, 0);
    y_.assign(32 * 32, 0);
  }
  explicit Peak(std::optional<Kind> pairs) {
    codegen::Contraction c;
    c.rows = {{.extent = 12, .a = 64, .dst = 32}};
    c.reduce = {{.extent = 64, .a = 1, .b = 32}};
    c.column = {.extent = 32, .b = 1, .dst = 1};
    const codegen::VectorUnit unit = codegen::host_vector_unit();
    codegen::ContractionSchedule s{.lanes = unit.lanes,
                                   .rows = unit.registers >= 32 ? 12 : 4,
                                   .vectors = unit.lanes == 16 ? 2 : 3,
                                   .prefetch = false};
    if (pairs) c = *pair_up(c, *pairs);
    const codegen::EmittedKernel kernel = codegen::contraction_kernel(c, s);
    kernel_ = jit_.compile({}, std::span(&kernel, 1))[0];
    a_.assign(12 * 64, 1);
    b_.assign(static_cast<size_t>(codegen::packed_elements(c, s)) + 16, 1);
    y_.assign(12 * 32, 0);
    flops_ = c.flops();
  }

  double measure() const {
    auto* b =
        reinterpret_cast<const std::byte*>((reinterpret_cast<uintptr_t>(b_.data()) + 63) / 64 * 64);
    const auto* ones = reinterpret_cast<const std::byte*>(a_.data());
    const std::byte* src[] = {ones, b, ones, ones};  // i16 reads units too
    std::byte* dst[] = {reinterpret_cast<std::byte*>(y_.data())};
    double best = 0;
    for (int repeat = 0; repeat < 4; ++repeat) {
      const double begin = now();
      for (int k = 0; k < 1000; ++k) kernel_.run(src, dst, 0, kernel_.rows);
      best = std::max(best, 1000 * flops_ / (now() - begin) * 1e-9);
    }
    return best;
  }

 private:
  codegen::Jit jit_;
  codegen::LoopKernel kernel_;
  std::vector<float> a_, b_;
  mutable std::vector<float> y_;
  double flops_ = 0;
};

Tensor random_tensor(Shape shape, Rng& rng) {
  Tensor t(DType::f32, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i)
    t.mutable_as<float>()[i] = static_cast<float>(rng.normal());
  return t;
}

// A product of m × k and k × n, or a convolution of n × n pixels (m = 0).
struct Case {
  std::string name;
  int64_t m = 0, k = 0, n = 0;
  int64_t size = 0, kernel = 1, stride = 1, group = 1;  ///< of a convolution from k to n channels
  bool residual = false;  ///< a sum with a tensor like the result, and its positive part, follow
  bool swish = false;     ///< hard swish follows
};

codegen::View channels_last(const Shape& s) {
  return {DType::f32, s, {s[1] * s[2] * s[3], 1, s[1] * s[3], s[1]}};
}
codegen::View row_major(const Shape& s) { return {DType::f32, s, codegen::dense_strides(s)}; }

// One product as the two competitors compute it, with several copies of the weights: more than the
// caches hold, taken in turn.
class Contest {
 public:
  Contest(const Case& c, int threads, codegen::Target& ours, codegen::Target& library)
      : threads_(threads) {
    Rng rng(1);
    LibraryRequest r;
    Shape weights;
    if (c.m > 0) {
      r.op = "matmul";
      weights = {c.k, c.n};
      r.src = {row_major({c.m, c.k}), row_major(weights), row_major({c.n})};
      r.dst = row_major({c.m, c.n});
      flops = 2.0 * static_cast<double>(c.m * c.k * c.n);
    } else {
      r.op = "conv";
      weights = {c.n, c.k / c.group, c.kernel, c.kernel};
      const int64_t pad = c.kernel / 2, out = (c.size + 2 * pad - c.kernel) / c.stride + 1;
      r.attrs.emplace("strides", std::vector<int64_t>(2, c.stride));
      r.attrs.emplace("pads", std::vector<int64_t>(4, pad));
      r.attrs.emplace("group", c.group);
      r.src = {channels_last({1, c.k, c.size, c.size}), row_major(weights), row_major({c.n})};
      r.dst = channels_last({1, c.n, out, out});
      flops = 2.0 * static_cast<double>(out * out * c.n * c.kernel * c.kernel * c.k / c.group);
    }
    if (c.residual) {
      r.src.push_back(r.dst);
      r.post = {{.kind = codegen::PostOp::Kind::add, .operand = 3},
                {.kind = codegen::PostOp::Kind::relu}};
      residual_ = random_tensor(r.dst.shape, rng);
    }
    if (c.swish) r.post.push_back({.kind = codegen::PostOp::Kind::hard_swish});
    x_ = random_tensor(r.src[0].shape, rng);
    bias_ = random_tensor({c.n}, rng);
    y_ = Tensor(DType::f32, r.dst.shape);
    r.threads = threads;
    const auto copies =
        std::clamp<int64_t>((int64_t{96} << 20) / (4 * *element_count(weights)), 2, 64);
    for (int64_t copy = 0; copy < copies; ++copy) {
      const Tensor w = random_tensor(weights, rng);
      r.constants = {nullptr, &w, nullptr};
      if (c.residual) r.constants.push_back(nullptr);
      kernels_[0].push_back(ours.make_library(r));
      kernels_[1].push_back(library.make_library(r));
      for (const auto& [precision, which] : {std::pair(codegen::Precision::bf16, 2),
                                             {codegen::Precision::i16, 3},
                                             {codegen::Precision::bf16_amx, 4}}) {
        r.precision = precision;
        auto kernel = ours.make_library(r);
        if (kernel) kernels_[which].push_back(std::move(kernel));
      }
      r.precision = codegen::Precision::f32;
      if (!kernels_[0].back() || !kernels_[1].back()) {
        refused = true;
        return;
      }
    }
    ours.make_loops({});
    library.make_loops({});
  }

  // Seconds for one run of competitor `which`, cold.
  double measure(int which) {
    const auto& kernels = kernels_[which];
    double total = 0;
    for (const auto& kernel : kernels) total += run(*kernel);
    return total / static_cast<double>(kernels.size());
  }
  bool has(int which) const { return !kernels_[which].empty(); }
  std::string name(int which) const { return kernels_[which][0]->implementation(); }

  double flops = 0;
  bool refused = false;

 private:
  double run(const runtime::Kernel& kernel) {
    const std::byte* src[] = {x_.data(), nullptr, bias_.data(), residual_.data()};
    std::byte* dst[] = {y_.mutable_data()};
    scratch_.resize(kernel.scratch_bytes() + 64);
    auto* aligned =
        reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(scratch_.data()) + 63) / 64 * 64);
    const double begin = now();
    kernel.run({src, dst, aligned, threads_});
    return now() - begin;
  }

  int threads_;
  Tensor x_, bias_, residual_, y_;
  std::vector<std::byte> scratch_;
  std::vector<std::shared_ptr<const runtime::Kernel>>
      kernels_[5];  // ours, the library's, ours in bf16, in i16 and by AMX
};

const Case cases[] = {
    {"bert qkv", 128, 768, 2304},
    {"bert projection", 128, 768, 768},
    {"bert up", 128, 768, 3072},
    {"bert down", 128, 3072, 768},
    {"vit qkv", 197, 768, 2304},
    {"vit up", 197, 768, 3072},
    {"vit down", 197, 3072, 768},
    {"llama gate", 64, 2048, 5632},
    {"resnet 1x1 64>256@56", 3136, 64, 256},
    {"resnet 1x1 64>256@56 + x", 0, 64, 256, 56, 1, 1, 1, true},
    {"resnet 1x1 256>64@56", 3136, 256, 64},
    {"resnet 1x1 512>128@28", 784, 512, 128},
    {"resnet 1x1 128>512@28", 784, 128, 512},
    {"resnet 1x1 1024>256@14", 196, 1024, 256},
    {"resnet 1x1 256>1024@14", 196, 256, 1024},
    {"resnet 1x1 256>1024@14 + x", 0, 256, 1024, 14, 1, 1, 1, true},
    {"resnet 1x1 2048>512@7", 49, 2048, 512},
    {"resnet 1x1 512>2048@7", 49, 512, 2048},
    {"classifier", 1, 2048, 1000},
    {"lstm gates", 1, 1024, 4096},
    {"odd", 37, 211, 131},
    {"resnext 1x1 128>256@56 + x", 0, 128, 256, 56, 1, 1, 1, true},
    {"resnext 1x1 256>512@28 + x", 0, 256, 512, 28, 1, 1, 1, true},
    {"resnext 1x1 256>128@56", 3136, 256, 128},
    {"conv 7x7 s2 3>64@224", 0, 3, 64, 224, 7, 2},
    {"conv 16x16 s16 3>768@224", 0, 3, 768, 224, 16, 16},
    {"conv 3x3 64@56", 0, 64, 64, 56, 3, 1},
    {"conv 3x3 128@28", 0, 128, 128, 28, 3, 1},
    {"conv 3x3 256@14", 0, 256, 256, 14, 3, 1},
    {"conv 3x3 512@7", 0, 512, 512, 7, 3, 1},
    {"conv 3x3 s2 128@56", 0, 128, 128, 56, 3, 2},
    {"conv 3x3 s2 256@28", 0, 256, 256, 28, 3, 2},
    {"conv 1x1 s2 256>512@56", 0, 256, 512, 56, 1, 2},
    {"conv 3x3 320@32", 0, 320, 320, 32, 3, 1},
    {"conv 3x3 512@28", 0, 512, 512, 28, 3, 1},
    {"conv 3x3 16>64@55", 0, 16, 64, 55, 3, 1},
    {"conv 3x3 g32 1024@14", 0, 1024, 1024, 14, 3, 1, 32},
    {"conv 3x3 g32 512@28", 0, 512, 512, 28, 3, 1, 32},
    {"conv 3x3 g32 256@56", 0, 256, 256, 56, 3, 1, 32},
    {"conv 3x3 g32 128@56", 0, 128, 128, 56, 3, 1, 32},
    {"conv 3x3 g32 256@28", 0, 256, 256, 28, 3, 1, 32},
    {"conv 3x3 g32 512@14", 0, 512, 512, 14, 3, 1, 32},
    {"conv 3x3 depthwise 64@112", 0, 64, 64, 112, 3, 1, 64},
    {"conv 3x3 s2 depthwise 64@112", 0, 64, 64, 112, 3, 2, 64},
    {"conv 5x5 depthwise 120@28", 0, 120, 120, 28, 5, 1, 120},
    {"conv 3x3 depthwise 672@14", 0, 672, 672, 14, 3, 1, 672},
    {"conv 3x3 depthwise 672@14 swish", 0, 672, 672, 14, 3, 1, 672, false, true},
    {"conv 5x5 s2 depthwise 672@14", 0, 672, 672, 14, 5, 2, 672},
    {"conv 5x5 depthwise 960@7", 0, 960, 960, 7, 5, 1, 960},
    {"conv 3x3 depthwise 72@56", 0, 72, 72, 56, 3, 1, 72},
    {"conv 7x7 depthwise 96@56", 0, 96, 96, 56, 7, 1, 96},
    {"conv 3x3 depthwise 144@56", 0, 144, 144, 56, 3, 1, 144},
    {"conv 3x3 s2 g32 256@56", 0, 256, 256, 56, 3, 2, 32},
    {"conv 3x3 s2 g32 512@28", 0, 512, 512, 28, 3, 2, 32},
    {"conv 3x3 g16 384@14", 0, 384, 384, 14, 3, 1, 16},
    {"mobile 1x1 16>64@112", 12544, 16, 64},
    {"mobile 1x1 24>72@56", 3136, 24, 72},
    {"mobile 1x1 72>24@56", 3136, 72, 24},
    {"mobile 1x1 40>120@28", 784, 40, 120},
    {"mobile 1x1 80>480@14", 196, 80, 480},
    {"mobile 1x1 112>672@14", 196, 112, 672},
    {"mobile 1x1 672>112@14", 196, 672, 112},
    {"mobile 1x1 160>960@7", 49, 160, 960},
    {"mobile 1x1 960>160@7", 49, 960, 160},
};

int run(int argc, char** argv) {
  int threads = 1;
  std::string filter;
  for (int k = 1; k + 1 < argc; k += 2) {
    if (std::string(argv[k]) == "--threads") threads = std::atoi(argv[k + 1]);
    else if (std::string(argv[k]) == "--filter") filter = argv[k + 1];
  }
  const auto ours = backend::cpu::make_target({.use_library = false});
  const auto library = backend::cpu::make_target({.use_generated = false});
  const codegen::VectorUnit unit = codegen::host_vector_unit();
  std::unique_ptr<Peak> peaks[5];
  peaks[0] = std::make_unique<Peak>(std::nullopt);
  if (unit.has_bf16) peaks[2] = std::make_unique<Peak>(Kind::bf16);
  if (unit.has_i16) peaks[3] = std::make_unique<Peak>(Kind::i16);
  if (amx::is_usable()) peaks[4] = Peak::of_amx();
  std::printf("%-26s %9s %9s %9s %9s %9s %7s %7s %7s %7s %7s %7s %7s %7s %7s  %s\n", "product",
              "ours us", "oneDNN us", "bf16 us", "i16 us", "amx us", "ours %", "oneDNN %", "bf16 %",
              "i16 %", "amx %", "ratio", "bf16 x", "i16 x", "amx x", "kernels");
  for (const Case& c : cases) {
    if (c.name.find(filter) == std::string::npos) continue;
    Contest contest(c, threads, *ours, *library);
    if (contest.refused) {
      std::printf("%-26s refused\n", c.name.c_str());
      continue;
    }
    double best[5] = {1e9, 1e9, 1e9, 1e9, 1e9}, share[5] = {};
    const double end = now() + 0.5;
    for (int round = 0; round < 3 || now() < end; ++round)
      for (int which = 0; which < 5; ++which) {
        if (!contest.has(which)) continue;
        const double speed = (peaks[which] ? peaks[which] : peaks[0])->measure() * threads;
        const double seconds = contest.measure(which);
        best[which] = std::min(best[which], seconds);
        share[which] = std::max(share[which], contest.flops / seconds * 1e-9 / speed);
      }
    const auto us = [&](int which) { return contest.has(which) ? best[which] * 1e6 : 0; };
    const auto gain = [&](int which) { return contest.has(which) ? best[0] / best[which] : 0; };
    std::printf(
        "%-26s %9.1f %9.1f %9.1f %9.1f %9.1f %6.1f%% %6.1f%% %6.1f%% %6.1f%% %6.1f%% %7.3f %7.3f "
        "%7.3f %7.3f"
        "  %s | %s\n",
        c.name.c_str(), us(0), us(1), us(2), us(3), us(4), share[0] * 100, share[1] * 100,
        share[2] * 100, share[3] * 100, share[4] * 100, best[1] / best[0], gain(2), gain(3),
        gain(4), contest.name(0).c_str(), contest.name(1).c_str());
  }
  const auto peak = [&](int which) { return peaks[which] ? peaks[which]->measure() : 0; };
  std::printf("adjacent peak of one thread: f32 %.0f, bf16 %.0f, i16 %.0f, amx %.0f GFLOP/s\n",
              peak(0), peak(2), peak(3), peak(4));
  return 0;
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
