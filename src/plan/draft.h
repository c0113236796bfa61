// SPDX-License-Identifier: Apache-2.0
// A program in the making: values and the steps that compute them, before memory is assigned. The
// planner's passes change a draft in place; emit() turns it into a runtime::Program.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codegen/target.h"
#include "ir/graph.h"
#include "ir/meaning.h"

namespace tessera::plan {

using ValueId = uint32_t;
inline constexpr ValueId no_value = ~ValueId{0};

/// How a value lies in the memory of another one, without being copied.
struct Alias {
  ValueId base = no_value;       ///< a value that is not an alias
  int64_t offset = 0;            ///< in elements
  std::vector<int64_t> strides;  ///< per axis, in elements
};

struct Value {
  DType dtype = DType::f32;
  Shape shape;
  std::optional<Tensor> constant;
  int input = -1;          ///< number of the graph input
  std::vector<int> order;  ///< axes from the outermost to the innermost in memory; empty: row-major
  std::optional<Alias> alias;

  int64_t elements() const { return *element_count(shape); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype); }
};

/// One kernel. `loops` computes the single output of `meaning`; the sources are its inputs.
/// `direct` is a library kernel on row-major memory that takes no epilogue; `lines` is a chain of
/// convolutions whose kernel exists.
struct Step {
  enum class Kind : uint8_t { loops, library, direct, scan, opaque, copy, lines };
  Kind kind = Kind::loops;
  std::vector<ValueId> src, dst;  ///< a source may be no_value
  ir::Meaning meaning;            ///< of loops
  std::string op;                 ///< the record's name, but for loops made by fusion
  ir::AttrMap attrs;
  std::vector<std::shared_ptr<const ir::Graph>> regions;
  std::vector<codegen::PostOp> post;         ///< of library; its operands are appended to src
  std::shared_ptr<const tile::File> kernel;  ///< of a direct step that a tile program computes
  std::shared_ptr<const codegen::IntegerProducts> integers;  ///< of a library step of 8 bits
  std::shared_ptr<const ir::Meaning> score;           ///< of attention, see codegen::LibraryRequest
  double scale = 1;                                   ///< of attention
  std::shared_ptr<const codegen::HiddenKeys> hidden;  ///< of attention
  std::vector<std::string> names;                     ///< operators computed, in order
  std::vector<std::string> nodes;                     ///< the name of the source node of each
  /// Sources of loops that are read only where the destination is written, element by element: the
  /// destination may take their memory.
  std::vector<ValueId> in_place;
  std::shared_ptr<const runtime::Kernel> made;  ///< of lines
  double flops = 0, bytes = 0;                  ///< predicted, once the meaning is gone
  bool dead = false;
};

struct Draft {
  std::vector<Value> values;
  std::vector<Step> steps;  ///< in an order of execution
  std::vector<ValueId> inputs, outputs;

  ValueId add_value(DType dtype, Shape shape) {
    Value v;
    v.dtype = dtype;
    v.shape = std::move(shape);
    values.push_back(std::move(v));
    return static_cast<ValueId>(values.size() - 1);
  }
  /// The value whose memory holds `v`.
  ValueId root(ValueId v) const { return values[v].alias ? values[v].alias->base : v; }
};

}  // namespace tessera::plan
