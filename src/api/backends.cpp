// SPDX-License-Identifier: Apache-2.0
// The only place that names concrete backends.
#include "api/engine.h"
#include "api/load.h"
#include "backend/cpu/target.h"
#include "base/check.h"
#include "ops/evaluate.h"
#include "plan/compile.h"

namespace tessera::api {
namespace {

std::unique_ptr<codegen::Target> make_cpu_target(const Options& options) {
  const auto cache = std::make_shared<DiskCache>(
      DiskCacheOptions{.folder = options.cache_folder, .require_hit = options.require_cache_hit});
  if (!cache->refusal().empty())
    warn(options, "compiled kernels are not kept: " + cache->refusal());
  return backend::cpu::make_target({.cache = cache});
}

class CpuProgram : public Program {
 public:
  CpuProgram(const ir::Graph& graph, const Options& options) {
    plan::CompileOptions compiling;
    compiling.threads = thread_count(options);
    compiling.fuse = options.fuse;
    plan_ = plan::compile(graph, *make_cpu_target(options), compiling);
  }
  std::vector<Tensor> run(const std::vector<Tensor>& inputs) override { return plan_->run(inputs); }
  size_t peak_bytes() const override { return plan_->arena_bytes(); }

 private:
  std::unique_ptr<runtime::Plan> plan_;
};

class ReferenceProgram : public Program {
 public:
  ReferenceProgram(const ir::Graph& graph, const Options& options)
      : graph_(graph), threads_(thread_count(options)) {}
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
std::unique_ptr<Program> make(const ir::Graph& graph, const Options& options) {
  return std::make_unique<T>(graph, options);
}

struct Backend {
  const char* name;
  std::unique_ptr<Program> (*make)(const ir::Graph&, const Options&);
};
constexpr Backend backends[] = {{"cpu", make<CpuProgram>}, {"ref", make<ReferenceProgram>}};

}  // namespace

std::vector<std::string> targets() {
  std::vector<std::string> names;
  for (const Backend& b : backends) names.emplace_back(b.name);
  return names;
}

std::unique_ptr<Program> compile(const ir::Graph& graph, const Options& options) {
  require_concrete(graph);
  for (const Backend& b : backends)
    if (options.target == b.name) return b.make(graph, options);
  fail_user(ErrorKind::invalid_input, "unknown target '{}' (known: cpu, ref)", options.target);
}

}  // namespace tessera::api
