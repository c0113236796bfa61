// SPDX-License-Identifier: Apache-2.0
// Writes one tile program as an LLVM function. Code is appended in the order in which it runs; what
// does not depend on the axes of a loop is computed before the loop is opened.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "tile/places.h"

namespace llvm {
class AllocaInst;
class BasicBlock;
class Function;
class IRBuilderBase;
class Module;
class Type;
class Value;
}  // namespace llvm

namespace tessera::codegen {

class TileEmitter {
 public:
  TileEmitter(const tile::Program& program, const tile::Schedule& schedule,
              llvm::IRBuilderBase& builder, llvm::Module& module);
  /// Appends a function with the signature of KernelFn.
  void emit(const std::string& name);

  /// Elements of an axis in one block, at most.
  static int64_t block_size(const tile::Program& p, const tile::Schedule& s, tile::AxisId a);
  static int64_t programs(const tile::Program& p, const tile::Schedule& s);

 private:
  using AxisId = tile::AxisId;
  using NodeId = tile::NodeId;
  using Place = tile::Place;
  using Axes = std::set<AxisId>;

  struct Block {
    llvm::Value *number = nullptr, *first = nullptr, *count = nullptr;
  };
  /// The axis whose elements are in lanes, and which lanes count (null: all).
  struct Lane {
    AxisId axis = tile::none;
    llvm::Value* mask = nullptr;
  };
  struct Cell {
    llvm::AllocaInst* memory = nullptr;
    std::vector<AxisId> axes;      ///< of loops; the others are registers
    std::vector<int64_t> strides;  ///< in elements
    int64_t elements = 1;
    bool is_wide = false;  ///< along the lanes of an axis of the grid
  };
  using Body = std::function<void()>;

  // emit_tile.cpp: the function, loops, statements
  llvm::Value* number(int64_t n);
  llvm::BasicBlock* new_block(const char* name);
  llvm::AllocaInst* new_cell(llvm::Type* type, int64_t elements = 1);
  void open_block(AxisId a, llvm::Value* which);
  void for_range(llvm::Value* first, llvm::Value* end, int64_t step, const Body& body,
                 const std::function<void(llvm::Value*)>& at);
  void for_blocks(AxisId a, const Body& body);
  void for_steps(AxisId a, int width, int unroll, const std::function<void(int)>& body);
  void for_grid(const std::vector<AxisId>& axes, size_t depth, const Body& body);
  void for_axes(std::vector<AxisId> axes, AxisId lane, const std::vector<NodeId>& roots,
                const Axes& inside, const Body& body);
  void choose_grid_lane();
  void statements(const std::vector<tile::Statement>& body);
  void assign(const tile::Statement& s);
  void store(const tile::Statement& s);
  void make_cell(uint32_t variable);
  AxisId best_lane(const std::vector<AxisId>& axes,
                   const std::function<double(AxisId)>& score) const;

  // emit_tile_value.cpp: expressions
  llvm::Value* value(NodeId id);
  llvm::Value* make(NodeId id);
  llvm::Value* lane_numbers();
  llvm::Value* widened_to_lanes(llvm::Value* v);
  llvm::Value* widened(llvm::Value* v);
  llvm::Value* compare_lanes(const tile::Node& n);
  llvm::Value* primitive(const tile::Node& n);
  llvm::Value* first_index(const Place& place);
  llvm::Value* index(const Place& place);
  llvm::Value* both(llvm::Value* a, llvm::Value* b);
  llvm::Value* inside(uint32_t param, std::span<const NodeId> indices, NodeId mask,
                      llvm::Value* active);
  llvm::Value* load(const tile::Node& n);
  bool is_neighbours(const Place& place) const;
  llvm::Value* load_at(DType type, llvm::Value* base, const Place& place, llvm::Value* active);
  void store_at(DType type, llvm::Value* base, const Place& place, llvm::Value* active,
                llvm::Value* v);
  Place cell_place(const Cell& cell, llvm::Value*& base, llvm::Type* element);
  llvm::Value* read_cell(const Cell& cell, DType type);
  void write_cell(const Cell& cell, DType type, llvm::Value* to, llvm::Value* v);
  llvm::Value* reduce(const tile::Node& n);
  void accumulate(const tile::Node& n, llvm::AllocaInst* total);
  void hoist(NodeId id, const Axes& inner, std::set<NodeId>& seen);
  bool reads_itself(NodeId id, uint32_t variable, bool reduced) const;

  const tile::Program& p_;
  const tile::Schedule& schedule_;
  const tile::Places places_;
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* cells_block_ = nullptr;  ///< where cells are allocated
  llvm::AllocaInst* bad_ = nullptr;          ///< whether some index lay outside
  std::vector<llvm::Value*> memory_;         ///< of parameters
  int lanes_ = 16;
  AxisId grid_lane_ = tile::none;
  std::vector<Block> blocks_;           ///< by axis
  std::vector<llvm::Value*> elements_;  ///< by axis: the current one, or the first lane's
  Lane lane_;
  std::vector<Cell> variables_;
  /// Values of the statement being emitted, a map for each loop that is open in it.
  std::vector<std::unordered_map<NodeId, llvm::Value*>> known_;
};

}  // namespace tessera::codegen
