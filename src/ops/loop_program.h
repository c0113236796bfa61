// SPDX-License-Identifier: Apache-2.0
// A meaning's output as a program over registers of lanes: nodes are hoisted to the outermost
// reduction loop in which their variables are known, index arithmetic is folded into affine sums,
// and what a guard keeps from being read is computed but never used.
#pragma once

#include <array>
#include <deque>
#include <span>
#include <vector>

#include "ir/meaning.h"
#include "types/tensor.h"

namespace tessera::ops {

using Register = uint32_t;
inline constexpr Register no_register = UINT32_MAX;

struct Instruction {
  enum class Op : uint8_t {
    primitive,     ///< dst = prim(args)
    select,        ///< dst = args[0] ? args[1] : args[2]
    cast,          ///< dst = args[0] from `type` to `to`
    sum,           ///< dst = constant + Σ terms; `detail` in sums
    not_negative,  ///< dst = lanes args[0] + uniform args[1] + constant >= 0; `detail` in sums
    load,          ///< dst = element; `detail` in loads
    outside,       ///< dst = an index of the read lies outside; `detail` in checks
    reduce,        ///< `detail` in loops
  };
  Op op = Op::primitive;
  ir::Prim prim = ir::Prim::add;
  DType type = DType::f64;  ///< of the operands
  DType to = DType::f64;
  bool rounds = false;     ///< the result is rounded to f32
  bool summarize = false;  ///< bounds and contiguity of the lanes are wanted
  Register dst = no_register;
  std::array<Register, 3> args = {no_register, no_register, no_register};
  uint32_t detail = 0;
};

struct LaneSum {
  int64_t constant = 0;
  std::vector<std::pair<Register, int64_t>> terms;
};

/// Element `constant + lanes + uniform` of an input; either register may be absent.
struct LaneLoad {
  uint32_t input = 0;
  int64_t constant = 0;
  Register lanes = no_register, uniform = no_register;
};

struct BoundsCheck {
  std::vector<std::pair<Register, int64_t>> indices;  ///< index, extent
};

struct ReduceLoop {
  ir::Reduction reduction = ir::Reduction::sum;
  DType type = DType::f64;
  Register variable = no_register, extent = no_register;
  std::vector<Instruction> code;
  Register value = no_register;   ///< of one iteration, or the product
  Register factor = no_register;  ///< … of value and factor
  Register poison = no_register;  ///< of one iteration
  Register total = no_register, any_poison = no_register;
};

/// A value is "poisoned" in the lanes where computing it read outside a tensor without a guard.
struct LoopProgram {
  Register registers = 0;
  std::vector<std::pair<Register, uint32_t>> axes;      ///< output variables that occur
  std::vector<std::pair<Register, int64_t>> constants;  ///< as bits
  std::vector<Instruction> code;
  std::deque<LaneSum> sums;
  std::deque<LaneLoad> loads;
  std::deque<BoundsCheck> checks;
  std::deque<ReduceLoop> loops;
  Register result = no_register;
  Register poison = no_register;  ///< absent: no read can leave its tensor
  bool reduces = false;
  double work_per_lane = 1;  ///< instructions, estimated
};

/// Throws UserError when a size is unbound.
LoopProgram compile_loops(const ir::Meaning& meaning, size_t output, std::span<const Shape> inputs,
                          bool wide);

}  // namespace tessera::ops
