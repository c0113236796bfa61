// SPDX-License-Identifier: Apache-2.0
// Which kernel the CPU uses for what the planner asks.
#include "backend/cpu/target.h"

#include <algorithm>

#include "backend/cpu/contraction_kernels.h"
#include "backend/cpu/direct.h"
#include "backend/cpu/loop_kernels.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/parallel.h"
#include "base/check.h"

namespace tessera::backend::cpu {
namespace {

class CpuTarget : public codegen::Target {
 public:
  explicit CpuTarget(TargetOptions options)
      : options_(std::move(options)), contractions_(options_.cache) {}
  std::string name() const override { return "cpu"; }

  std::vector<std::shared_ptr<const runtime::Kernel>> make_loops(
      std::vector<ir::Meaning> meanings) override {
    contractions_.finish();
    return make_loop_kernels(std::move(meanings), options_.cache);
  }

  bool takes_rounded(const codegen::LibraryRequest& request) override {
    return options_.use_generated && contractions_.takes_rounded(request);
  }
  bool has_lines(const codegen::LibraryRequest& request) override {
    return options_.use_generated && contractions_.has_lines(request);
  }
  double gain_of_lines(const codegen::LineRequest& request) override {
    return options_.use_generated ? contractions_.gain_of_lines(request) : 0;
  }
  std::shared_ptr<const runtime::Kernel> make_lines(const codegen::LineRequest& request) override {
    return options_.use_generated ? contractions_.make_lines(request) : nullptr;
  }

  std::shared_ptr<const runtime::Kernel> make_library(
      const codegen::LibraryRequest& request) override {
    if (request.op == "attention") return contractions_.make_attention(request);
    if (codegen::is_rounded(request) || request.precision != codegen::Precision::f32)
      return options_.use_generated ? contractions_.make(request, true) : nullptr;
    if (request.kernel) return contractions_.make_program(request);
    if (request.op == "concat") return make_concat(request);
    if (request.op.starts_with("scatter_")) return make_scatter(request);
    if (request.op.starts_with("cum_")) return make_cumulative(request);
    const bool only = !options_.use_library || request.generated_only;
    // Without instructions for them, sums of products of 8 bits saturate on the way.
    if (request.integers && (only || !codegen::host_vector_unit().has_i16)) return nullptr;
    if (options_.use_generated && !request.integers)
      if (auto kernel = contractions_.make(request, only)) return kernel;
    if (only) return nullptr;
    try {
      LibraryRequest limited = request;
      if (request.flops > 0)
        limited.threads = std::min(
            request.threads, useful_threads(product_nanoseconds(request.flops, request.bytes)));
      return request.op == "matmul" ? make_matmul(limited) : make_convolution(limited);
    } catch (const dnnl::error& e) {
      // Some forms of integers fail only when their code is made.
      if (request.integers) return nullptr;
      if (e.status == dnnl_unimplemented || e.status == dnnl_invalid_arguments) return nullptr;
      throw InternalError(fmt::format("oneDNN: {} ({})", e.what(), request.op));
    }
  }

 private:
  TargetOptions options_;
  ContractionKernels contractions_;
};

}  // namespace

std::unique_ptr<codegen::Target> make_target(TargetOptions options) {
  return std::make_unique<CpuTarget>(std::move(options));
}

}  // namespace tessera::backend::cpu
