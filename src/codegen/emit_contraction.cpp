// SPDX-License-Identifier: Apache-2.0
// The function that walks the tasks of a contraction. A task's number holds, from the slowest to
// the fastest: the batch (or it comes last), then panel of columns and tile of rows (or the other
// way round).
#include "codegen/loop_kernel.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <algorithm>

#include "base/check.h"
#include "codegen/contraction_tile.h"

namespace tessera::codegen {

bool is_fixed(const Contraction& c, const Contraction::Window& w, bool fixed_outer) {
  const size_t n = c.rows.size();
  return w.row + 1 == n || (fixed_outer && w.row + 2 == n);
}

int64_t prefetch_share(const Contraction& c, const ContractionSchedule& s, int64_t row_tiles) {
  // Lines of 16 floats for each `unroll` steps, at least one.
  const int64_t floats = int64_t{s.unroll} * s.lanes * s.vectors;
  const int64_t lines = (floats / 16 + row_tiles - 1) / row_tiles;
  return c.reduction() / s.unroll * lines * 16;
}

namespace {

using llvm::Value;
using Axis = Contraction::Axis;

class Driver {
 public:
  Driver(const Contraction& c, const ContractionSchedule& s, llvm::IRBuilderBase& b,
         llvm::Module& module, const std::string& name)
      : c_(c), s_(s), t_(cut_tiles(c, s)), b_(b), module_(module), name_(name) {}

  void emit() {
    for (size_t k = 0; k < t_.classes.size(); ++k) {
      functions_.push_back(tile(k, t_.panels > 1 ? t_.panel_width : t_.last_width, t_.panels == 1));
      const bool own_last = t_.panels > 1 && (t_.last_width != t_.panel_width || has_tail());
      last_functions_.push_back(own_last ? tile(k, t_.last_width, true) : functions_.back());
    }
    llvm::Type* p = b_.getPtrTy();
    llvm::Type* i = b_.getInt64Ty();
    f_ = llvm::Function::Create(llvm::FunctionType::get(i, {p, p, i, i}, false),
                                llvm::Function::ExternalLinkage, name_, module_);
    f_->setDoesNotThrow();
    llvm::BasicBlock* entry = block("entry");
    llvm::BasicBlock* head = block("head");
    llvm::BasicBlock* body = block("body");
    llvm::BasicBlock* done = block("done");
    b_.SetInsertPoint(entry);
    for (size_t k = 0; k < 2 + c_.operand_count(); ++k) src_.push_back(pointer(f_->getArg(0), k));
    dst_ = pointer(f_->getArg(1), 0);
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    llvm::PHINode* task = b_.CreatePHI(i, 2);
    task->addIncoming(f_->getArg(2), entry);
    b_.CreateCondBr(b_.CreateICmpSLT(task, f_->getArg(3)), body, done);
    b_.SetInsertPoint(body);
    run_task(task);
    task->addIncoming(b_.CreateAdd(task, number(1)), b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(done);
    b_.CreateRet(number(0));
  }

 private:
  Value* number(int64_t n) { return b_.getInt64(static_cast<uint64_t>(n)); }
  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(b_.getContext(), name, f_);
  }
  Value* pointer(Value* array, size_t k) {
    return b_.CreateLoad(b_.getPtrTy(), b_.CreateConstGEP1_64(b_.getPtrTy(), array, k));
  }
  bool has_tail() const { return c_.column.extent % s_.lanes != 0; }

  llvm::Function* tile(size_t number, int64_t width, bool is_last) {
    TileShape shape;
    shape.outer = t_.classes[number].outer;
    shape.inner = t_.classes[number].inner;
    shape.fixed_outer = t_.fixed_outer;
    shape.vectors = static_cast<int>(width / s_.lanes);
    const int64_t rest = c_.column.extent % s_.lanes;
    shape.last_lanes = is_last && rest ? static_cast<int>(rest) : s_.lanes;
    shape.row_tiles = t_.row_tiles();
    return emit_contraction_tile(
        c_, s_, shape, b_, module_,
        fmt::format("{}_tile{}_{}{}", name_, number, width, is_last ? "_last" : ""));
  }

  // quotient and remainder of a number that is not negative
  std::pair<Value*, Value*> split(Value* n, int64_t by) {
    if (by == 1) return {n, number(0)};
    return {b_.CreateUDiv(n, number(by)), b_.CreateURem(n, number(by))};
  }

  Value* entry_of(const std::vector<int64_t>& table, Value* index) {
    if (table.size() == 1) return number(table[0]);
    const std::vector<uint64_t> values(table.begin(), table.end());
    llvm::Constant* data = llvm::ConstantDataArray::get(b_.getContext(), values);
    auto* global = new llvm::GlobalVariable(module_, data->getType(), true,
                                            llvm::GlobalValue::PrivateLinkage, data);
    return b_.CreateLoad(b_.getInt64Ty(), b_.CreateGEP(b_.getInt64Ty(), global, index));
  }

  // Adds index · stride of every operand to the offsets.
  void advance(const Axis& axis, Value* index, bool b_counts = true) {
    const auto add = [&](Value*& sum, int64_t stride) {
      if (stride) sum = b_.CreateAdd(sum, b_.CreateMul(index, number(stride)));
    };
    add(a_, axis.a);
    if (b_counts) add(b_at_, axis.b);
    add(dst_at_, axis.dst);
    for (size_t k = 0; k < operands_.size(); ++k) add(operands_[k], axis.operand(k));
  }

  void run_task(Value* task) {
    const int64_t tiles = t_.row_tiles();
    a_ = number(c_.a_offset);
    b_at_ = dst_at_ = number(0);
    operands_.assign(c_.operand_count(), number(0));
    Value *batch, *rest;
    if (s_.batch_inner) {
      std::tie(rest, batch) = split(task, c_.batch_count());
    } else {
      std::tie(batch, rest) = split(task, t_.panels * tiles);
    }
    Value *panel, *row_tile;
    if (s_.strip_panels > 0) std::tie(panel, row_tile) = split_strips(rest);
    else if (s_.columns_outer) std::tie(panel, row_tile) = split(rest, tiles);
    else std::tie(row_tile, panel) = split(rest, t_.panels);
    if (tiles == 1) row_tile = number(0);
    if (t_.panels == 1) panel = number(0);
    walk_batch(batch);
    const auto limits = walk_rows(row_tile);
    walk_columns(panel);
    llvm::Type* type = c_.rounds ? b_.getInt16Ty() : b_.getFloatTy();
    Value* result = b_.CreateGEP(type, dst_, dst_at_);
    std::vector<Value*> args{at(src_[0], a_), at(src_[1], b_at_), result,
                             prefetched(panel, row_tile)};
    for (size_t k = 0; k < operands_.size(); ++k) args.push_back(at(src_[2 + k], operands_[k]));
    args.insert(args.end(), limits.begin(), limits.end());
    if (s_.prefetch_lines) prefetch_lines(args[0]);
    Value* is_last = b_.CreateICmpEQ(panel, number(t_.panels - 1));
    call(is_last, args);
  }

  // Panel and tile of rows of a task: the last strip may be narrower.
  std::pair<Value*, Value*> split_strips(Value* task) {
    const int64_t tiles = t_.row_tiles(), whole = t_.panels / s_.strip_panels;
    auto [strip, rest] = split(task, s_.strip_panels * tiles);
    auto [tile, panel] = split(rest, s_.strip_panels);
    if (const int64_t left = t_.panels % s_.strip_panels; left != 0) {
      const auto [last_tile, last_panel] = split(rest, left);
      Value* is_last = b_.CreateICmpEQ(strip, number(whole));
      tile = b_.CreateSelect(is_last, last_tile, tile);
      panel = b_.CreateSelect(is_last, last_panel, panel);
    }
    return {b_.CreateAdd(b_.CreateMul(strip, number(s_.strip_panels)), panel), tile};
  }

  Value* at(Value* base, Value* offset) { return b_.CreateGEP(b_.getFloatTy(), base, offset); }

  void walk_batch(Value* batch) {
    int64_t packed = c_.reduction() * (t_.panel_width * (t_.panels - 1) + t_.last_width);
    for (size_t k = c_.batch.size(); k-- > 0;) {
      const Axis& axis = c_.batch[k];
      auto [outer, index] = split(batch, axis.extent);
      if (axis.extent == 1) continue;
      advance(axis, index, !c_.packed);
      if (c_.packed && axis.b != 0) {
        b_at_ = b_.CreateAdd(b_at_, b_.CreateMul(index, number(packed)));
        packed *= axis.extent;
      }
      batch = outer;
    }
  }

  // Also finds the class of the tile, and the taps that windows outside of the tile leave.
  std::vector<Value*> walk_rows(Value* tile) {
    const size_t n = c_.rows.size();
    auto [rest, within] = split(tile, static_cast<int64_t>(t_.class_of.size()));
    if (t_.class_of.size() == 1) rest = tile, within = number(0);
    auto [outer, inner] = split_tile(within);
    std::vector<Value*> index(n);
    index[n - 1] = entry_of(starts(t_.inner), inner);
    if (n > 1) index[n - 2] = entry_of(starts(t_.outer), outer);
    for (size_t k = n < 2 ? 0 : n - 2; k-- > 0;)
      std::tie(rest, index[k]) = split(rest, c_.rows[k].extent);
    std::vector<Value*> limits;
    for (size_t k = 0; k < n; ++k) advance(c_.rows[k], index[k]);
    for (const Contraction::Window& w : c_.windows) {
      if (is_fixed(c_, w, t_.fixed_outer)) continue;
      // taps from ⌈−start / dilation⌉ to ⌈(extent − start) / dilation⌉
      Value* start = b_.CreateAdd(b_.CreateMul(index[w.row], number(w.stride)), number(w.offset));
      for (int64_t bound : {int64_t{0}, w.extent}) {
        Value* room = b_.CreateAdd(b_.CreateSub(number(bound), start), number(w.dilation - 1));
        Value* tap = b_.CreateSDiv(b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, room, number(0)),
                                   number(w.dilation));
        limits.push_back(
            b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, tap, number(c_.reduce[w.tap].extent)));
      }
    }
    return limits;
  }

  // Indices of a tile along the last two axes of rows; down a strip, lines come first.
  std::pair<Value*, Value*> split_tile(Value* within) {
    const auto across = static_cast<int64_t>(t_.inner.size()),
               down = static_cast<int64_t>(t_.outer.size());
    Value *outer, *inner;
    if (s_.strip_panels > 0) std::tie(inner, outer) = split(within, down);
    else std::tie(outer, inner) = split(within, across);
    if (across == 1) inner = number(0);
    if (down == 1) outer = number(0);
    Value* place = b_.CreateAdd(b_.CreateMul(outer, number(across)), inner);
    class_ = entry_of({t_.class_of.begin(), t_.class_of.end()}, place);
    return {outer, inner};
  }

  static std::vector<int64_t> starts(const std::vector<ContractionTiles::Chunk>& chunks) {
    std::vector<int64_t> result;
    for (const auto& chunk : chunks) result.push_back(chunk.first);
    return result;
  }

  void walk_columns(Value* panel) {
    Axis axis = c_.column;
    Value* column = b_.CreateMul(panel, number(t_.panel_width));
    advance(axis, column, !c_.packed);
    if (c_.packed) b_at_ = b_.CreateAdd(b_at_, b_.CreateMul(column, number(c_.reduction())));
  }

  // Where in the next panel this tile's share of prefetching begins.
  Value* prefetched(Value*, Value* row_tile) {
    if (!s_.prefetch) return llvm::PoisonValue::get(b_.getPtrTy());
    const int64_t panel = c_.reduction() * t_.panel_width;
    Value* from = b_.CreateAdd(
        number(panel), b_.CreateMul(row_tile, number(prefetch_share(c_, s_, t_.row_tiles()))));
    return at(src_[1], b_.CreateAdd(b_at_, from));
  }

  // The lines of pixels that the tile below one is the first to see.
  void prefetch_lines(Value* a) {
    const size_t n = c_.rows.size();
    const auto window = [&](size_t row) {
      return *std::find_if(c_.windows.begin(), c_.windows.end(),
                           [&](const Contraction::Window& w) { return w.row == row; });
    };
    const Contraction::Window along = window(n - 1), down = window(n - 2);
    const Axis &across = c_.reduce[along.tap], &tap = c_.reduce[down.tap];
    const int64_t pixel = c_.rows[n - 1].a / along.stride, line = c_.rows[n - 2].a / down.stride,
                  below = (tap.extent - 1) * tap.a + line,
                  last =
                      (t_.inner[0].count - 1) * c_.rows[n - 1].a + (across.extent - 1) * across.a;
    for (int64_t k = 0; k < down.stride; ++k)
      for (int64_t x = 0; x <= last; x += pixel)
        b_.CreateIntrinsic(
            llvm::Intrinsic::prefetch, {b_.getPtrTy()},
            {at(a, number(below + k * line + x)), b_.getInt32(0), b_.getInt32(3), b_.getInt32(1)});
  }

  void call(Value* is_last, const std::vector<Value*>& args) {
    llvm::BasicBlock* after = block("after");
    llvm::BasicBlock* bad = block("bad");
    const auto branch = [&](const std::vector<llvm::Function*>& functions) {
      if (functions.size() == 1) {
        b_.CreateCall(functions[0], args);
        b_.CreateBr(after);
        return;
      }
      llvm::SwitchInst* chosen =
          b_.CreateSwitch(class_, bad, static_cast<unsigned>(functions.size()));
      for (size_t k = 0; k < functions.size(); ++k) {
        llvm::BasicBlock* one = block("class");
        chosen->addCase(b_.getInt64(k), one);
        b_.SetInsertPoint(one);
        b_.CreateCall(functions[k], args);
        b_.CreateBr(after);
      }
    };
    if (functions_ == last_functions_) {
      branch(functions_);
    } else {
      llvm::BasicBlock* full = block("full");
      llvm::BasicBlock* last = block("last");
      b_.CreateCondBr(is_last, last, full);
      b_.SetInsertPoint(full);
      branch(functions_);
      b_.SetInsertPoint(last);
      branch(last_functions_);
    }
    b_.SetInsertPoint(bad);
    b_.CreateUnreachable();
    b_.SetInsertPoint(after);
  }

  const Contraction& c_;
  const ContractionSchedule& s_;
  const ContractionTiles t_;
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  const std::string& name_;
  llvm::Function* f_ = nullptr;
  std::vector<llvm::Function*> functions_, last_functions_;  // by class
  std::vector<Value*> src_, operands_;
  Value *dst_ = nullptr, *a_ = nullptr, *b_at_ = nullptr, *dst_at_ = nullptr, *class_ = nullptr;
};

}  // namespace

Value* emit_multiply_add(llvm::IRBuilderBase& b, std::optional<Contraction::Pairs::Kind> kind,
                         Value* x, Value* y, Value* sum) {
  auto* vector = llvm::cast<llvm::FixedVectorType>(sum->getType());
  if (!kind) return b.CreateIntrinsic(llvm::Intrinsic::fma, {vector}, {x, y, sum});
  const unsigned lanes = vector->getNumElements();
  const bool wide = lanes == 16;
  if (kind == Contraction::Pairs::Kind::i16) {
    llvm::Type* integers = llvm::FixedVectorType::get(b.getInt32Ty(), lanes);
    const auto cast = [&](Value* v) { return b.CreateBitCast(v, integers); };
    const auto dot =
        wide ? llvm::Intrinsic::x86_avx512_vpdpwssd_512 : llvm::Intrinsic::x86_avx512_vpdpwssd_256;
    return b.CreateBitCast(b.CreateIntrinsic(dot, {}, {cast(sum), cast(x), cast(y)}), vector);
  }
  llvm::Type* pairs = llvm::FixedVectorType::get(b.getBFloatTy(), 2 * lanes);
  const auto dot = wide ? llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512
                        : llvm::Intrinsic::x86_avx512bf16_dpbf16ps_256;
  return b.CreateIntrinsic(dot, {}, {sum, b.CreateBitCast(x, pairs), b.CreateBitCast(y, pairs)});
}

EmittedKernel contraction_kernel(const Contraction& c, const ContractionSchedule& s) {
  EmittedKernel kernel;
  kernel.rows = cut_tiles(c, s).tasks;
  kernel.flops_per_row = c.flops() / static_cast<double>(std::max<int64_t>(kernel.rows, 1));
  kernel.emit = [c, s](llvm::IRBuilderBase& b, llvm::Module& module, const std::string& name) {
    Driver(c, s, b, module, name).emit();
  };
  return kernel;
}

}  // namespace tessera::codegen
