// SPDX-License-Identifier: Apache-2.0
// Tile programs as kernels of the runtime: the programs of the grid are shared among threads.
#include <algorithm>
#include <atomic>

#include "backend/cpu/contraction_kernels.h"
#include "backend/cpu/parallel.h"
#include "base/check.h"
#include "codegen/tile_kernel.h"

namespace tessera::backend::cpu {
namespace {

constexpr double ns_per_operation = 0.1;  // of one thread, roughly

class ProgramKernel : public runtime::Kernel {
 public:
  ProgramKernel(std::shared_ptr<codegen::Jit> jit, Code code, std::string name, double operations)
      : jit_(std::move(jit)),
        code_(std::move(code)),
        name_(std::move(name)),
        useful_threads_(useful_threads(operations * ns_per_operation)) {}

  void run(const runtime::KernelArgs& args) const override {
    if (code_->rows == 0) return;
    TESSERA_CHECK(code_->run, "a kernel is run before it is finished");
    std::atomic<int64_t> error{0};
    parallel_for(std::min(args.threads, useful_threads_), code_->rows,
                 [&](int64_t begin, int64_t end) {
                   if (const int64_t code = code_->run(args.src, args.dst, begin, end))
                     error.store(code, std::memory_order_relaxed);
                 });
    TESSERA_USER_CHECK(error.load() == 0, "kernel '{}': an index lies outside its tensor", name_);
  }

  std::string implementation() const override { return "program " + name_; }

 private:
  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  Code code_;
  std::string name_;
  int useful_threads_ = 1;
};

}  // namespace

std::shared_ptr<const runtime::Kernel> ContractionKernels::make_program(
    const codegen::LibraryRequest& r) {
  if (auto product = make_product(r)) return product;
  const tile::Program& p = r.kernel->program;
  codegen::EmittedKernel emitted = codegen::tile_kernel(p, r.kernel->schedule);
  const double operations = static_cast<double>(emitted.rows) * emitted.flops_per_row;
  const std::string key = "program " + tile::print(p) + tile::print(r.kernel->schedule);
  Code code = compile(key, std::move(emitted));
  return std::make_shared<ProgramKernel>(jit_, std::move(code), p.name, operations);
}

}  // namespace tessera::backend::cpu
