// SPDX-License-Identifier: Apache-2.0
// A compiled program: kernel launches in a fixed order over one memory arena. Needs neither the
// compiler nor the graph it was made from.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "runtime/kernel.h"
#include "types/tensor.h"

namespace tessera::runtime {

/// Memory that a launch reads or writes: a place in the arena, or in one of the tensors that the
/// plan holds (constants) or is given (inputs, outputs).
struct Operand {
  enum class Space : uint8_t { none, arena, constant, input, output };
  Space space = Space::none;  ///< none: an absent operand, a null pointer
  uint32_t index = 0;         ///< of the constant, input or output
  size_t offset = 0;          ///< in bytes
};

/// One kernel with its memory, and what is told about it.
struct Launch {
  std::shared_ptr<const Kernel> kernel;
  std::vector<Operand> src, dst;
  size_t scratch = 0;              ///< the offset of its scratch memory in the arena
  std::string name;                ///< "conv+relu", "softmax", …
  std::vector<std::string> nodes;  ///< names of the source nodes it computes
  double flops = 0;                ///< predicted
  double bytes = 0;                ///< predicted memory traffic
  double constant_bytes = 0;       ///< the part of it that reads constants
};

/// Launches and the memory they need; knows no names and owns no arena.
struct Program {
  std::vector<Launch> launches;
  std::vector<Tensor> constants;
  size_t arena_bytes = 0;

  /// Runs all launches in order. `arena` has arena_bytes bytes and is 64-byte aligned.
  void execute(std::byte* arena, const std::byte* const* inputs, std::byte* const* outputs,
               int threads) const;
};

/// Name and type of an input or output.
struct Port {
  std::string name;
  DType type = DType::f32;
  Shape shape;
};

/// A program ready to run. Thread-safe: runs at the same time have arenas of their own, which are
/// kept for later ones.
class Plan {
 public:
  Plan(Program program, std::vector<Port> inputs, std::vector<Port> outputs, int threads);

  /// Throws UserError when an input has the wrong type or shape, or holds a wrong index. The
  /// results are new tensors.
  std::vector<Tensor> run(std::span<const Tensor> inputs);
  /// The same into memory of the caller's: outputs[k] has the bytes of output k. Allocates nothing
  /// once as many runs at the same time were made before.
  void run_into(std::span<const Tensor> inputs, std::span<std::byte* const> outputs);

  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  const Program& program() const { return program_; }
  const std::vector<Launch>& launches() const { return program_.launches; }
  /// Exchanges the kernel of one launch. REQUIRES: the same computation, no more scratch memory
  /// than the launch has; no run is in progress.
  void replace_kernel(size_t launch, std::shared_ptr<const Kernel> kernel) {
    program_.launches[launch].kernel = std::move(kernel);
  }
  size_t arena_bytes() const { return program_.arena_bytes; }
  size_t constant_bytes() const;
  int threads() const { return threads_; }
  /// Seconds that each launch takes: the least of `repeats` runs, after one to warm up.
  std::vector<double> profile(std::span<const Tensor> inputs, int repeats);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan();

 private:
  // What one run needs besides what it is given.
  struct Workspace {
    Tensor arena;
    std::vector<const std::byte*> inputs;
  };
  class Lease;

  std::unique_ptr<Workspace> make_workspace() const;
  void resolve(std::span<const Tensor> inputs, std::vector<const std::byte*>& addresses) const;

  Program program_;
  std::vector<Port> inputs_, outputs_;
  int threads_;
  std::mutex mutex_;  ///< of idle_
  std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace tessera::runtime
