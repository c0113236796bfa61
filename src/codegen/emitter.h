// SPDX-License-Identifier: Apache-2.0
// Writes one kernel as an LLVM function. Every node is emitted once per scope, in the outermost
// scope (kernel, row, lanes, reduction loops) that binds its variables.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "codegen/loop_nest.h"

namespace llvm {
class AllocaInst;
class BasicBlock;
class Function;
class IRBuilderBase;
class Module;
class PHINode;
class Value;
}  // namespace llvm

namespace tessera::codegen {

class Emitter {
 public:
  /// Appends to `module` a function `name` with the signature of KernelFn.
  Emitter(LoopNest& nest, llvm::IRBuilderBase& builder, llvm::Module& module);
  void emit(const std::string& name);

 private:
  using ExprId = ir::ExprId;
  using Terms = std::vector<std::pair<ExprId, int64_t>>;

  struct Scope {
    VarMask variables = 0;
    VarMask lane = 0;                   ///< the variable that runs over lanes here
    llvm::Value* mask = nullptr;        ///< lanes that count; null: all
    llvm::Value* counter = nullptr;     ///< of the loop (first lane, where there are lanes)
    llvm::BasicBlock* block = nullptr;  ///< where code is appended
    std::unordered_map<ExprId, llvm::Value*> values, poisons, narrow, reciprocals;
    std::map<Terms, llvm::Value*> sums;
  };
  struct Loop {
    llvm::BasicBlock *header = nullptr, *exit = nullptr;
    llvm::PHINode* counter = nullptr;
    llvm::Value* start = nullptr;
    int64_t step = 1;
  };
  /// scalar + vector (either may be null) + constant; `lane_stride` is the coefficient of the lane
  /// variable when nothing else varies over lanes.
  struct Index {
    llvm::Value* scalar = nullptr;
    llvm::Value* vector = nullptr;
    int64_t constant = 0;
    int64_t lane_stride = 0;
    bool is_plain = true;
    ops::Interval range{0, 0};  ///< of the vector part
  };

  // emitter.cpp: scopes and values
  llvm::IRBuilderBase& at(size_t scope);
  size_t scope_of(VarMask mask) const;
  VarMask lane_bit() const;
  bool is_lane(VarMask mask) const { return (mask & lane_bit()) != 0; }
  llvm::Value* mask() const;
  llvm::Value* integer(int64_t value);
  Loop open(llvm::Value* start, llvm::Value* limit, int64_t step, VarMask variables);
  void close(const Loop& loop);
  void unroll(int64_t count, VarMask variables, const std::function<void()>& body);
  llvm::BasicBlock* new_block(const char* name);
  llvm::AllocaInst* new_cell(llvm::Value* initial, size_t scope);
  std::vector<Scope> hide_above(size_t scope);
  void restore(size_t scope, std::vector<Scope> hidden);
  llvm::Value* value(ExprId id);
  llvm::Value* make_value(ExprId id, size_t scope);
  llvm::Value* kept_value(ExprId id, size_t scope);
  void keep(ExprId id, size_t scope, llvm::Value* v);
  llvm::Value* primitive(ExprId id, size_t scope);
  bool is_shared_count(const ir::ExprNode& division) const;
  llvm::Value* reciprocal(ExprId count);
  llvm::Value* counter(ir::Var var);
  llvm::Value* condition(ExprId id, size_t scope);
  llvm::Value* widened(llvm::Value* v, int lanes);
  llvm::Value* poison(ExprId id);
  llvm::Value* make_poison(ExprId id, size_t scope);
  llvm::Value* either(size_t scope, llvm::Value* a, llvm::Value* b);
  void emit_row(llvm::Value* row);
  void for_segments(llvm::Value* first, llvm::Value* limit, bool is_tile,
                    const std::function<void()>& body);
  void for_lanes(llvm::Value* first, llvm::Value* limit, VarMask variable, bool has_rest,
                 const std::function<void()>& body);
  void emit_stores();
  void emit_interleaved();
  void report(llvm::Value* bad);

  // emit_guard.cpp: selects that are decided once for many lanes
  std::vector<int64_t> lane_cuts();
  bool is_melted(const ir::ExprNode& n) const;
  std::optional<bool> decided(ExprId condition);
  bool is_worth_a_branch(const ir::ExprNode& select) const;
  llvm::Value* branch(const ir::ExprNode& select, size_t scope);
  bool leaves_branch(size_t scope) const;
  void find_interior();
  std::pair<std::optional<std::pair<uint32_t, int64_t>>, int64_t> least_room(
      const ops::Affine& room);
  void for_interior(const std::function<void()>& body);

  // emit_index.cpp: index arithmetic and reads
  Index index(const ops::Affine& affine);
  llvm::Value* scalar_sum(const ops::Affine& affine);
  llvm::Value* lane_numbers(int bits, int64_t stride);
  llvm::Value* between(llvm::Value* vector, ops::Interval range, llvm::Value* offset, int64_t size);
  llvm::Value* narrow_value(ExprId id);
  llvm::Value* affine_value(const ops::Affine& affine, size_t scope);
  llvm::Value* compare(const ops::Affine& room, size_t scope);
  llvm::Value* read(ExprId id, size_t scope);
  void prefetch_next_row(ExprId id, llvm::Value* address);
  void prefetch_own_row(ExprId reduce);
  void prefetch(llvm::Value* address, int64_t bytes, bool to_write);
  bool is_strided(const Index& part) const;
  llvm::Value* strided_load(const ir::ExprNode& n, const Index& part, llvm::Value* offset,
                            int64_t size);
  llvm::Value* outside(llvm::Value* index, int64_t extent, size_t scope);

  // emit_reduce.cpp: reductions
  struct Reduction {
    LoopNest::Chain chain;
    int lane = -1;
    ir::Prim combine = ir::Prim::add;
    DType type = DType::f32;
    llvm::AllocaInst* total = nullptr;
    llvm::AllocaInst* poisoned = nullptr;
    int64_t unrolled = 1;           ///< copies of the body so far
    llvm::Value* active = nullptr;  ///< lanes in which the iteration counts; null: all
  };
  llvm::Value* reduce(ExprId id, size_t scope);
  void reduce_loops(Reduction& r, size_t depth);
  void reduce_lanes(Reduction& r);
  void reduce_body(Reduction& r);

  /// A row of values that a reduction's loop stores for later loops.
  struct Kept {
    ExprId reduce = 0;
    llvm::Value* row = nullptr;
    bool stored = false;
  };

  LoopNest& nest_;
  RowReuse reuse_;
  std::map<ExprId, Kept> kept_;   ///< by the earlier loop's node
  std::vector<ExprId> reducing_;  ///< reductions whose loops over lanes are being emitted
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* cells_ = nullptr;  ///< entry block, where cells are allocated
  llvm::AllocaInst* error_ = nullptr;
  std::vector<llvm::Value*> src_, dst_;
  std::vector<Scope> scopes_;
  std::map<uint32_t, llvm::Value*> row_variables_;
  // What is copied into branches and unrolled bodies could grow exponentially.
  int branches_ = 0;
  int64_t copies_ = 1;
  /// The part of the inner axis that the loop over lanes being emitted covers.
  std::optional<ops::Interval> segment_;
  std::vector<size_t> branch_scopes_;  ///< of the branches being emitted
  /// Rows in which all of some conditions hold, whatever the variables of reductions are: where the
  /// windows of a pooling lie inside the image.
  struct Interior {
    std::map<uint32_t, ops::Interval> where;  ///< by output variable of the rows
    std::set<ExprId> conditions;
  } interior_;
  bool in_interior_ = false;  ///< a copy of the row for the interior is being emitted
  /// Conditions on the way to the node being emitted that do not decide whether it is executed.
  int soft_conditions_ = 0;
  llvm::Value* store_offset_ = nullptr;  ///< of the element or the first lane to be stored
};

}  // namespace tessera::codegen
