// SPDX-License-Identifier: Apache-2.0
// A form as LLVM code: a function for the sums of a block, one that stores rows of them, and the
// one that walks the tasks. A task's number holds, from the slowest to the fastest: the batch, then
// panel of columns and block of rows, or the other way round.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <array>

#include "amx/kernel.h"
#include "base/check.h"
#include "codegen/emit_scalar.h"

namespace tessera::amx {
namespace {

using llvm::Value;
using Axis = Contraction::Axis;

constexpr int lanes = 16;
constexpr int64_t line_bytes = 64;
// Tile registers: sums by tile of rows and of columns, then those two.
constexpr int sums_at(int rows, int columns) { return 2 * rows + columns; }
constexpr int rows_at(int rows) { return 4 + rows; }
constexpr int columns_at(int columns) { return 6 + columns; }

// What both kinds of functions are made with.
class Emitter {
 public:
  Emitter(const Form& form, const Machine* machine, llvm::IRBuilderBase& b, llvm::Module& module,
          const std::string& name)
      : form_(form), c_(form.c), machine_(machine), b_(b), module_(module), name_(name) {
    vector_ = llvm::FixedVectorType::get(b_.getFloatTy(), lanes);
  }

 protected:
  Value* number(int64_t n) { return b_.getInt64(static_cast<uint64_t>(n)); }
  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(b_.getContext(), name, f_);
  }
  Value* floats(Value* base, int64_t offset) {
    return b_.CreateConstGEP1_64(b_.getFloatTy(), base, static_cast<uint64_t>(offset));
  }
  Value* floats(Value* base, Value* offset) { return b_.CreateGEP(b_.getFloatTy(), base, offset); }
  Value* halves(Value* base, Value* offset) { return b_.CreateGEP(b_.getInt16Ty(), base, offset); }
  Value* halves(Value* base, int64_t offset) { return halves(base, number(offset)); }

  void start(llvm::Type* result, const std::vector<llvm::Type*>& types,
             llvm::GlobalValue::LinkageTypes linkage, const std::string& name) {
    f_ = llvm::Function::Create(llvm::FunctionType::get(result, types, false), linkage, name,
                                module_);
    f_->setDoesNotThrow();
    b_.SetInsertPoint(block("entry"));
  }
  Value* arg(size_t k) { return f_->getArg(static_cast<unsigned>(k)); }

  // for (k = 0; k < count; ++k) body(k)
  template <typename F>
  void loop(Value* count, F body) {
    llvm::BasicBlock *from = b_.GetInsertBlock(), *head = block("head"), *inside = block("body"),
                     *after = block("after");
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    llvm::PHINode* k = b_.CreatePHI(b_.getInt64Ty(), 2);
    k->addIncoming(number(0), from);
    b_.CreateCondBr(b_.CreateICmpSLT(k, count), inside, after);
    b_.SetInsertPoint(inside);
    body(k);
    k->addIncoming(b_.CreateAdd(k, number(1)), b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(after);
  }

  // An instruction on tiles, whose first operands name them; or the function that stands in.
  template <typename F>
  void instruct(llvm::Intrinsic::ID id, F stand_in, std::initializer_list<int> tiles,
                std::initializer_list<Value*> more = {}) {
    std::vector<Value*> args;
    for (const int tile : tiles)
      args.push_back(machine_ ? b_.getInt32(static_cast<uint32_t>(tile))
                              : b_.getInt8(static_cast<uint8_t>(tile)));
    args.insert(args.end(), more.begin(), more.end());
    if (!machine_) {
      b_.CreateIntrinsic(id, {}, args);
      return;
    }
    std::vector<llvm::Type*> types;
    for (Value* v : args) types.push_back(v->getType());
    Value* address =
        b_.CreateIntToPtr(number(reinterpret_cast<int64_t>(machine_->*stand_in)), b_.getPtrTy());
    b_.CreateCall(llvm::FunctionType::get(b_.getVoidTy(), types, false), address, args);
  }

  const Form& form_;
  const Contraction& c_;
  const Machine* machine_;
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  const std::string& name_;
  llvm::Type* vector_ = nullptr;
  llvm::Function* f_ = nullptr;
};

// void(first tile of rows, second, columns, bytes from there to what is prefetched, scratch)
class SumEmitter : Emitter {
 public:
  using Emitter::Emitter;

  llvm::Function* emit(int rows, int columns) {
    rows_ = rows, columns_ = columns;
    llvm::Type* p = b_.getPtrTy();
    start(b_.getVoidTy(), {p, p, p, b_.getInt64Ty(), p}, llvm::Function::InternalLinkage,
          fmt::format("{}_sums{}{}", name_, rows, columns));
    f_->addFnAttr(llvm::Attribute::NoInline);
    each([&](int i, int j) {
      instruct(llvm::Intrinsic::x86_tilezero, &Machine::zero, {sums_at(i, j)});
    });
    nest(0, {arg(0), arg(1)}, arg(2));
    each([&](int i, int j) {
      Value* to = floats(arg(4), i * Form::most_rows * Form::panel_width + j * lanes);
      instruct(llvm::Intrinsic::x86_tilestored64, &Machine::store, {sums_at(i, j)},
               {to, number(4 * Form::panel_width)});
    });
    b_.CreateRetVoid();
    return f_;
  }

 private:
  using Rows = std::array<Value*, 2>;

  template <typename F>
  void each(F f) {
    for (int i = 0; i < rows_; ++i)
      for (int j = 0; j < columns_; ++j) f(i, j);
  }
  int64_t width() const { return int64_t{columns_} * lanes; }

  void nest(size_t depth, const Rows& a, Value* b) {
    const size_t outer = form_.outer_axes();
    const bool is_run = depth == outer;
    const int64_t extent = is_run ? form_.steps : c_.reduce[depth].extent;
    const int64_t stride = is_run ? 2 * form_.pairs : c_.reduce[depth].a;
    int64_t floats_each = form_.pairs * width() * (is_run ? 1 : form_.steps);
    for (size_t k = depth + 1; k < outer; ++k) floats_each *= c_.reduce[k].extent;
    loop(number(extent), [&](Value* k) {
      Rows at = a;
      for (Value*& row : at) row = halves(row, b_.CreateMul(k, number(stride)));
      Value* columns = floats(b, b_.CreateMul(k, number(floats_each)));
      if (is_run) step(at, columns);
      else nest(depth + 1, at, columns);
    });
  }

  void step(const Rows& a, Value* b) {
    for (int i = 0; i < rows_; ++i)
      instruct(llvm::Intrinsic::x86_tileloadd64, &Machine::load, {rows_at(i)},
               {a[static_cast<size_t>(i)], number(2 * c_.rows.back().a)});
    for (int j = 0; j < columns_; ++j)
      instruct(llvm::Intrinsic::x86_tileloadd64, &Machine::load, {columns_at(j)},
               {floats(b, j * lanes), number(4 * width())});
    prefetch(b);
    each([&](int i, int j) {
      instruct(llvm::Intrinsic::x86_tdpbf16ps, &Machine::multiply,
               {sums_at(i, j), rows_at(i), columns_at(j)});
    });
  }

  // This block's share of the next panel, into the second-level cache.
  void prefetch(Value* b) {
    if (!form_.by_panels || form_.panels() == 1) return;
    const int64_t lines = form_.pairs * width() * 4 / line_bytes;
    const int64_t share = (lines + form_.blocks() - 1) / form_.blocks();
    Value* from = b_.CreateGEP(b_.getInt8Ty(), b, arg(3));
    for (int64_t line = 0; line < share; ++line)
      b_.CreateIntrinsic(
          llvm::Intrinsic::prefetch, {b_.getPtrTy()},
          {floats(from, line * line_bytes / 4), b_.getInt32(0), b_.getInt32(2), b_.getInt32(1)});
  }

  int rows_ = 2, columns_ = 2;
};

// void(scratch, dst, first row of the line, how many rows, operands…): the epilogue of a tile of
// rows, whose dst and operands are those of the line.
class StoreEmitter : Emitter {
 public:
  using Emitter::Emitter;

  // The last of `columns` vectors has `last` columns.
  llvm::Function* emit(int columns, int last) {
    columns_ = columns, last_ = last;
    llvm::Type *p = b_.getPtrTy(), *i = b_.getInt64Ty();
    std::vector<llvm::Type*> types{p, p, i, i};
    types.insert(types.end(), c_.operand_count(), p);
    start(b_.getVoidTy(), types, llvm::Function::InternalLinkage,
          fmt::format("{}_store{}_{}", name_, columns, last));
    f_->addFnAttr(llvm::Attribute::NoInline);
    loop(arg(3), [&](Value* r) { row(r, b_.CreateAdd(arg(2), r)); });
    b_.CreateRetVoid();
    return f_;
  }

 private:
  // Row r of the tile, number `at` of the line.
  void row(Value* r, Value* at) {
    Value *outer = nullptr, *inner = at;
    llvm::BasicBlock* after = nullptr;
    if (form_.pitch > 0) {
      llvm::BasicBlock* inside = block("inside");
      after = block("between");
      outer = b_.CreateUDiv(at, number(form_.pitch));
      inner = b_.CreateURem(at, number(form_.pitch));
      b_.CreateCondBr(b_.CreateICmpULT(inner, number(c_.rows.back().extent)), inside, after);
      b_.SetInsertPoint(inside);
    }
    const auto place = [&](Value* base, const auto& stride) {
      Value* offset = b_.CreateMul(inner, number(stride(c_.rows.back())));
      if (outer)
        offset =
            b_.CreateAdd(offset, b_.CreateMul(outer, number(stride(c_.rows[c_.rows.size() - 2]))));
      return floats(base, offset);
    };
    Value* from = floats(arg(0), b_.CreateMul(r, number(Form::panel_width)));
    Value* to = place(arg(1), [](const Axis& axis) { return axis.dst; });
    std::vector<Value*> operands;
    for (size_t k = 0; k < c_.operand_count(); ++k)
      operands.push_back(place(arg(4 + k), [k](const Axis& axis) { return axis.operand(k); }));
    for (int v = 0; v < columns_; ++v) store(from, to, operands, v);
    if (!after) return;
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  void store(Value* from, Value* to, const std::vector<Value*>& operands, int v) {
    Value* x = b_.CreateAlignedLoad(vector_, floats(from, v * lanes), llvm::Align(line_bytes));
    const auto operand = [&](size_t k) -> Value* {
      const int64_t stride = c_.column.operand(k);
      TESSERA_CHECK(stride == 0 || stride == 1);
      if (stride == 0)
        return b_.CreateVectorSplat(lanes, b_.CreateLoad(b_.getFloatTy(), operands[k]));
      Value* place = floats(operands[k], v * lanes);
      if (!is_partial(v)) return b_.CreateAlignedLoad(vector_, place, llvm::Align(4));
      return b_.CreateMaskedLoad(vector_, place, llvm::Align(4), mask(),
                                 llvm::Constant::getNullValue(vector_));
    };
    if (c_.epilogue) x = codegen::emit_epilogue(b_, *c_.epilogue, x, lanes, operand);
    Value* place = floats(to, v * lanes);
    if (is_partial(v)) b_.CreateMaskedStore(x, place, llvm::Align(4), mask());
    else b_.CreateAlignedStore(x, place, llvm::Align(4));
  }

  bool is_partial(int v) const { return v + 1 == columns_ && last_ < lanes; }
  Value* mask() {
    std::vector<llvm::Constant*> bits;
    for (int k = 0; k < lanes; ++k) bits.push_back(b_.getInt1(k < last_));
    return llvm::ConstantVector::get(bits);
  }

  int columns_ = 2, last_ = lanes;
};

class Driver : Emitter {
 public:
  using Emitter::Emitter;

  void emit() {
    make_functions();
    llvm::Type *p = b_.getPtrTy(), *i = b_.getInt64Ty();
    start(i, {p, p, i, i}, llvm::Function::ExternalLinkage, name_);
    for (size_t k = 0; k < 2 + c_.operand_count(); ++k) src_.push_back(pointer(arg(0), k));
    dst_ = pointer(arg(1), 0);
    auto* scratch =
        b_.CreateAlloca(b_.getFloatTy(), number(2 * Form::most_rows * Form::panel_width));
    scratch->setAlignment(llvm::Align(line_bytes));
    scratch_ = scratch;
    instruct(llvm::Intrinsic::x86_ldtilecfg, &Machine::configure, {}, {shapes()});
    loop(b_.CreateSub(arg(3), arg(2)), [&](Value* k) { run_task(b_.CreateAdd(arg(2), k)); });
    instruct(llvm::Intrinsic::x86_tilerelease, &Machine::release, {});
    b_.CreateRet(number(0));
  }

 private:
  // Places of a task in the operands.
  struct Places {
    Value *a = nullptr, *b = nullptr, *dst = nullptr;
    std::vector<Value*> operands;
  };

  void make_functions() {
    const int last = static_cast<int>(form_.last_width()) / lanes;
    const int64_t rest = c_.column.extent % lanes;
    SumEmitter sums(form_, machine_, b_, module_, name_);
    StoreEmitter stores(form_, machine_, b_, module_, name_);
    for (const int rows : {1, 2})
      for (const int columns : {1, 2}) {
        if (rows > form_.row_tiles() || (rows == 1 && form_.row_tiles() % 2 == 0)) continue;
        if (columns != last && (columns == 1 || form_.panels() == 1)) continue;
        sums_[rows - 1][columns - 1] = sums.emit(rows, columns);
      }
    last_store_ = stores.emit(last, rest == 0 ? lanes : static_cast<int>(rest));
    store_ = last_store_;
    if (form_.panels() > 1 && (rest != 0 || last == 1)) store_ = stores.emit(2, lanes);
  }

  Value* pointer(Value* array, size_t k) {
    return b_.CreateLoad(b_.getPtrTy(), b_.CreateConstGEP1_64(b_.getPtrTy(), array, k));
  }

  // The operand of the instruction that configures: palette 1; bytes of a row from byte 16 on, in
  // two bytes for each tile; rows from byte 48 on.
  Value* shapes() {
    std::array<uint8_t, 64> bytes{};
    bytes[0] = 1;
    const auto shape = [&](int tile, int64_t rows, int64_t row_bytes) {
      bytes[16 + 2 * static_cast<size_t>(tile)] = static_cast<uint8_t>(row_bytes);
      bytes[48 + static_cast<size_t>(tile)] = static_cast<uint8_t>(rows);
    };
    for (const int k : {0, 1}) {
      for (const int j : {0, 1}) shape(sums_at(k, j), form_.height, line_bytes);
      shape(rows_at(k), form_.height, 4 * form_.pairs);
      shape(columns_at(k), form_.pairs, line_bytes);
    }
    llvm::Constant* data = llvm::ConstantDataArray::get(b_.getContext(), bytes);
    auto* global = new llvm::GlobalVariable(module_, data->getType(), true,
                                            llvm::GlobalValue::PrivateLinkage, data);
    global->setAlignment(llvm::Align(line_bytes));
    return global;
  }

  std::pair<Value*, Value*> split(Value* n, int64_t by) {
    if (by == 1) return {n, number(0)};
    return {b_.CreateUDiv(n, number(by)), b_.CreateURem(n, number(by))};
  }

  void add(Value*& sum, Value* index, int64_t stride) {
    if (stride) sum = b_.CreateAdd(sum, b_.CreateMul(index, number(stride)));
  }
  void advance(Places& at, const Axis& axis, Value* index) {
    add(at.a, index, axis.a);
    add(at.dst, index, axis.dst);
    for (size_t k = 0; k < at.operands.size(); ++k) add(at.operands[k], index, axis.operand(k));
  }

  void run_task(Value* task) {
    const int64_t blocks = form_.blocks(), panels = form_.panels();
    auto [batch, rest] = split(task, panels * blocks);
    Value *panel, *rows;
    if (form_.by_panels) std::tie(panel, rows) = split(rest, blocks);
    else std::tie(rows, panel) = split(rest, panels);
    Places at{number(c_.a_offset), number(0), number(0), {}};
    at.operands.assign(c_.operand_count(), number(0));
    walk_batch(at, batch);
    Value* column = b_.CreateMul(panel, number(Form::panel_width));
    Axis columns = c_.column;
    columns.a = 0;
    advance(at, columns, column);
    at.b = b_.CreateAdd(at.b, b_.CreateMul(column, number(form_.pair_count())));
    run_block(at, rows, b_.CreateICmpEQ(panel, number(panels - 1)));
  }

  void walk_batch(Places& at, Value* batch) {
    int64_t packed = form_.matrix_floats();
    for (size_t k = c_.batch.size(); k-- > 0;) {
      const Axis& axis = c_.batch[k];
      if (axis.extent == 1) continue;
      auto [outer, index] = split(batch, axis.extent);
      advance(at, axis, index);
      if (axis.b != 0) {
        add(at.b, index, packed);
        packed *= axis.extent;
      }
      batch = outer;
    }
  }

  // A tile of rows: where its line begins, its first row, and how many rows there are.
  struct RowTile {
    Places line;
    Value *first = nullptr, *count = nullptr, *a = nullptr;
  };

  RowTile row_tile(const Places& at, Value* tile) {
    RowTile result{at};
    auto [line, within] = split(tile, form_.line_tiles());
    for (size_t k = c_.rows.size() - (form_.pitch > 0 ? 2 : 1); k-- > 0;) {
      auto [outer, index] = split(line, c_.rows[k].extent);
      if (c_.rows[k].extent == 1) index = number(0);
      advance(result.line, c_.rows[k], index);
      line = outer;
    }
    result.first = b_.CreateMul(within, number(form_.height));
    result.count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, number(form_.height),
                                            b_.CreateSub(number(form_.line_rows()), result.first));
    result.a = result.line.a;
    add(result.a, result.first, c_.rows.back().a);
    return result;
  }

  void run_block(const Places& at, Value* number_of_block, Value* is_last) {
    const int64_t tiles = form_.row_tiles();
    Value* first = b_.CreateMul(number_of_block, number(2));
    const RowTile one = row_tile(at, first);
    llvm::BasicBlock* done = block("done");
    if (tiles > 1) {
      llvm::BasicBlock* both = block("both");
      llvm::BasicBlock* single = tiles % 2 == 1 ? block("single") : nullptr;
      Value* has_two = b_.CreateICmpSLT(b_.CreateAdd(first, number(1)), number(tiles));
      if (single) b_.CreateCondBr(has_two, both, single);
      else b_.CreateBr(both);
      b_.SetInsertPoint(both);
      const RowTile two = row_tile(at, b_.CreateAdd(first, number(1)));
      by_width(
          is_last,
          [&](bool last) {
            compute({&one, &two}, number_of_block, last);
          },
          done);
      if (single) b_.SetInsertPoint(single);
    }
    if (tiles % 2 == 1)
      by_width(
          is_last, [&](bool last) { compute({&one}, number_of_block, last); }, done);
    b_.SetInsertPoint(done);
  }

  // The code for the last panel and that for the others, then on to `done`.
  template <typename F>
  void by_width(Value* is_last, F f, llvm::BasicBlock* done) {
    if (form_.panels() > 1 && store_ != last_store_) {
      llvm::BasicBlock *full = block("full"), *last = block("last");
      b_.CreateCondBr(is_last, last, full);
      b_.SetInsertPoint(full);
      f(false);
      b_.CreateBr(done);
      b_.SetInsertPoint(last);
    }
    f(true);
    b_.CreateBr(done);
  }

  void compute(const std::vector<const RowTile*>& tiles, Value* number_of_block, bool last) {
    const int64_t columns = last ? form_.last_width() / lanes : 2;
    Value* a0 = halves(src_[0], tiles.front()->a);
    Value* a1 = halves(src_[0], tiles.back()->a);
    const Places& at = tiles.front()->line;
    b_.CreateCall(sums_[tiles.size() - 1][columns - 1],
                  {a0, a1, floats(src_[1], at.b), distance(number_of_block), scratch_});
    for (size_t k = 0; k < tiles.size(); ++k) {
      const RowTile& tile = *tiles[k];
      std::vector<Value*> args{
          floats(scratch_, static_cast<int64_t>(k) * Form::most_rows * Form::panel_width),
          floats(dst_, tile.line.dst), tile.first, tile.count};
      for (size_t n = 0; n < tile.line.operands.size(); ++n)
        args.push_back(floats(src_[2 + n], tile.line.operands[n]));
      b_.CreateCall(last ? last_store_ : store_, args);
    }
  }

  // Bytes from a block's columns to its share of the next panel.
  Value* distance(Value* number_of_block) {
    const int64_t lines = form_.pairs * Form::panel_width * 4 / line_bytes;
    const int64_t share = (lines + form_.blocks() - 1) / form_.blocks();
    Value* place = b_.CreateURem(number_of_block, number((lines + share - 1) / share));
    return b_.CreateAdd(number(4 * form_.pair_count() * Form::panel_width),
                        b_.CreateMul(place, number(share * line_bytes)));
  }

  llvm::Function* sums_[2][2] = {};  // by tiles of rows and of columns
  llvm::Function *store_ = nullptr, *last_store_ = nullptr;
  std::vector<Value*> src_;
  Value *dst_ = nullptr, *scratch_ = nullptr;
};

}  // namespace

codegen::EmittedKernel kernel(const Form& form, const Machine* machine) {
  codegen::EmittedKernel result;
  result.rows = form.tasks();
  result.flops_per_row = form.c.flops() / static_cast<double>(std::max<int64_t>(result.rows, 1));
  result.emit = [form, machine](llvm::IRBuilderBase& b, llvm::Module& module,
                                const std::string& name) {
    Driver(form, machine, b, module, name).emit();
  };
  return result;
}

}  // namespace tessera::amx
