// SPDX-License-Identifier: Apache-2.0
// Tile programs: what one block (GPU) or one task (CPU) computes, in terms of tiles, blocks of
// elements along named axes.
//
//   program softmax(x: f32[R, C]) -> (y: f32[R, C])
//   grid i < R
//   var m[i]: f32 = -inf
//   for j < C { m = max(m, max(j: x[i, j])) }
//   var s[i]: f32 = 0.0
//   for j < C { s = s + sum(j: exp(x[i, j] - m)) }
//   for j < C { y[i, j] = exp(x[i, j] - m) / s }
//
// An axis is cut into blocks; its block size belongs to the schedule and may be any number. One
// program runs for each combination of blocks of the grid's axes; a loop takes the blocks of its
// axis one after the other. The name of an axis is the tile of its indices in the current block
// (program_id(i) · size + range); `program_id(i)` is the block's number. Every expression is a tile
// over the axes that it depends on, and operands are broadcast by name. The last block of an axis
// holds fewer elements: indices beyond the extent do not exist for loads, reductions and stores.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/meaning.h"
#include "types/tensor.h"

namespace tessera::tile {

using NodeId = uint32_t;
using AxisId = uint32_t;
inline constexpr uint32_t none = ~uint32_t{0};

enum class Kind : uint8_t {
  constant,
  size,        ///< a symbolic size, i64
  index,       ///< the indices of an axis, i64
  program_id,  ///< the number of the current block of an axis, i64
  load,        ///< an element of a parameter at indices; where a mask is false, zero
  variable,    ///< the value that a variable holds
  primitive,   ///< a scalar primitive, element by element (`select` evaluates both sides)
  cast,
  reduce,  ///< over the elements of some axes in their current blocks
  dot,     ///< Σ over axes of the product of two tiles
};

struct Node {
  Kind kind = Kind::constant;
  DType type = DType::i64;
  ir::Prim prim = ir::Prim::add;
  ir::Reduction reduction = ir::Reduction::sum;
  uint32_t target = none;  ///< axis, parameter or variable
  int64_t bits = 0;        ///< of a constant: as ir::ExprNode::bits
  sym::Expr size;          ///< of a size
  bool masked = false;     ///< of a load: the last argument is its mask
  std::vector<NodeId> args;
  std::vector<AxisId> reduced;  ///< of reduce and dot
  std::vector<AxisId> axes;     ///< what the tile spans, ascending
};

struct Axis {
  std::string name;
  sym::Expr extent;
};
struct Param {
  std::string name;
  DType type = DType::f32;
  ir::Dims shape;
};
struct Variable {
  std::string name;
  DType type = DType::f32;
  std::vector<AxisId> axes;
};

struct Statement {
  enum class Kind : uint8_t { define, assign, store, loop };
  Kind kind = Kind::assign;
  uint32_t target = none;       ///< variable (define, assign), parameter (store) or axis (loop)
  NodeId value = none;          ///< of define, assign and store
  std::vector<NodeId> indices;  ///< of a store
  NodeId mask = none;           ///< of a store; none: everywhere
  int line = 0;                 ///< of the text that it was read from, for messages
  std::vector<Statement> body;  ///< of a loop
};

struct Program {
  std::string name;
  std::vector<Param> params;  ///< inputs, then results
  size_t inputs = 0;
  std::vector<Axis> axes;
  std::vector<AxisId> grid;  ///< outermost first
  std::vector<Variable> variables;
  std::vector<Node> nodes;  ///< operands before what uses them
  std::vector<Statement> body;

  /// Appends a node after deriving its type (but for constants, casts and loads) and axes. Throws
  /// UserError when operands do not fit.
  NodeId add(Node node);
  NodeId real(double value, DType type = DType::f32);
  NodeId integer(int64_t value);
};

/// Block sizes by axis; an axis that is not named is one block.
struct Schedule {
  std::map<std::string, int64_t> blocks;
};

/// A program in the text language `.tsr` that says what a tile program computes.
struct Reference {
  std::string text;
  int line = 1;  ///< of the file, where the text begins
};

/// A program with a schedule and the references that it claims to equal, as a `.tile` file holds
/// them: the program, `schedule i = 6, j = 96`, and `reference` with a text up to the next line
/// that says `reference`, or the end of the file. Several references are several graphs that it may
/// stand for.
struct File {
  Program program;
  Schedule schedule;
  std::vector<Reference> references;
};

std::string print(const Program& program);
std::string print(const Schedule& schedule);
std::string print(const File& file);
/// Throws UserError "name:line:column: …". The result is verified.
File parse(std::string_view text, const std::string& name = "tile");

/// Throws UserError naming what is wrong: variables used before they are set or outside of their
/// axes, axes used outside of their loops, indices that do not fit, results that programs of the
/// grid would overwrite for each other. With a file's name the message begins with "file:line: ".
void verify(const Program& program, const std::string& file = {});

/// Replaces symbolic sizes; what is left may still be symbolic.
Program bind(const Program& program, const std::map<std::string, int64_t>& sizes);
/// Sizes of the symbols for which the inputs have these shapes. Throws UserError.
std::map<std::string, int64_t> match_shapes(const Program& program, std::span<const Shape> inputs);

/// Runs every program of the grid in f64 (integers in i64), block by block: the reference of what a
/// program means. REQUIRES: known sizes. Throws UserError when an index lies outside a parameter.
std::vector<Tensor> interpret(const Program& program, const Schedule& schedule,
                              std::span<const Tensor> inputs);

/// The program that computes the meaning's only output: axes of the output that no reduction is
/// independent of are the grid, each reduction a variable and a loop. Throws UserError(unsupported)
/// for what tiles do not express.
Program lower(const ir::Meaning& meaning, const std::string& name);

}  // namespace tessera::tile
