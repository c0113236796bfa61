// SPDX-License-Identifier: Apache-2.0
// The code of attention: one function for blocks of queries of each width, called by tasks.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "codegen/attention.h"
#include "codegen/contraction_tile.h"
#include "codegen/emit_scalar.h"

namespace tessera::codegen {
namespace {

using llvm::Value;
using Values = std::vector<Value*>;

// Weights are at most 1, and 16 bits hold less than 2^15.
constexpr double least_weight_unit = 1 / 32767.0;
constexpr int64_t score_part = 32;  // steps that are summed up before they join the score
// exp is 0 well above this; what is left allows for rounding.
constexpr double no_weight = -150, bound_slack = 1e-5;

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
        depth_(form.pairs ? form.size / 2 : form.size),
        together_(form.pairs ? 2 : 1),
        b_(b),
        module_(module) {
    vector_ = llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(lanes_));
  }

  // void(q, k, v, dst, scratch, operands…, units…, magnitudes, keys) on pointers to the block's
  // first elements; the last two where keys are hidden: those of the block's batch, and how many
  // are seen.
  llvm::Function* emit(const std::string& name) {
    std::vector<llvm::Type*> types(5 + f_.operands.size() + (f_.has_units() ? 3 : 0),
                                   b_.getPtrTy());
    if (f_.hidden) types.insert(types.end(), {b_.getPtrTy(), b_.getInt64Ty()});
    function_ = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), types, false),
                                       llvm::Function::InternalLinkage, name, module_);
    function_->setDoesNotThrow();
    function_->addFnAttr(llvm::Attribute::NoInline);
    b_.SetInsertPoint(llvm::BasicBlock::Create(b_.getContext(), "entry", function_));
    packed_ = argument(4);
    scores_ = at(packed_, number(depth_ * width_));
    result_ = at(scores_, number(f_.keys * width_));
    const Values magnitudes = pack_queries();
    Values largest(static_cast<size_t>(vectors_), llvm::ConstantFP::get(vector_, -HUGE_VAL));
    Value* const keys = f_.hidden ? score_seen(magnitudes, largest) : score_all(largest);
    const Values sums = weigh_all(largest, keys);
    finish(sums);
    b_.CreateRetVoid();
    return function_;
  }

 private:
  using Body = std::function<void(Value*, Values&)>;

  Value* argument(unsigned k) { return function_->getArg(k); }
  // Of queries, keys and columns of v.
  Value* units(unsigned k) { return argument(5 + static_cast<unsigned>(f_.operands.size()) + k); }
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

  // The body where the condition holds, with values carried.
  void when(Value* condition, Values& carried, const std::function<void(Values&)>& body) {
    llvm::BasicBlock* from = b_.GetInsertBlock();
    auto* then = llvm::BasicBlock::Create(b_.getContext(), "then", function_);
    auto* after = llvm::BasicBlock::Create(b_.getContext(), "after", function_);
    b_.CreateCondBr(condition, then, after);
    b_.SetInsertPoint(then);
    Values changed = carried;
    body(changed);
    llvm::BasicBlock* const end = b_.GetInsertBlock();
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
    for (size_t k = 0; k < carried.size(); ++k) {
      llvm::PHINode* phi = b_.CreatePHI(carried[k]->getType(), 2);
      phi->addIncoming(carried[k], from);
      phi->addIncoming(changed[k], end);
      carried[k] = phi;
    }
  }

  // The row of query `k` of the block; queries that do not exist are the last one again, which then
  // is computed and stored several times alike.
  int64_t row_of(int64_t k) const { return std::min(k, valid_ - 1); }

  bool needs_magnitudes() const { return f_.hidden && f_.hidden->slope > 0; }

  // The largest magnitudes of the queries' numbers, NaN left out, where they are needed.
  Values pack_queries() {
    Value* scale = llvm::ConstantFP::get(vector_, f_.scale);
    Values magnitudes(static_cast<size_t>(needs_magnitudes() ? vectors_ : 0), zero());
    for (int g = 0; g < vectors_; ++g) {
      Values own;
      if (needs_magnitudes()) own = {magnitudes[static_cast<size_t>(g)]};
      loop(depth_, lanes_, own, [&](Value* d, Values& m) {
        Values rows;
        for (int k = 0; k < lanes_; ++k)
          rows.push_back(load(at(at(argument(0), d), row_of(int64_t{g} * lanes_ + k) * f_.q_row)));
        rows = emit_transposed(b_, std::move(rows));
        for (int k = 0; k < lanes_; ++k) {
          Value* x = rows[static_cast<size_t>(k)];
          if (f_.scale != 1 && !f_.pairs) x = b_.CreateFMul(x, scale);
          store(x, at(at(packed_, times(d, width_)), k * width_ + int64_t{g} * lanes_));
          if (m.empty()) continue;
          Value* size = b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
          m[0] = b_.CreateSelect(b_.CreateFCmpOGT(size, m[0]), size, m[0]);
        }
      });
      if (!own.empty()) magnitudes[static_cast<size_t>(g)] = own[0];
    }
    return magnitudes;
  }

  // One step of a tile: sums[r][v] += a[r · stride] · columns[v].
  void multiply(Values& sums, int rows, Value* a, int64_t stride, Value* columns) {
    Values x;
    for (int v = 0; v < vectors_; ++v) x.push_back(load(at(columns, int64_t{v} * lanes_)));
    for (int r = 0; r < rows; ++r) {
      Value* y = splat(b_.CreateLoad(b_.getFloatTy(), at(a, r * stride)));
      for (int v = 0; v < vectors_; ++v) {
        Value*& sum = sums[static_cast<size_t>(r * vectors_ + v)];
        sum = emit_multiply_add(b_, f_.pairs, y, x[static_cast<size_t>(v)], sum);
      }
    }
  }

  int64_t whole_keys() const { return f_.keys / rows_ * rows_; }

  Value* score_all(Values& largest) {
    loop(whole_keys(), rows_, largest, [&](Value* key, Values& m) { score(key, rows_, m); });
    score_rest(largest);
    return number(f_.keys);
  }

  void score_rest(Values& largest) {
    const int64_t whole = whole_keys();
    if (f_.keys > whole) score(number(whole), static_cast<int>(f_.keys - whole), largest);
  }

  // Scores of the keys that are seen, and of the others where they cannot be left out; gives the
  // number of keys with scores.
  Value* score_seen(const Values& magnitudes, Values& largest) {
    Value* const seen = argument(static_cast<unsigned>(6 + f_.operands.size()));
    Value* const whole = number(whole_keys());
    const auto tiles = [&](Value* key, Values& m) { score(key, rows_, m); };
    Value* const first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, seen, whole);
    loop(number(0), first, rows_, largest, tiles);
    Value* const enough = are_weightless(seen, magnitudes, largest);
    when(b_.CreateNot(enough), largest, [&](Values& all) {
      Value* next = b_.CreateUDiv(b_.CreateAdd(first, number(rows_ - 1)), number(rows_));
      next = times(next, rows_);
      when(b_.CreateICmpSLT(next, whole), all,
           [&](Values& m) { loop(next, whole, rows_, m, tiles); });
      score_rest(all);
    });
    return b_.CreateSelect(enough, seen, number(f_.keys));
  }

  // Whether the weights of keys from `seen` on are 0 beside these largest scores, and their values
  // finite. |q · k| is at most size · |q| · |k| by the largest numbers; twice that covers rounding.
  Value* are_weightless(Value* seen, const Values& magnitudes, const Values& largest) {
    const HiddenKeys& hidden = *f_.hidden;
    Value* const pair = at(argument(static_cast<unsigned>(5 + f_.operands.size())),
                           times(b_.CreateUDiv(seen, number(magnitude_step)), 2));
    Value* const of_k = splat(b_.CreateLoad(b_.getFloatTy(), pair));
    Value* const of_v = b_.CreateLoad(b_.getFloatTy(), at(pair, 1));
    Value* enough = b_.CreateFCmpOLT(of_v, llvm::ConstantFP::getInfinity(b_.getFloatTy()));
    enough = b_.CreateAnd(enough, b_.CreateICmpSLT(seen, number(f_.keys)));
    const double bound = hidden.score * (1 - bound_slack);
    for (size_t v = 0; v < largest.size(); ++v) {
      Value* most = llvm::ConstantFP::get(vector_, bound);
      if (needs_magnitudes()) {
        const double slope = 2 * hidden.slope * static_cast<double>(f_.size);
        Value* reach = b_.CreateFMul(magnitudes[v], of_k);
        reach = b_.CreateFMul(reach, llvm::ConstantFP::get(vector_, slope));
        most = b_.CreateFAdd(most, reach);
      }
      Value* below = b_.CreateFCmpOLE(b_.CreateFSub(most, largest[v]),
                                      llvm::ConstantFP::get(vector_, no_weight));
      enough = b_.CreateAnd(enough, b_.CreateAndReduce(below));
    }
    return enough;
  }

  // A NaN among the scores is not found here; it spoils the sum of its query's weights.
  void score(Value* key, int rows, Values& largest) {
    constexpr int64_t unroll = 4;
    Value* k = at(argument(1), times(key, f_.k_row));
    Value* to = at(scores_, times(key, width_));
    Values sums;
    // Sums of parts have errors of their own lengths; they wait where the scores will be. (Those of
    // 16 bits are exact, or not so close.)
    const int64_t part = f_.pairs ? depth_ : score_part;
    for (int64_t first = 0; first < depth_; first += part) {
      sums.assign(static_cast<size_t>(rows * vectors_), zero());
      const int64_t last = std::min(first + part, depth_);
      loop(number(first), number(last), unroll, sums, [&](Value* d, Values& s) {
        Value* a = at(k, times(d, f_.k_column));
        Value* columns = at(packed_, times(d, width_));
        for (int64_t u = 0; u < unroll; ++u)
          multiply(s, rows, at(a, u * f_.k_column), f_.k_row, at(columns, u * width_));
      });
      for (size_t n = 0; n < sums.size(); ++n) {
        Value* place = at(to, static_cast<int64_t>(n) * lanes_);
        if (first > 0) sums[n] = b_.CreateFAdd(load(place), sums[n]);
        if (last < depth_) store(sums[n], place);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors_; ++v) {
        Value* x = product_of(sums[static_cast<size_t>(r * vectors_ + v)], key, r, v);
        if (f_.score)
          x = emit_epilogue(b_, *f_.score, x, lanes_,
                            [&](size_t n) { return operand(n, key, r, v); });
        store(x, at(to, r * width_ + int64_t{v} * lanes_));
        Value*& m = largest[static_cast<size_t>(v)];
        m = b_.CreateSelect(b_.CreateFCmpOGT(x, m), x, m);
      }
  }

  Value* as_float(Value* sum) {
    if (!f_.has_units()) return sum;
    llvm::Type* integers =
        llvm::FixedVectorType::get(b_.getInt32Ty(), static_cast<unsigned>(lanes_));
    return b_.CreateSIToFP(b_.CreateBitCast(sum, integers), vector_);
  }

  // The scaled product that a sum stands for. (In f32 the queries have the scale.)
  Value* product_of(Value* sum, Value* key, int row, int v) {
    if (f_.has_units()) {
      Value* of_query = load(at(units(0), int64_t{v} * lanes_));
      Value* of_key = splat(b_.CreateLoad(b_.getFloatTy(), at(at(units(1), key), row)));
      return b_.CreateFMul(b_.CreateFMul(as_float(sum), of_query), of_key);
    }
    if (!f_.pairs || f_.scale == 1) return sum;
    return b_.CreateFMul(sum, llvm::ConstantFP::get(vector_, f_.scale));
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

  Values weigh_all(const Values& largest, Value* keys) {
    loop(f_.value_size * vectors_, 1,
         [&](Value* k) { store(zero(), at(result_, times(k, lanes_))); });
    Values sums(static_cast<size_t>(vectors_), zero());
    if (f_.hidden) {
      loop(number(0), keys, attention_chunk, sums, [&](Value* first, Values& s) {
        Value* count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, number(attention_chunk),
                                                b_.CreateSub(keys, first));
        use_chunk(first, attention_chunk, largest, s, count);
      });
      return sums;
    }
    const int64_t whole = f_.keys / attention_chunk * attention_chunk;
    loop(whole, attention_chunk, sums,
         [&](Value* first, Values& s) { use_chunk(first, attention_chunk, largest, s); });
    if (f_.keys > whole) use_chunk(number(whole), f_.keys - whole, largest, sums);
    return sums;
  }

  // `seen`, if given: how many of the `count` keys there are; in f32.
  void use_chunk(Value* first, int64_t count, const Values& largest, Values& sums,
                 Value* seen = nullptr) {
    const Values units = weigh(first, count, largest, sums, seen);
    const int64_t whole = f_.value_size / rows_ * rows_;
    loop(whole, rows_, [&](Value* d) { accumulate(first, count, d, rows_, units, seen); });
    if (f_.value_size > whole)
      accumulate(first, count, number(whole), static_cast<int>(f_.value_size - whole), units, seen);
  }

  // Scores become weights; their sums over the chunk are added to those before. Returns the units
  // of integers.
  Values weigh(Value* first, int64_t count, const Values& largest, Values& sums, Value* seen) {
    const auto vectors = static_cast<size_t>(vectors_);
    const bool at_once = f_.pairs && !f_.has_units();
    const int64_t step = at_once ? 2 : 1, whole = count / step * step;
    Values own(f_.has_units() ? 2 * vectors : vectors, zero());  // sums, and those of squares
    const auto keys = [&](Value* k, Values& s) {
      weigh_keys(b_.CreateAdd(first, k), step, at_once, largest, s);
    };
    if (seen) loop(number(0), seen, step, own, keys);
    else loop(whole, step, own, keys);
    if (count > whole) weigh_keys(b_.CreateAdd(first, number(whole)), 1, at_once, largest, own);
    for (size_t v = 0; v < vectors; ++v) sums[v] = b_.CreateFAdd(sums[v], own[v]);
    if (!f_.has_units()) return {};
    own.erase(own.begin(), own.begin() + vectors_);
    return to_integers(first, count, own);
  }

  // One key, or two; as a pair, `at_once`, they lie at the place of the first.
  void weigh_keys(Value* key, int64_t count, bool at_once, const Values& largest, Values& sums) {
    for (int v = 0; v < vectors_; ++v) {
      Value* place = at(at(scores_, times(key, width_)), int64_t{v} * lanes_);
      Value* weights[2] = {nullptr, zero()};
      for (int64_t k = 0; k < count; ++k) {
        Value* x = b_.CreateFSub(load(at(place, k * width_)), largest[static_cast<size_t>(v)]);
        x = weights[k] = emit_primitive(b_, ir::Prim::exp, DType::f32, x, nullptr);
        Value*& sum = sums[static_cast<size_t>(v)];
        sum = b_.CreateFAdd(sum, x);
        if (!f_.has_units()) continue;
        Value*& squares = sums[static_cast<size_t>(v + vectors_)];
        squares = b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_}, {x, x, squares});
      }
      store(at_once ? pair_of(weights[0], weights[1]) : weights[0], place);
    }
  }

  // The weights of a chunk in units such that they are no longer than longest_i16. They are at most
  // 1, so their integers fit 16 bits where the units are no less than those of a single one. (A NaN
  // makes the sum of its query's weights NaN, whatever becomes of it here.)
  Values to_integers(Value* first, int64_t count, const Values& squares) {
    const double most = longest_i16 - std::sqrt(static_cast<double>(attention_chunk)) / 2;
    Values units, factors;
    for (Value* square : squares) {
      Value* length = b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, square);
      Value* unit = b_.CreateFMul(length, llvm::ConstantFP::get(vector_, (1 + 1e-6) / most));
      unit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::maxnum, unit,
                                      llvm::ConstantFP::get(vector_, least_weight_unit));
      units.push_back(unit);
      factors.push_back(b_.CreateFDiv(llvm::ConstantFP::get(vector_, 1), unit));
    }
    const auto pair = [&](Value* key, bool both) {
      for (int v = 0; v < vectors_; ++v) {
        Value* place = at(at(scores_, times(key, width_)), int64_t{v} * lanes_);
        const auto integer = [&](Value* from) {
          return bits_of(b_.CreateFMul(load(from), factors[static_cast<size_t>(v)]));
        };
        Value* low = integer(place);
        Value* high =
            both ? integer(at(place, width_)) : llvm::Constant::getNullValue(low->getType());
        low = b_.CreateAnd(low, llvm::ConstantInt::get(low->getType(), 0xffff));
        store(b_.CreateBitCast(b_.CreateOr(low, b_.CreateShl(high, 16)), vector_), place);
      }
    };
    loop(count / 2 * 2, 2, [&](Value* k) { pair(b_.CreateAdd(first, k), true); });
    if (count % 2 != 0) pair(b_.CreateAdd(first, number(count - 1)), false);
    return units;
  }

  // The nearest integer of a number below 2^15 in the last bits: those of a float whose unit is 1.
  Value* bits_of(Value* x) {
    llvm::Type* integers =
        llvm::FixedVectorType::get(b_.getInt32Ty(), static_cast<unsigned>(lanes_));
    return b_.CreateBitCast(b_.CreateFAdd(x, llvm::ConstantFP::get(vector_, 0x1.8p23)), integers);
  }

  // Two vectors as pairs of bf16.
  Value* pair_of(Value* x, Value* y) {
    Value* both = b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_cvtne2ps2bf16_512, {}, {y, x});
    std::vector<int> order;
    for (int k = 0; k < lanes_; ++k) order.insert(order.end(), {k, lanes_ + k});
    return b_.CreateBitCast(b_.CreateShuffleVector(both, order), vector_);
  }

  void accumulate(Value* first, int64_t count, Value* d, int rows, const Values& units,
                  Value* seen) {
    const int64_t steps = (count + together_ - 1) / together_,
                  unroll = std::gcd(seen ? f_.keys : steps, int64_t{4});
    Values sums(static_cast<size_t>(rows * vectors_), zero());
    Value* from = at(at(argument(2), times(d, f_.v_column)),
                     times(b_.CreateUDiv(first, number(together_)), f_.v_row));
    Value* weights = at(scores_, times(first, width_));
    const int64_t row = together_ * width_;
    loop(number(0), seen ? seen : number(steps), unroll, sums, [&](Value* k, Values& s) {
      Value *a = at(from, times(k, f_.v_row)), *columns = at(weights, times(k, row));
      for (int64_t u = 0; u < unroll; ++u)
        multiply(s, rows, at(a, u * f_.v_row), f_.v_column, at(columns, u * row));
    });
    Value* to = at(result_, times(d, width_));
    for (int k = 0; k < rows * vectors_; ++k) {
      Value *place = at(to, int64_t{k} * lanes_), *sum = as_float(sums[static_cast<size_t>(k)]);
      if (!units.empty()) sum = b_.CreateFMul(sum, units[static_cast<size_t>(k % vectors_)]);
      store(b_.CreateFAdd(load(place), sum), place);
    }
  }

  void finish(const Values& sums) {
    for (int g = 0; g < vectors_; ++g)
      loop(f_.value_size, lanes_, [&](Value* d) {
        Values rows;
        for (int k = 0; k < lanes_; ++k) {
          Value* x = load(at(at(result_, times(d, width_)), k * width_ + int64_t{g} * lanes_));
          if (f_.has_units())
            x = b_.CreateFMul(x, splat(b_.CreateLoad(b_.getFloatTy(), at(at(units(2), d), k))));
          rows.push_back(b_.CreateFDiv(x, sums[static_cast<size_t>(g)]));
        }
        rows = emit_transposed(b_, std::move(rows));
        for (int k = 0; k < lanes_; ++k)
          store(rows[static_cast<size_t>(k)],
                at(at(argument(3), d), row_of(int64_t{g} * lanes_ + k) * f_.dst_row));
      });
  }

  const AttentionForm& f_;
  const int lanes_, vectors_, rows_;
  const int64_t valid_, width_;  // queries of the block that exist, and of all its vectors
  const int64_t depth_;          // steps of a score's sum
  const int64_t together_;       // keys of one step of a result's sum
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  llvm::Type* vector_ = nullptr;
  llvm::Function* function_ = nullptr;
  Value *packed_ = nullptr, *scores_ = nullptr, *result_ = nullptr;
};

// The function of tasks: block by block, batch by batch.
void emit_tasks(const AttentionForm& f, VectorUnit unit, llvm::IRBuilderBase& b,
                llvm::Module& module, const std::string& name) {
  const int64_t width = int64_t{unit.lanes} * attention_vectors;
  const int64_t full = f.queries / width, rest = f.queries % width, blocks = full + (rest ? 1 : 0);
  llvm::Function *block = nullptr, *last = nullptr;
  if (full)
    block = BlockEmitter(f, unit, attention_vectors, width, b, module).emit(name + "_block");
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
  const size_t more = f.operands.size() + (f.has_units() ? 3 : 0);
  for (uint64_t k = 0; k < more; ++k) bases.push_back(pointer(0, 3 + k));
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
    const std::vector<int64_t>* strides[] = {&f.q_batch, &f.k_batch, &f.v_batch, &f.dst_batch};
    for (size_t k = 0; k < 4; ++k) add(k, index, strides[k]->at(axis));
    for (size_t k = 0; k < f.operands.size(); ++k) add(5 + k, index, f.operands[k].batch[axis]);
  }
  add(0, query, f.q_row);
  add(3, query, f.dst_row);
  if (f.has_units()) add(5 + f.operands.size(), query, 1);
  for (size_t k = 0; k < f.operands.size(); ++k) add(5 + k, query, f.operands[k].query);
  Values args;
  for (size_t k = 0; k < bases.size(); ++k) {
    const bool is_operand = k >= 5 && k < 5 + f.operands.size();
    llvm::Type* type = is_operand ? memory_type(b, f.operands[k - 5].dtype) : b.getFloatTy();
    args.push_back(k == 4 ? bases[k] : b.CreateGEP(type, bases[k], offsets[k]));
  }
  if (f.hidden) {
    Value* first = b.CreateMul(b.CreateUDiv(task, number(blocks)), number(magnitude_floats(f)));
    args.push_back(b.CreateGEP(b.getFloatTy(), pointer(1, 2), first));
    args.push_back(b.CreateLoad(i, b.CreateGEP(i, pointer(1, 3), number_of_block)));
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
  return (f.size + f.keys + f.value_size) * lanes * attention_vectors;
}

EmittedKernel attention_kernel(const AttentionForm& form, VectorUnit unit) {
  EmittedKernel kernel;
  const int64_t width = int64_t{unit.lanes} * attention_vectors;
  int64_t batches = 1;
  for (int64_t extent : form.batch) batches *= extent;
  kernel.rows = batches * ((form.queries + width - 1) / width);
  kernel.emit = [form, unit](llvm::IRBuilderBase& b, llvm::Module& module,
                             const std::string& name) { emit_tasks(form, unit, b, module, name); };
  return kernel;
}

}  // namespace tessera::codegen
