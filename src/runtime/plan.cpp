// SPDX-License-Identifier: Apache-2.0
// Runs plans: resolves operands to addresses and launches kernels in order.
#include "runtime/plan.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/check.h"

namespace tessera::runtime {
namespace {

// Kernels with more operands than this (a concat of hundreds of parts) take their table from the
// heap.
constexpr size_t few = 64;

struct Addresses {
  std::array<std::byte*, few> inline_storage;
  std::vector<std::byte*> heap;
  std::byte** at = nullptr;

  explicit Addresses(size_t count) {
    if (count > few) heap.resize(count);
    at = count > few ? heap.data() : inline_storage.data();
  }
};

}  // namespace

void Program::execute(std::byte* arena, const std::byte* const* inputs, std::byte* const* outputs,
                      int threads) const {
  const auto resolve = [&](const Operand& o) -> std::byte* {
    switch (o.space) {
      case Operand::Space::none: return nullptr;
      case Operand::Space::arena: return arena + o.offset;
      case Operand::Space::constant:
        return const_cast<std::byte*>(constants[o.index].data()) + o.offset;
      case Operand::Space::input: return const_cast<std::byte*>(inputs[o.index]) + o.offset;
      case Operand::Space::output: return outputs[o.index] + o.offset;
    }
    return nullptr;
  };
  for (const Launch& launch : launches) {
    Addresses table(launch.src.size() + launch.dst.size());
    std::byte** next = table.at;
    for (const Operand& o : launch.src) *next++ = resolve(o);
    for (const Operand& o : launch.dst) *next++ = resolve(o);
    launch.kernel->run({.src = table.at,
                        .dst = table.at + launch.src.size(),
                        .scratch = arena + launch.scratch,
                        .threads = threads});
  }
}

// A workspace for the time of one run.
class Plan::Lease {
 public:
  explicit Lease(Plan& plan) : plan_(plan) {
    {
      const std::lock_guard lock(plan_.mutex_);
      if (!plan_.idle_.empty()) {
        workspace_ = std::move(plan_.idle_.back());
        plan_.idle_.pop_back();
        return;
      }
    }
    workspace_ = plan_.make_workspace();
  }
  ~Lease() {
    const std::lock_guard lock(plan_.mutex_);
    plan_.idle_.push_back(std::move(workspace_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Workspace& operator*() const { return *workspace_; }

 private:
  Plan& plan_;
  std::unique_ptr<Workspace> workspace_;
};

Plan::Plan(Program program, std::vector<Port> inputs, std::vector<Port> outputs, int threads)
    : program_(std::move(program)),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      threads_(threads) {
  idle_.push_back(make_workspace());
}

Plan::~Plan() = default;

std::unique_ptr<Plan::Workspace> Plan::make_workspace() const {
  auto workspace = std::make_unique<Workspace>();
  workspace->arena = Tensor(DType::u8, {static_cast<int64_t>(program_.arena_bytes)});
  workspace->inputs.reserve(inputs_.size());
  return workspace;
}

void Plan::resolve(std::span<const Tensor> inputs, std::vector<const std::byte*>& addresses) const {
  TESSERA_USER_CHECK(inputs.size() == inputs_.size(), "expected {} inputs, found {}",
                     inputs_.size(), inputs.size());
  addresses.clear();
  for (size_t k = 0; k < inputs.size(); ++k) {
    const Port& port = inputs_[k];
    TESSERA_USER_CHECK(inputs[k].type() == port.type && inputs[k].shape() == port.shape,
                       "input '{}' is {}{}, expected {}{}", port.name, to_string(inputs[k].type()),
                       shape_to_string(inputs[k].shape()), to_string(port.type),
                       shape_to_string(port.shape));
    addresses.push_back(inputs[k].data());
  }
}

void Plan::run_into(std::span<const Tensor> inputs, std::span<std::byte* const> outputs) {
  TESSERA_CHECK(outputs.size() == outputs_.size());
  const Lease lease(*this);
  Workspace& w = *lease;
  resolve(inputs, w.inputs);
  program_.execute(w.arena.mutable_data(), w.inputs.data(), outputs.data(), threads_);
}

std::vector<Tensor> Plan::run(std::span<const Tensor> inputs) {
  std::vector<Tensor> results;
  std::vector<std::byte*> addresses;
  for (const Port& port : outputs_) {
    results.emplace_back(port.type, port.shape);
    addresses.push_back(results.back().mutable_data());
  }
  run_into(inputs, addresses);
  return results;
}

size_t Plan::constant_bytes() const {
  size_t total = 0;
  for (const Tensor& t : program_.constants) total += t.bytes();
  return total;
}

std::vector<double> Plan::profile(std::span<const Tensor> inputs, int repeats) {
  using Clock = std::chrono::steady_clock;
  const Lease lease(*this);
  Workspace& w = *lease;
  resolve(inputs, w.inputs);
  std::vector<Tensor> results;
  std::vector<std::byte*> outputs;
  for (const Port& port : outputs_) {
    results.emplace_back(port.type, port.shape);
    outputs.push_back(results.back().mutable_data());
  }
  std::vector<double> best(program_.launches.size(), 1e30);
  Program one;
  one.constants = program_.constants;
  for (int repeat = 0; repeat <= repeats; ++repeat)
    for (size_t k = 0; k < best.size(); ++k) {
      one.launches.assign(1, program_.launches[k]);
      const auto start = Clock::now();
      one.execute(w.arena.mutable_data(), w.inputs.data(), outputs.data(), threads_);
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      if (repeat > 0) best[k] = std::min(best[k], seconds);
    }
  return best;
}

}  // namespace tessera::runtime
