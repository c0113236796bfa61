// SPDX-License-Identifier: Apache-2.0
// The function of a tile program: programs of a range, loops over blocks and elements, statements.
#include "codegen/emit_tile.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <algorithm>

#include "base/check.h"
#include "codegen/emit_math.h"
#include "codegen/emit_scalar.h"
#include "codegen/tile_kernel.h"

namespace tessera::codegen {

using llvm::Value;
using tile::AxisId;
using tile::NodeId;
using tile::Statement;

namespace {

// Of all variables, on a thread's stack.
constexpr int64_t most_cell_bytes = int64_t{1} << 20;
constexpr int64_t most_lanes = 16;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The constant that a value is, or -1.
int64_t known_number(const Value* v) {
  const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(v);
  return constant ? constant->getSExtValue() : -1;
}

}  // namespace

TileEmitter::TileEmitter(const tile::Program& program, const tile::Schedule& schedule,
                         llvm::IRBuilderBase& builder, llvm::Module& module)
    : p_(program),
      schedule_(schedule),
      places_(program),
      b_(builder),
      module_(module),
      blocks_(program.axes.size()),
      elements_(program.axes.size()),
      variables_(program.variables.size()) {}

int64_t TileEmitter::block_size(const tile::Program& p, const tile::Schedule& s, AxisId a) {
  const auto at = s.blocks.find(p.axes[a].name);
  const int64_t extent = std::max<int64_t>(*p.axes[a].extent.constant(), 1);
  return at == s.blocks.end() ? extent : std::min(extent, std::max<int64_t>(at->second, 1));
}

int64_t TileEmitter::programs(const tile::Program& p, const tile::Schedule& s) {
  int64_t count = 1;
  for (AxisId a : p.grid) count *= ceil_div(*p.axes[a].extent.constant(), block_size(p, s, a));
  return count;
}

void TileEmitter::emit(const std::string& name) {
  lanes_ = module_.getModuleFlag(avx512_flag) ? 16 : 8;
  llvm::Type* p = b_.getPtrTy();
  llvm::Type* i = b_.getInt64Ty();
  function_ = llvm::Function::Create(llvm::FunctionType::get(i, {p, p, i, i}, false),
                                     llvm::Function::ExternalLinkage, name, module_);
  function_->setDoesNotThrow();
  cells_block_ = new_block("cells");
  llvm::BasicBlock* entry = new_block("entry");
  b_.SetInsertPoint(entry);
  for (size_t k = 0; k < p_.params.size(); ++k) {
    const size_t at = k < p_.inputs ? k : k - p_.inputs;
    Value* array = function_->getArg(k < p_.inputs ? 0 : 1);
    memory_.push_back(b_.CreateLoad(p, b_.CreateConstGEP1_64(p, array, at)));
  }
  bad_ = new_cell(b_.getInt1Ty());
  b_.CreateStore(b_.getFalse(), bad_);
  choose_grid_lane();
  std::vector<AxisId> walked = p_.grid;
  std::stable_partition(walked.begin(), walked.end(), [&](AxisId a) { return a != grid_lane_; });
  for_range(
      function_->getArg(2), function_->getArg(3), 1,
      [&] { for_grid(walked, 0, [&] { statements(p_.body); }); },
      [&](Value* program) {
        for (size_t k = p_.grid.size(); k-- > 0;) {
          const AxisId a = p_.grid[k];
          Value* count = number(ceil_div(places_.extent(a), block_size(p_, schedule_, a)));
          open_block(a, k == 0 ? program : b_.CreateURem(program, count));
          program = b_.CreateUDiv(program, count);
        }
      });
  b_.CreateRet(b_.CreateZExt(b_.CreateLoad(b_.getInt1Ty(), bad_), i));
  b_.SetInsertPoint(cells_block_);
  b_.CreateBr(entry);
}

Value* TileEmitter::number(int64_t n) { return b_.getInt64(static_cast<uint64_t>(n)); }

llvm::BasicBlock* TileEmitter::new_block(const char* name) {
  return llvm::BasicBlock::Create(b_.getContext(), name, function_);
}

llvm::AllocaInst* TileEmitter::new_cell(llvm::Type* type, int64_t elements) {
  const llvm::IRBuilderBase::InsertPointGuard guard(b_);
  b_.SetInsertPoint(cells_block_);
  llvm::AllocaInst* cell = b_.CreateAlloca(type, elements == 1 ? nullptr : number(elements));
  cell->setAlignment(llvm::Align(64));
  return cell;
}

void TileEmitter::open_block(AxisId a, Value* which) {
  const int64_t size = block_size(p_, schedule_, a), extent = places_.extent(a);
  Block& block = blocks_[a];
  if (size >= extent) {
    block = {number(0), number(0), number(extent)};
    return;
  }
  block.number = which;
  block.first = b_.CreateMul(which, number(size));
  block.count = extent % size == 0
                    ? number(size)
                    : b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, number(size),
                                               b_.CreateSub(number(extent), block.first));
}

// [first, end) by steps; an iteration begins with `at`. One iteration that is known is no loop.
void TileEmitter::for_range(Value* first, Value* end, int64_t step, const Body& body,
                            const std::function<void(Value*)>& at) {
  const int64_t known_first = known_number(first), known_end = known_number(end);
  if (known_end >= 0 && known_end <= known_first) return;
  if (known_first >= 0 && known_end >= 0 && known_first + step >= known_end) {
    at(first);
    return body();
  }
  llvm::BasicBlock* before = b_.GetInsertBlock();
  llvm::BasicBlock *head = new_block("head"), *inside = new_block("body"),
                   *after = new_block("after");
  b_.CreateBr(head);
  b_.SetInsertPoint(head);
  llvm::PHINode* counter = b_.CreatePHI(b_.getInt64Ty(), 2);
  counter->addIncoming(first, before);
  b_.CreateCondBr(b_.CreateICmpSLT(counter, end), inside, after);
  b_.SetInsertPoint(inside);
  at(counter);
  body();
  counter->addIncoming(b_.CreateAdd(counter, number(step), "", true, true), b_.GetInsertBlock());
  b_.CreateBr(head);
  b_.SetInsertPoint(after);
}

void TileEmitter::for_blocks(AxisId a, const Body& body) {
  const int64_t count = ceil_div(places_.extent(a), block_size(p_, schedule_, a));
  for_range(number(0), number(count), 1, body, [&](Value* which) { open_block(a, which); });
}

// The elements of the current block, `width` at a time (1, or the lanes) and `unroll` times in one
// iteration; body(k) is copy k. The last lanes are masked.
void TileEmitter::for_steps(AxisId a, int width, int unroll, const std::function<void(int)>& body) {
  const Lane outer = lane_;
  const Block block = blocks_[a];
  const auto element = [&](Value* at, int copy, Value* mask) {
    if (width > 1) lane_ = {a, mask};
    elements_[a] = b_.CreateAdd(block.first, b_.CreateAdd(at, number(int64_t{copy} * width)));
    known_.emplace_back();
    body(copy);
    known_.pop_back();
  };
  const auto rounded = [&](int64_t by) {
    return by == 1 ? block.count
                   : b_.CreateSub(block.count, b_.CreateURem(block.count, number(by)));
  };
  Value* at = nullptr;
  const auto take = [&](Value* counter) { at = counter; };
  Value* many = rounded(int64_t{width} * unroll);
  for_range(
      number(0), many, int64_t{width} * unroll,
      [&] {
        Value* first = at;
        for (int k = 0; k < unroll; ++k) element(first, k, nullptr);
      },
      take);
  Value* whole = rounded(width);
  if (unroll > 1)
    for_range(
        many, whole, width, [&] { element(at, 0, nullptr); }, take);
  Value* rest = b_.CreateSub(block.count, whole);
  if (width > 1 && known_number(rest) != 0) {
    llvm::BasicBlock *tail = new_block("tail"), *after = new_block("after");
    b_.CreateCondBr(b_.CreateICmpNE(rest, number(0)), tail, after);
    b_.SetInsertPoint(tail);
    element(whole, 0, b_.CreateICmpULT(lane_numbers(), widened_to_lanes(rest)));
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }
  lane_ = outer;
}

void TileEmitter::for_grid(const std::vector<AxisId>& axes, size_t depth, const Body& body) {
  if (depth == axes.size()) return body();
  const AxisId a = axes[depth];
  for_steps(a, a == grid_lane_ ? lanes_ : 1, 1, [&](int) { for_grid(axes, depth + 1, body); });
}

// Loops over axes of a statement, with one of them in lanes (or none). What does not depend on the
// loops that are still to be opened, these or `inside` the body, is computed before them.
void TileEmitter::for_axes(std::vector<AxisId> axes, AxisId lane, const std::vector<NodeId>& roots,
                           const Axes& inside, const Body& body) {
  std::set<NodeId> seen;
  Axes closed = inside;
  closed.insert(axes.begin(), axes.end());
  for (NodeId root : roots) hoist(root, closed, seen);
  if (axes.empty()) return body();
  // Lanes go inside.
  const auto other = std::find_if(axes.begin(), axes.end(), [&](AxisId a) { return a != lane; });
  const AxisId a = other == axes.end() ? lane : *other;
  axes.erase(std::find(axes.begin(), axes.end(), a));
  for_steps(a, a == lane ? lanes_ : 1, 1, [&](int) { for_axes(axes, lane, roots, inside, body); });
}

// The axis with the highest score, if that is not negative.
AxisId TileEmitter::best_lane(const std::vector<AxisId>& axes,
                              const std::function<double(AxisId)>& score) const {
  AxisId best = tile::none;
  double highest = 0;
  for (AxisId a : axes) {
    if (places_.extent(a) <= 1) continue;
    const double s = score(a);
    if (best == tile::none ? s >= 0 : s > highest) best = a, highest = s;
  }
  return best;
}

// An axis of the grid has the lanes of the whole program when memory favours it over every axis
// inside.
void TileEmitter::choose_grid_lane() {
  std::vector<AxisId> inner;
  const std::function<double(AxisId, const std::vector<Statement>&)> score =
      [&](AxisId a, const std::vector<Statement>& body) {
        double total = 0;
        for (const Statement& s : body) {
          if (s.kind == Statement::Kind::loop) total += score(a, s.body);
          else if (s.kind == Statement::Kind::store) total += places_.score(a, s);
          else total += places_.score(a, s.value);
        }
        return total;
      };
  const auto all = [&](AxisId a) { return score(a, p_.body); };
  const AxisId best = best_lane(p_.grid, all);
  if (best == tile::none || all(best) <= 0) return;
  for (AxisId a = 0; a < p_.axes.size(); ++a)
    if (std::find(p_.grid.begin(), p_.grid.end(), a) == p_.grid.end() && all(a) > all(best)) return;
  grid_lane_ = best;
}

void TileEmitter::statements(const std::vector<Statement>& body) {
  for (const Statement& s : body) {
    known_.emplace_back();
    switch (s.kind) {
      case Statement::Kind::define: make_cell(s.target); [[fallthrough]];
      case Statement::Kind::assign: assign(s); break;
      case Statement::Kind::store: store(s); break;
      case Statement::Kind::loop: for_blocks(s.target, [&] { statements(s.body); }); break;
    }
    known_.pop_back();
  }
}

// A variable is a register for each element of the grid's axes; its elements along loops are an
// array.
void TileEmitter::make_cell(uint32_t variable) {
  Cell& cell = variables_[variable];
  const tile::Variable& v = p_.variables[variable];
  if (cell.memory) return;  // the program's masked copy uses it again
  for (AxisId a : v.axes) {
    if (a == grid_lane_) cell.is_wide = true;
    if (std::find(p_.grid.begin(), p_.grid.end(), a) == p_.grid.end()) cell.axes.push_back(a);
  }
  cell.strides.resize(cell.axes.size());
  for (size_t k = cell.axes.size(); k-- > 0;) {
    cell.strides[k] = cell.elements;
    cell.elements *= block_size(p_, schedule_, cell.axes[k]);
  }
  const int lanes = cell.is_wide ? lanes_ : 0;
  if (cell.axes.empty()) {
    cell.memory = new_cell(register_type(b_, v.type, lanes));
    return;
  }
  llvm::Type* type = memory_type(b_, v.type);
  if (cell.is_wide) type = llvm::FixedVectorType::get(type, static_cast<unsigned>(lanes_));
  cell.memory = new_cell(type, cell.elements);
}

void TileEmitter::assign(const Statement& s) {
  const Cell& cell = variables_[s.target];
  const DType type = p_.variables[s.target].type;
  if (cell.axes.empty()) {
    Value* v = value(s.value);
    b_.CreateStore(cell.is_wide ? widened(v) : v, cell.memory);
    return;
  }
  // An element may be needed by a sum after it has been replaced.
  llvm::AllocaInst* to = cell.memory;
  if (reads_itself(s.value, s.target, false)) to = new_cell(to->getAllocatedType(), cell.elements);
  AxisId lane = tile::none;
  if (!cell.is_wide)
    lane = best_lane(cell.axes, [&](AxisId a) { return places_.score(a, s.value); });
  for_axes(cell.axes, lane, {s.value}, {}, [&] { write_cell(cell, type, to, value(s.value)); });
  if (to == cell.memory) return;
  const uint64_t bytes =
      module_.getDataLayout().getTypeAllocSize(to->getAllocatedType()).getFixedValue();
  b_.CreateMemCpy(cell.memory, llvm::Align(64), to, llvm::Align(64),
                  bytes * static_cast<uint64_t>(cell.elements));
}

void TileEmitter::store(const Statement& s) {
  std::vector<NodeId> roots = s.indices;
  roots.push_back(s.value);
  if (s.mask != tile::none) roots.push_back(s.mask);
  std::set<AxisId> covered;
  for (NodeId id : roots) covered.insert(p_.nodes[id].axes.begin(), p_.nodes[id].axes.end());
  std::vector<AxisId> loops;
  for (AxisId a : covered)
    if (std::find(p_.grid.begin(), p_.grid.end(), a) == p_.grid.end()) loops.push_back(a);
  AxisId lane = tile::none;
  if (grid_lane_ == tile::none || !covered.contains(grid_lane_))
    lane = best_lane(loops, [&](AxisId a) { return places_.score(a, s); });
  for_axes(loops, lane, roots, {}, [&] {
    Value* active = s.mask == tile::none ? nullptr : value(s.mask);
    Value* v = value(s.value);
    active = both(active, inside(s.target, s.indices, s.mask, active));
    store_at(p_.params[s.target].type, memory_[s.target], places_.offset(s.target, s.indices),
             active, v);
  });
}

namespace {

// An element of a variable may stand for the lanes of an axis of the grid.
void check_cells(const tile::Program& p, const tile::Schedule& s) {
  int64_t total = 0;
  for (const tile::Variable& v : p.variables) {
    int64_t bytes = static_cast<int64_t>(size_of(v.type)), lanes = 1;
    for (AxisId a : v.axes) {
      if (std::find(p.grid.begin(), p.grid.end(), a) != p.grid.end()) lanes = most_lanes;
      else bytes *= TileEmitter::block_size(p, s, a);
    }
    total += bytes * lanes;
    if (total > most_cell_bytes)
      fail_user(ErrorKind::unsupported,
                "{}: variable '{}' takes {} bytes of a thread's stack, and all of them more than "
                "{}; give its axes smaller blocks",
                p.name, v.name, bytes * lanes, most_cell_bytes);
  }
}

}  // namespace

EmittedKernel tile_kernel(const tile::Program& program, const tile::Schedule& schedule) {
  const tile::Places places(program);  // checks the sizes
  check_cells(program, schedule);
  double work = 0;
  for (const tile::Node& n : program.nodes) {
    std::set<AxisId> axes(n.axes.begin(), n.axes.end());
    axes.insert(n.reduced.begin(), n.reduced.end());
    for (AxisId a : n.reduced)
      if (std::find(program.grid.begin(), program.grid.end(), a) != program.grid.end())
        fail_user(ErrorKind::unsupported,
                  "{}: a reduction along '{}', an axis of the grid, is not compiled: its value "
                  "would depend on the schedule",
                  program.name, program.axes[a].name);
    // The transcendental functions follow each other in the table of primitives.
    const bool is_slow =
        n.kind == tile::Kind::primitive && n.prim >= ir::Prim::exp && n.prim <= ir::Prim::erf;
    double visits = is_slow ? 8 : 1;
    for (AxisId a : axes) visits *= static_cast<double>(places.extent(a));
    work += visits;
  }
  EmittedKernel kernel;
  kernel.rows = TileEmitter::programs(program, schedule);
  kernel.flops_per_row = work / static_cast<double>(std::max<int64_t>(kernel.rows, 1));
  kernel.emit = [program, schedule](llvm::IRBuilderBase& b, llvm::Module& module,
                                    const std::string& name) {
    TileEmitter(program, schedule, b, module).emit(name);
  };
  return kernel;
}

}  // namespace tessera::codegen
