// SPDX-License-Identifier: Apache-2.0
// Generated loops as kernels of the runtime.
#include "backend/cpu/loop_kernels.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "backend/cpu/parallel.h"
#include "base/check.h"
#include "base/hash.h"
#include "codegen/loop_kernel.h"

namespace tessera::backend::cpu {
namespace {

// Rough speed of generated code on one core.
constexpr double ns_per_flop = 0.1, ns_per_byte = 0.06;

class JitKernel : public runtime::Kernel {
 public:
  JitKernel(std::shared_ptr<codegen::Jit> jit, const codegen::LoopKernel& kernel)
      : jit_(std::move(jit)), kernel_(kernel) {
    const double ns = static_cast<double>(kernel.rows) *
                      (kernel.flops_per_row * ns_per_flop + kernel.bytes_per_row * ns_per_byte);
    useful_threads_ = useful_threads(ns);
  }

  void run(const runtime::KernelArgs& args) const override {
    std::atomic<int64_t> error{0};
    const auto work = [&](int64_t begin, int64_t end) {
      if (const int64_t code = kernel_.run(args.src, args.dst, begin, end))
        error.store(code, std::memory_order_relaxed);
    };
    parallel_for(std::min(args.threads, useful_threads_), kernel_.rows, work);
    TESSERA_USER_CHECK(error.load() == 0, "an index lies outside the tensor that it selects from");
  }

  std::string implementation() const override { return "loops"; }

 private:
  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  codegen::LoopKernel kernel_;
  int useful_threads_ = 1;
};

void add_expression(Hasher& hasher, const ir::ExprPool& pool, ir::ExprId root) {
  // Nodes in the order of a walk from the root, so that unused nodes of the pool do not count.
  std::map<ir::ExprId, int64_t> numbers;
  const std::function<int64_t(ir::ExprId)> visit = [&](ir::ExprId id) -> int64_t {
    if (const auto at = numbers.find(id); at != numbers.end()) return at->second;
    const ir::ExprNode& n = pool.node(id);
    std::vector<int64_t> args;
    for (ir::ExprId a : n.args) args.push_back(visit(a));
    hasher.add(int64_t{static_cast<int>(n.kind)}).add(int64_t{static_cast<int>(n.type)});
    hasher.add(int64_t{static_cast<int>(n.prim)}).add(int64_t{static_cast<int>(n.reduction)});
    hasher.add(int64_t{static_cast<int>(n.var.kind)}).add(int64_t{n.var.number});
    hasher.add(int64_t{n.input}).add(n.bits).add(static_cast<int64_t>(args.size()));
    for (int64_t a : args) hasher.add(a);
    const auto number = static_cast<int64_t>(numbers.size());
    numbers.emplace(id, number);
    return number;
  };
  hasher.add(visit(root));
}

Hash128 hash_of(const ir::Meaning& meaning) {
  Hasher hasher;
  for (const ir::ValueType& type : meaning.inputs) hasher.add(type.to_string());
  for (const ir::MeaningOutput& o : meaning.outputs) {
    hasher.add(sym::to_string(o.shape));
    add_expression(hasher, *meaning.pool, o.body.id);
  }
  return hasher.finish();
}

}  // namespace

std::vector<std::shared_ptr<const runtime::Kernel>> make_loop_kernels(
    std::vector<ir::Meaning> meanings, std::shared_ptr<DiskCache> cache) {
  std::vector<const ir::Meaning*> distinct;
  std::map<Hash128, size_t> known;
  std::vector<size_t> which;
  for (const ir::Meaning& m : meanings) {
    const auto [at, inserted] = known.emplace(hash_of(m), distinct.size());
    if (inserted) distinct.push_back(&m);
    which.push_back(at->second);
  }
  if (distinct.empty()) return {};
  const auto jit = std::make_shared<codegen::Jit>(
      codegen::JitOptions{.dump = nullptr, .cache = std::move(cache)});
  const std::vector<codegen::LoopKernel> compiled = jit->compile(distinct);
  std::vector<std::shared_ptr<const runtime::Kernel>> kernels;
  for (size_t number : which) kernels.push_back(std::make_shared<JitKernel>(jit, compiled[number]));
  return kernels;
}

}  // namespace tessera::backend::cpu
