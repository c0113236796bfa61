// SPDX-License-Identifier: Apache-2.0
// The code of attention: one function for blocks of queries of each width, called by tasks.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "codegen/attention.h"
#include "codegen/emit_scalar.h"

namespace tessera::codegen {
namespace {

using llvm::Value;
using Values = std::vector<Value*>;

constexpr int most_vectors = 3;  // of queries in a block
constexpr int64_t chunk = 64;    // keys whose weights are computed, and used, while they are near

// Rows of a tile of sums, so that they and what they are made of fit the registers.
int tile_rows(int vectors, int registers) {
  if (registers >= 32) return vectors == 3 ? 8 : vectors == 2 ? 12 : 16;
  return vectors == 3 ? 4 : vectors == 2 ? 5 : 8;
}

class BlockEmitter {
 public:
  BlockEmitter(const AttentionForm& form, VectorUnit unit, int vectors, int64_t valid,
               llvm::IRBuilderBase& b, llvm::Module& module)
      : f_(form),
        lanes_(unit.lanes),
        vectors_(vectors),
        rows_(tile_rows(vectors, unit.registers)),
        valid_(valid),
        width_(int64_t{unit.lanes} * vectors),
        b_(b),
        module_(module) {
    vector_ = llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(lanes_));
  }

  // void(q, k, v, dst, scratch, operands…) on pointers to the block's first elements.
  llvm::Function* emit(const std::string& name) {
    const std::vector<llvm::Type*> types(5 + f_.operands.size(), b_.getPtrTy());
    function_ = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), types, false),
                                       llvm::Function::InternalLinkage, name, module_);
    function_->setDoesNotThrow();
    function_->addFnAttr(llvm::Attribute::NoInline);
    b_.SetInsertPoint(llvm::BasicBlock::Create(b_.getContext(), "entry", function_));
    packed_ = argument(4);
    scores_ = at(packed_, number(f_.size * width_));
    result_ = at(scores_, number(f_.keys * width_));
    pack_queries();
    const Values largest = score_all();
    const Values sums = weigh_all(largest);
    finish(sums);
    b_.CreateRetVoid();
    return function_;
  }

 private:
  using Body = std::function<void(Value*, Values&)>;

  Value* argument(unsigned k) { return function_->getArg(k); }
  Value* number(int64_t n) { return b_.getInt64(static_cast<uint64_t>(n)); }
  Value* at(Value* base, Value* offset) { return b_.CreateGEP(b_.getFloatTy(), base, offset); }
  Value* at(Value* base, int64_t offset) { return offset ? at(base, number(offset)) : base; }
  Value* times(Value* n, int64_t by) { return b_.CreateMul(n, number(by)); }
  Value* zero() { return llvm::Constant::getNullValue(vector_); }
  Value* splat(Value* x) { return b_.CreateVectorSplat(static_cast<unsigned>(lanes_), x); }
  Value* load(Value* from) { return b_.CreateAlignedLoad(vector_, from, llvm::Align(4)); }
  void store(Value* v, Value* to) { b_.CreateAlignedStore(v, to, llvm::Align(4)); }

  // for (i = first; i < last; i += step) with values carried. REQUIRES: first < last.
  void loop(Value* first, Value* last, int64_t step, Values& carried, const Body& body) {
    llvm::BasicBlock* from = b_.GetInsertBlock();
    auto* head = llvm::BasicBlock::Create(b_.getContext(), "loop", function_);
    auto* after = llvm::BasicBlock::Create(b_.getContext(), "after", function_);
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    llvm::PHINode* i = b_.CreatePHI(b_.getInt64Ty(), 2);
    i->addIncoming(first, from);
    std::vector<llvm::PHINode*> phis;
    for (Value*& v : carried) {
      phis.push_back(b_.CreatePHI(v->getType(), 2));
      phis.back()->addIncoming(v, from);
      v = phis.back();
    }
    body(i, carried);
    Value* next = b_.CreateAdd(i, number(step), "", true, true);
    i->addIncoming(next, b_.GetInsertBlock());
    for (size_t k = 0; k < phis.size(); ++k) phis[k]->addIncoming(carried[k], b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpSLT(next, last), head, after);
    b_.SetInsertPoint(after);
  }
  void loop(int64_t last, int64_t step, Values& carried, const Body& body) {
    if (last > 0) loop(number(0), number(last), step, carried, body);
  }
  void loop(int64_t last, int64_t step, const std::function<void(Value*)>& body) {
    Values none;
    loop(last, step, none, [&](Value* i, Values&) { body(i); });
  }

  // Rows and columns of a square of vectors exchanged.
  Values transposed(Values rows) {
    for (int half = lanes_ / 2; half > 0; half /= 2) {
      std::vector<int> low, high;
      for (int k = 0; k < lanes_; ++k) {
        const bool upper = (k & half) != 0;
        low.push_back(upper ? k - half + lanes_ : k);
        high.push_back(upper ? k + lanes_ : k + half);
      }
      Values next(rows.size());
      for (int r = 0; r < lanes_; ++r) {
        if (r & half) continue;
        const auto x = static_cast<size_t>(r), y = static_cast<size_t>(r + half);
        next[x] = b_.CreateShuffleVector(rows[x], rows[y], low);
        next[y] = b_.CreateShuffleVector(rows[x], rows[y], high);
      }
      rows = std::move(next);
    }
    return rows;
  }

  // The row of query `k` of the block; queries that do not exist are the last one again, which then
  // is computed and stored several times alike.
  int64_t row_of(int64_t k) const { return std::min(k, valid_ - 1); }

  void pack_queries() {
    Value* scale = llvm::ConstantFP::get(vector_, f_.scale);
    for (int g = 0; g < vectors_; ++g)
      loop(f_.size, lanes_, [&](Value* d) {
        Values rows;
        for (int k = 0; k < lanes_; ++k)
          rows.push_back(load(at(at(argument(0), d), row_of(int64_t{g} * lanes_ + k) * f_.q_row)));
        rows = transposed(std::move(rows));
        for (int k = 0; k < lanes_; ++k) {
          Value* x = rows[static_cast<size_t>(k)];
          if (f_.scale != 1) x = b_.CreateFMul(x, scale);
          store(x, at(at(packed_, times(d, width_)), k * width_ + int64_t{g} * lanes_));
        }
      });
  }

  // One step of a tile: sums[r][v] += a[r · stride] · columns[v].
  void multiply(Values& sums, int rows, Value* a, int64_t stride, Value* columns) {
    Values x;
    for (int v = 0; v < vectors_; ++v) x.push_back(load(at(columns, int64_t{v} * lanes_)));
    for (int r = 0; r < rows; ++r) {
      Value* y = splat(b_.CreateLoad(b_.getFloatTy(), at(a, r * stride)));
      for (int v = 0; v < vectors_; ++v) {
        Value*& sum = sums[static_cast<size_t>(r * vectors_ + v)];
        sum = b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_},
                                 {y, x[static_cast<size_t>(v)], sum});
      }
    }
  }

  Values score_all() {
    const double infinity = std::numeric_limits<double>::infinity();
    Values largest(static_cast<size_t>(vectors_), llvm::ConstantFP::get(vector_, -infinity));
    const int64_t whole = f_.keys / rows_ * rows_;
    loop(whole, rows_, largest, [&](Value* key, Values& m) { score(key, rows_, m); });
    if (f_.keys > whole) score(number(whole), static_cast<int>(f_.keys - whole), largest);
    return largest;
  }

  // A NaN among the scores is not found here; it spoils the sum of its query's weights.
  void score(Value* key, int rows, Values& largest) {
    constexpr int64_t unroll = 4;
    Values sums(static_cast<size_t>(rows * vectors_), zero());
    Value* k = at(argument(1), times(key, f_.k_row));
    loop(f_.size, unroll, sums, [&](Value* d, Values& s) {
      Value* a = at(k, times(d, f_.k_column));
      Value* columns = at(packed_, times(d, width_));
      for (int64_t u = 0; u < unroll; ++u)
        multiply(s, rows, at(a, u * f_.k_column), f_.k_row, at(columns, u * width_));
    });
    Value* to = at(scores_, times(key, width_));
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors_; ++v) {
        Value* x = sums[static_cast<size_t>(r * vectors_ + v)];
        if (f_.score)
          x = emit_epilogue(b_, *f_.score, x, lanes_,
                            [&](size_t n) { return operand(n, key, r, v); });
        store(x, at(to, r * width_ + int64_t{v} * lanes_));
        Value*& m = largest[static_cast<size_t>(v)];
        m = b_.CreateSelect(b_.CreateFCmpOGT(x, m), x, m);
      }
  }

  Value* operand(size_t n, Value* key, int row, int v) {
    const AttentionForm::Operand& o = f_.operands[n];
    llvm::Type* type = memory_type(b_, o.dtype);
    Value* place = b_.CreateMul(b_.CreateAdd(key, number(row)), number(o.key));
    Value* from = b_.CreateGEP(type, argument(static_cast<unsigned>(5 + n)), place);
    const llvm::Align align(size_of(o.dtype));
    if (o.query == 0)
      return splat(from_memory(b_, o.dtype, b_.CreateAlignedLoad(type, from, align)));
    const int64_t first = int64_t{v} * lanes_;
    const int64_t known = std::clamp<int64_t>(valid_ - first, 0, lanes_);
    auto* wide = llvm::FixedVectorType::get(type, static_cast<unsigned>(lanes_));
    if (known == lanes_)
      return from_memory(
          b_, o.dtype, b_.CreateAlignedLoad(wide, b_.CreateGEP(type, from, number(first)), align));
    // Queries that do not exist have the numbers of the last one.
    Values lanes;
    Value* all = llvm::PoisonValue::get(wide);
    for (int k = 0; k < lanes_; ++k) {
      Value* one =
          b_.CreateAlignedLoad(type, b_.CreateGEP(type, from, number(row_of(first + k))), align);
      all = b_.CreateInsertElement(all, one, static_cast<uint64_t>(k));
    }
    return from_memory(b_, o.dtype, all);
  }

  Values weigh_all(const Values& largest) {
    loop(f_.value_size * vectors_, 1,
         [&](Value* k) { store(zero(), at(result_, times(k, lanes_))); });
    Values sums(static_cast<size_t>(vectors_), zero());
    const auto chunks = [&](Value* first, Values& s) {
      Value* last = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                             b_.CreateAdd(first, number(chunk)), number(f_.keys));
      weigh(first, last, largest, s);
      const int64_t whole = f_.value_size / rows_ * rows_;
      loop(whole, rows_, [&](Value* d) { accumulate(first, last, d, rows_); });
      if (f_.value_size > whole)
        accumulate(first, last, number(whole), static_cast<int>(f_.value_size - whole));
    };
    loop(f_.keys, chunk, sums, chunks);
    return sums;
  }

  // Scores become weights; their sums over the chunk are added to those before.
  void weigh(Value* first, Value* last, const Values& largest, Values& sums) {
    Values own(static_cast<size_t>(vectors_), zero());
    loop(first, last, 1, own, [&](Value* key, Values& s) {
      for (int v = 0; v < vectors_; ++v) {
        Value* place = at(at(scores_, times(key, width_)), int64_t{v} * lanes_);
        Value* x = b_.CreateFSub(load(place), largest[static_cast<size_t>(v)]);
        x = emit_primitive(b_, ir::Prim::exp, DType::f32, x, nullptr);
        store(x, place);
        Value*& sum = s[static_cast<size_t>(v)];
        sum = b_.CreateFAdd(sum, x);
      }
    });
    for (size_t v = 0; v < sums.size(); ++v) sums[v] = b_.CreateFAdd(sums[v], own[v]);
  }

  void accumulate(Value* first, Value* last, Value* d, int rows) {
    const int64_t unroll = std::gcd(f_.keys, int64_t{4});  // divides the chunks too
    Values sums(static_cast<size_t>(rows * vectors_), zero());
    Value* v = at(argument(2), times(d, f_.v_column));
    loop(first, last, unroll, sums, [&](Value* key, Values& s) {
      Value* a = at(v, times(key, f_.v_row));
      Value* columns = at(scores_, times(key, width_));
      for (int64_t u = 0; u < unroll; ++u)
        multiply(s, rows, at(a, u * f_.v_row), f_.v_column, at(columns, u * width_));
    });
    Value* to = at(result_, times(d, width_));
    for (int k = 0; k < rows * vectors_; ++k) {
      Value* place = at(to, int64_t{k} * lanes_);
      store(b_.CreateFAdd(load(place), sums[static_cast<size_t>(k)]), place);
    }
  }

  void finish(const Values& sums) {
    for (int g = 0; g < vectors_; ++g)
      loop(f_.value_size, lanes_, [&](Value* d) {
        Values rows;
        for (int k = 0; k < lanes_; ++k) {
          Value* x = load(at(at(result_, times(d, width_)), k * width_ + int64_t{g} * lanes_));
          rows.push_back(b_.CreateFDiv(x, sums[static_cast<size_t>(g)]));
        }
        rows = transposed(std::move(rows));
        for (int k = 0; k < lanes_; ++k)
          store(rows[static_cast<size_t>(k)],
                at(at(argument(3), d), row_of(int64_t{g} * lanes_ + k) * f_.dst_row));
      });
  }

  const AttentionForm& f_;
  const int lanes_, vectors_, rows_;
  const int64_t valid_, width_;  // queries of the block that exist, and of all its vectors
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  llvm::Type* vector_ = nullptr;
  llvm::Function* function_ = nullptr;
  Value *packed_ = nullptr, *scores_ = nullptr, *result_ = nullptr;
};

// The function of tasks: block by block, batch by batch.
void emit_tasks(const AttentionForm& f, VectorUnit unit, llvm::IRBuilderBase& b,
                llvm::Module& module, const std::string& name) {
  const int64_t width = int64_t{unit.lanes} * most_vectors;
  const int64_t full = f.queries / width, rest = f.queries % width, blocks = full + (rest ? 1 : 0);
  llvm::Function *block = nullptr, *last = nullptr;
  if (full) block = BlockEmitter(f, unit, most_vectors, width, b, module).emit(name + "_block");
  if (rest) {
    const auto vectors = static_cast<int>((rest + unit.lanes - 1) / unit.lanes);
    last = BlockEmitter(f, unit, vectors, rest, b, module).emit(name + "_last");
  }
  llvm::Type *p = b.getPtrTy(), *i = b.getInt64Ty();
  auto* function = llvm::Function::Create(llvm::FunctionType::get(i, {p, p, i, i}, false),
                                          llvm::Function::ExternalLinkage, name, module);
  function->setDoesNotThrow();
  const auto new_block = [&] { return llvm::BasicBlock::Create(b.getContext(), "", function); };
  const auto number = [&](int64_t n) { return b.getInt64(static_cast<uint64_t>(n)); };
  llvm::BasicBlock *entry = new_block(), *head = new_block(), *body = new_block(),
                   *done = new_block(), *next = new_block();
  b.SetInsertPoint(entry);
  const auto pointer = [&](unsigned list, uint64_t k) {
    return b.CreateLoad(p, b.CreateConstGEP1_64(p, function->getArg(list), k));
  };
  Values bases;
  for (uint64_t k = 0; k < 3; ++k) bases.push_back(pointer(0, k));
  for (uint64_t k = 0; k < 2; ++k) bases.push_back(pointer(1, k));
  for (uint64_t k = 0; k < f.operands.size(); ++k) bases.push_back(pointer(0, 3 + k));
  b.CreateBr(head);
  b.SetInsertPoint(head);
  llvm::PHINode* task = b.CreatePHI(i, 2);
  task->addIncoming(function->getArg(2), entry);
  b.CreateCondBr(b.CreateICmpSLT(task, function->getArg(3)), body, done);
  b.SetInsertPoint(body);
  Value* number_of_block = b.CreateURem(task, number(blocks));
  Value* batch = b.CreateUDiv(task, number(blocks));
  Value* query = b.CreateMul(number_of_block, number(width));
  Values offsets(bases.size(), number(0));
  const auto add = [&](size_t k, Value* index, int64_t stride) {
    if (stride) offsets[k] = b.CreateAdd(offsets[k], b.CreateMul(index, number(stride)));
  };
  for (size_t axis = f.batch.size(); axis-- > 0;) {
    Value* index = b.CreateURem(batch, number(f.batch[axis]));
    batch = b.CreateUDiv(batch, number(f.batch[axis]));
    add(0, index, f.q_batch[axis]);
    add(1, index, f.k_batch[axis]);
    add(2, index, f.v_batch[axis]);
    add(3, index, f.dst_batch[axis]);
    for (size_t k = 0; k < f.operands.size(); ++k) add(5 + k, index, f.operands[k].batch[axis]);
  }
  add(0, query, f.q_row);
  add(3, query, f.dst_row);
  for (size_t k = 0; k < f.operands.size(); ++k) add(5 + k, query, f.operands[k].query);
  Values args;
  for (size_t k = 0; k < bases.size(); ++k) {
    llvm::Type* type = k < 5 ? b.getFloatTy() : memory_type(b, f.operands[k - 5].dtype);
    args.push_back(k == 4 ? bases[k] : b.CreateGEP(type, bases[k], offsets[k]));
  }
  if (block && last) {
    llvm::BasicBlock *whole = new_block(), *part = new_block();
    b.CreateCondBr(b.CreateICmpSLT(number_of_block, number(full)), whole, part);
    b.SetInsertPoint(whole);
    b.CreateCall(block, args);
    b.CreateBr(next);
    b.SetInsertPoint(part);
    b.CreateCall(last, args);
  } else {
    b.CreateCall(block ? block : last, args);
  }
  b.CreateBr(next);
  b.SetInsertPoint(next);
  task->addIncoming(b.CreateAdd(task, number(1)), next);
  b.CreateBr(head);
  b.SetInsertPoint(done);
  b.CreateRet(number(0));
}

}  // namespace

int64_t attention_scratch(const AttentionForm& f, int lanes) {
  return (f.size + f.keys + f.value_size) * lanes * most_vectors;
}

EmittedKernel attention_kernel(const AttentionForm& form, VectorUnit unit) {
  EmittedKernel kernel;
  const int64_t width = int64_t{unit.lanes} * most_vectors;
  int64_t batches = 1;
  for (int64_t extent : form.batch) batches *= extent;
  kernel.rows = batches * ((form.queries + width - 1) / width);
  kernel.emit = [form, unit](llvm::IRBuilderBase& b, llvm::Module& module,
                             const std::string& name) { emit_tasks(form, unit, b, module, name); };
  return kernel;
}

}  // namespace tessera::codegen
