// SPDX-License-Identifier: Apache-2.0
// The only place that names concrete backends.
#include <algorithm>

#include "api/cpu_target.h"
#include "api/engine.h"
#include "api/load.h"
#include "backend/cpu/target.h"
#include "base/check.h"
#include "ops/evaluate.h"
#include "plan/compile.h"

namespace tessera::api {

constexpr double choice_seconds = 0.5;  // for each kernel of the user's that matches somewhere

std::unique_ptr<codegen::Target> make_cpu_target(const Options& options) {
  const auto cache = std::make_shared<DiskCache>(
      DiskCacheOptions{.folder = options.cache_folder, .require_hit = options.require_cache_hit});
  if (!cache->refusal().empty())
    warn(options, "compiled kernels are not kept: " + cache->refusal());
  return backend::cpu::make_target({.cache = cache});
}

namespace {

class CpuProgram : public Program {
 public:
  CpuProgram(ir::Graph graph, const Options& options) {
    if (options.kernels.empty() || options.force_kernels) {
      plan_ = make_plan(std::move(graph), options, options.kernels);
      for (const auto& kernel : options.kernels) note(*kernel, *plan_);
      for (KernelChoice& choice : choices_) choice.used = choice.places > 0;
    } else {
      choose_kernels(graph, options);
    }
    const auto stale =
        std::count_if(options.reduced.begin(), options.reduced.end(), [&](const auto& reduced) {
          return reduced.first >= plan_->launches().size() ||
                 !reduced.second.is_for(plan_->launches()[reduced.first].name);
        });
    if (stale > 0)
      warn(options, fmt::format("{} of {} kernels of reduced precision are not in this program: "
                                "they compute in f32",
                                stale, options.reduced.size()));
  }
  std::vector<Tensor> run(const std::vector<Tensor>& inputs) override { return plan_->run(inputs); }
  size_t peak_bytes() const override { return plan_->arena_bytes(); }
  std::vector<KernelChoice> kernels() const override { return choices_; }

 private:
  explicit CpuProgram(std::unique_ptr<runtime::Plan> plan) : plan_(std::move(plan)) {}

  static std::unique_ptr<runtime::Plan> make_plan(ir::Graph graph, const Options& options,
                                                  const Kernels& kernels) {
    plan::CompileOptions compiling;
    compiling.threads = thread_count(options);
    compiling.fuse = options.fuse;
    compiling.own_products = options.exact;
    compiling.generated_only = options.generated_only;
    compiling.kernels = kernels;
    compiling.reduced = options.reduced;
    compiling.warn = options.warn;
    return plan::compile(std::move(graph), *make_cpu_target(options), compiling);
  }

  KernelChoice& note(const tile::File& kernel, const runtime::Plan& plan) {
    choices_.push_back({.name = kernel.program.name});
    for (const runtime::Launch& launch : plan.launches())
      if (launch.kernel->implementation() == "program " + kernel.program.name)
        ++choices_.back().places;
    return choices_.back();
  }

  // Kernel by kernel: each is kept if the whole program is surely faster with it.
  void choose_kernels(const ir::Graph& graph, const Options& options) {
    plan_ = make_plan(graph, options, {});
    const std::vector<Tensor> inputs = random_inputs(graph, 1);
    Kernels kept;
    for (const auto& kernel : options.kernels) {
      Kernels tried = kept;
      tried.push_back(kernel);
      CpuProgram candidate(make_plan(graph, options, tried));
      KernelChoice& choice = note(*kernel, *candidate.plan_);
      if (choice.places == 0) continue;
      report_progress(options, "measuring kernel " + kernel->program.name);
      const PairTiming timing = measure_pair(*this, candidate, inputs, choice_seconds);
      choice.ratio = timing.ratio;
      choice.ratio_low = timing.ratio_low, choice.ratio_high = timing.ratio_high;
      choice.used = timing.ratio_high < 1;
      if (!choice.used) continue;
      kept = std::move(tried);
      plan_ = std::move(candidate.plan_);
    }
  }

  std::unique_ptr<runtime::Plan> plan_;
  std::vector<KernelChoice> choices_;
};

class ReferenceProgram : public Program {
 public:
  ReferenceProgram(ir::Graph graph, const Options& options)
      : graph_(std::move(graph)), threads_(thread_count(options)) {}
  std::vector<Tensor> run(const std::vector<Tensor>& inputs) override {
    return ops::evaluate(graph_, inputs,
                         {.tier = ops::Tier::loops, .wide = true, .threads = threads_});
  }
  size_t peak_bytes() const override { return 0; }

 private:
  ir::Graph graph_;
  int threads_;
};

template <typename T>
std::unique_ptr<Program> make(ir::Graph graph, const Options& options) {
  return std::make_unique<T>(std::move(graph), options);
}

struct Backend {
  const char* name;
  std::unique_ptr<Program> (*make)(ir::Graph, const Options&);
};
constexpr Backend backends[] = {{"cpu", make<CpuProgram>}, {"ref", make<ReferenceProgram>}};

}  // namespace

std::vector<std::string> targets() {
  std::vector<std::string> names;
  for (const Backend& b : backends) names.emplace_back(b.name);
  return names;
}

std::unique_ptr<Program> compile(ir::Graph graph, const Options& options) {
  require_concrete(graph);
  for (const Backend& b : backends)
    if (options.target == b.name) return b.make(std::move(graph), options);
  fail_user(ErrorKind::invalid_input, "unknown target '{}' (known: cpu, ref)", options.target);
}

}  // namespace tessera::api
