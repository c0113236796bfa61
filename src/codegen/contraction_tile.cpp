// SPDX-License-Identifier: Apache-2.0
// The reduction with its sums in registers, then the epilogue. Distances between the rows of a tile
// are constants, so they become displacements of the loads.
#include "codegen/contraction_tile.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "base/check.h"
#include "codegen/emit_scalar.h"

namespace tessera::codegen {

namespace {

using llvm::Value;
using Axis = Contraction::Axis;

class TileEmitter {
 public:
  TileEmitter(const Contraction& c, const ContractionSchedule& s, const TileShape& shape,
              llvm::IRBuilderBase& b, llvm::Module& module)
      : c_(with_short_sums(c)), s_(s), shape_(shape), b_(b), module_(module) {
    vector_ = llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(s.lanes));
    inner_flat_.assign(c_.reduce.size() + 1, 1);
    for (size_t k = c_.reduce.size(); k-- > 0;)
      inner_flat_[k] = inner_flat_[k + 1] * c_.reduce[k].extent;
    find_partial_sums();
    find_rows();
  }

  llvm::Function* emit(const std::string& name) {
    declare(name);
    b_.SetInsertPoint(block("entry"));
    count_ = rows_.size() * static_cast<size_t>(shape_.vectors);
    near_totals_ = has_partial_sums() && c_.has_units() &&
                   totals_fit(static_cast<int64_t>(rows_.size()), shape_.vectors);
    sums_.assign(near_totals_ ? 2 * count_ : count_, llvm::Constant::getNullValue(vector_));
    if (has_partial_sums() && !near_totals_) start_totals();
    nest(0, f_->getArg(0), f_->getArg(1), number(0), std::vector<bool>(rows_.size(), true));
    store_all();
    b_.CreateRetVoid();
    return f_;
  }

 private:
  // Distances from the tile's first row.
  struct Row {
    int64_t outer = 0, inner = 0;  ///< indices on the axes
    int64_t a = 0, dst = 0;
    std::vector<int64_t> operands;
  };
  struct Limits {
    Value *first = nullptr, *last = nullptr;
  };

  Value* number(int64_t n) { return b_.getInt64(static_cast<uint64_t>(n)); }
  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(b_.getContext(), name, f_);
  }
  llvm::Type* result_type() { return c_.rounds ? b_.getInt16Ty() : b_.getFloatTy(); }
  Value* result_at(Value* offset) { return b_.CreateGEP(result_type(), f_->getArg(2), offset); }
  Value* at(Value* base, int64_t offset) {
    return offset ? b_.CreateConstGEP1_64(b_.getFloatTy(), base, static_cast<uint64_t>(offset))
                  : base;
  }

  // Sums of integers run along the last axis only.
  void find_partial_sums() {
    const size_t axes = c_.reduce.size();
    if (c_.pairs) {
      if (c_.pairs->chunked) summed_ = axes - 1;
    } else if (c_.group == 0 && axes > 1 && inner_flat_[0] > longest_sum) {
      summed_ = axes - 1;
      while (summed_ > 1 && inner_flat_[summed_ - 1] <= longest_sum) --summed_;
    }
  }

  void find_rows() {
    const size_t n = c_.rows.size();
    const Axis unit{};
    const Axis &inner = c_.rows[n - 1], &outer = n > 1 ? c_.rows[n - 2] : unit;
    for (int64_t o = 0; o < shape_.outer.count; ++o)
      for (int64_t i = 0; i < shape_.inner.count; ++i) {
        Row row{shape_.outer.first + o,
                shape_.inner.first + i,
                o * outer.a + i * inner.a,
                o * outer.dst + i * inner.dst,
                {}};
        for (size_t k = 0; k < c_.operand_count(); ++k)
          row.operands.push_back(o * outer.operand(k) + i * inner.operand(k));
        rows_.push_back(std::move(row));
      }
  }

  void declare(const std::string& name) {
    const size_t pointers = 4 + c_.operand_count();
    std::vector<llvm::Type*> types(pointers, b_.getPtrTy());
    std::vector<size_t> told;
    for (size_t k = 0; k < c_.windows.size(); ++k)
      if (!is_fixed(c_, c_.windows[k], shape_.fixed_outer)) told.push_back(k);
    types.insert(types.end(), 2 * told.size(), b_.getInt64Ty());
    f_ = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), types, false),
                                llvm::Function::InternalLinkage, name, module_);
    f_->setDoesNotThrow();
    f_->addFnAttr(llvm::Attribute::NoInline);
    for (size_t k = 0; k < told.size(); ++k)
      limits_[told[k]] = {f_->getArg(static_cast<unsigned>(pointers + 2 * k)),
                          f_->getArg(static_cast<unsigned>(pointers + 2 * k + 1))};
  }

  size_t window_of_tap(size_t axis) const {
    for (size_t k = 0; k < c_.windows.size(); ++k)
      if (c_.windows[k].tap == axis) return k;
    return SIZE_MAX;
  }

  // Elements of b from one index of a reduction's axis to the next.
  int64_t b_step(size_t depth) const {
    return c_.packed ? inner_flat_[depth + 1] * s_.lanes * shape_.vectors : c_.reduce[depth].b;
  }

  using Active = std::vector<bool>;

  void nest(size_t depth, Value* a, Value* b, Value* flat, const Active& active) {
    walk(depth, a, b, flat, active);
    if (depth == summed_) add_to_totals(active);
  }

  void walk(size_t depth, Value* a, Value* b, Value* flat, const Active& active) {
    if (c_.group > 0 && depth + (c_.group > 1 ? 1 : 0) == c_.reduce.size())
      return group_step(a, b, active);
    if (is_line(depth)) return group_line(depth, a, b, active);
    if (depth == c_.reduce.size()) return step(a, b, active);
    const Axis& axis = c_.reduce[depth];
    const size_t window = window_of_tap(depth);
    const bool innermost = depth + 1 == c_.reduce.size();
    if (window == SIZE_MAX)
      return sweep(depth, axis.extent, innermost ? s_.unroll : 1, a, b, flat, active);
    if (!is_fixed(c_, c_.windows[window], shape_.fixed_outer)) {
      const Limits& l = limits_.at(window);
      return loop(depth, l.first, l.last, 1, a, b, flat, active);
    }
    bool all = true;
    for (int64_t tap = 0; tap < axis.extent; ++tap)
      all = all && who_sees(c_.windows[window], tap, active) == active;
    if (all && continues(depth))
      return sweep(depth + 1, axis.extent * c_.reduce[depth + 1].extent, s_.unroll, a, b, flat,
                   active);
    for (int64_t tap = 0; tap < axis.extent; ++tap) {
      const Active seeing = who_sees(c_.windows[window], tap, active);
      if (std::find(seeing.begin(), seeing.end(), true) != seeing.end())
        one(depth, tap, a, b, flat, seeing);
    }
  }

  // Index k of an axis, inside the axes before it.
  void one(size_t depth, int64_t k, Value* a, Value* b, Value* flat, const Active& active) {
    nest(depth + 1, at(a, k * c_.reduce[depth].a), at(b, k * b_step(depth)),
         b_.CreateAdd(flat, number(k * inner_flat_[depth + 1])), active);
  }

  // `count` steps along an axis: a loop over groups of `unroll`, then the rest.
  void sweep(size_t depth, int64_t count, int64_t unroll, Value* a, Value* b, Value* flat,
             const Active& active) {
    const int64_t whole = count / unroll * unroll;
    int64_t done = 0;
    // (Code that is unrolled across taps would keep what neighbouring pixels share, in memory.)
    if (whole >= 2 * unroll) {
      loop(depth, number(0), number(whole), unroll, a, b, flat, active);
      done = whole;
    }
    for (; done < count; ++done) one(depth, done, a, b, flat, active);
  }

  // Whether the innermost axis and the one before it are one row of memory, in a and in b.
  bool continues(size_t depth) const {
    if (summed_ == depth + 1 || c_.group > 0 || depth + 2 != c_.reduce.size() ||
        window_of_tap(depth + 1) != SIZE_MAX)
      return false;
    const Axis &axis = c_.reduce[depth], &inner = c_.reduce[depth + 1];
    return axis.a == inner.a * inner.extent && b_step(depth) == b_step(depth + 1) * inner.extent;
  }

  Active who_sees(const Contraction::Window& w, int64_t tap, const Active& active) const {
    Active result = active;
    for (size_t r = 0; r < rows_.size(); ++r) {
      const int64_t index = w.row + 1 == c_.rows.size() ? rows_[r].inner : rows_[r].outer;
      result[r] = active[r] && w.contains(index, tap);
    }
    return result;
  }

  // for (k = first; k < last; k += unroll), by which the sums go as they come where it is empty.
  void loop(size_t depth, Value* first, Value* last, int64_t unroll, Value* a, Value* b,
            Value* flat, const Active& active) {
    const Axis& axis = c_.reduce[depth];
    const std::vector<Value*> before = sums_;
    llvm::BasicBlock* from = b_.GetInsertBlock();
    llvm::BasicBlock *body = block("loop"), *after = block("after");
    const bool certain = llvm::isa<llvm::Constant>(first);
    Value *a_first = a, *b_first = b;
    if (!certain) {
      a_first = b_.CreateGEP(b_.getFloatTy(), a, b_.CreateMul(first, number(axis.a)));
      b_first = b_.CreateGEP(b_.getFloatTy(), b, b_.CreateMul(first, number(b_step(depth))));
      b_.CreateCondBr(b_.CreateICmpSLT(first, last), body, after);
    } else {
      b_.CreateBr(body);
    }
    b_.SetInsertPoint(body);
    llvm::PHINode* k = b_.CreatePHI(b_.getInt64Ty(), 2);
    llvm::PHINode* pa = b_.CreatePHI(b_.getPtrTy(), 2);
    llvm::PHINode* pb = b_.CreatePHI(b_.getPtrTy(), 2);
    std::vector<llvm::PHINode*> carried;
    for (Value*& sum : sums_) {
      carried.push_back(b_.CreatePHI(vector_, 2));
      carried.back()->addIncoming(sum, from);
      sum = carried.back();
    }
    Value* own_flat = b_.CreateAdd(flat, b_.CreateMul(k, number(inner_flat_[depth + 1])));
    const bool innermost = depth + 1 == c_.reduce.size();
    if (unroll > 1 || innermost || c_.reduce[depth + 1].extent == s_.unroll) prefetch(own_flat);
    for (int64_t u = 0; u < unroll; ++u)
      nest(depth + 1, at(pa, u * axis.a), at(pb, u * b_step(depth)), own_flat, active);
    llvm::BasicBlock* end = b_.GetInsertBlock();
    Value* next = b_.CreateAdd(k, number(unroll), "", true, true);
    k->addIncoming(first, from), k->addIncoming(next, end);
    pa->addIncoming(a_first, from), pa->addIncoming(at(pa, unroll * axis.a), end);
    pb->addIncoming(b_first, from), pb->addIncoming(at(pb, unroll * b_step(depth)), end);
    for (size_t n = 0; n < sums_.size(); ++n) carried[n]->addIncoming(sums_[n], end);
    b_.CreateCondBr(b_.CreateICmpSLT(next, last), body, after);
    b_.SetInsertPoint(after);
    if (certain) return;
    for (size_t n = 0; n < sums_.size(); ++n) {
      llvm::PHINode* joined = b_.CreatePHI(vector_, 2);
      joined->addIncoming(before[n], from);
      joined->addIncoming(sums_[n], end);
      sums_[n] = joined;
    }
  }

  // This tile's share of the next panel.
  void prefetch(Value* flat) {
    if (!s_.prefetch) return;
    const int64_t share = prefetch_share(c_, s_, shape_.row_tiles);
    const int64_t floats = share / (c_.reduction() / s_.unroll);  // for each `unroll` steps
    Value* from = b_.CreateGEP(b_.getFloatTy(), f_->getArg(3),
                               b_.CreateMul(flat, number(floats / s_.unroll)));
    for (int64_t line = 0; line < floats; line += 16)
      b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                         {at(from, line), b_.getInt32(0), b_.getInt32(2), b_.getInt32(1)});
  }

  Value* tail_mask() {
    std::vector<llvm::Constant*> lanes;
    for (int k = 0; k < s_.lanes; ++k) lanes.push_back(b_.getInt1(k < shape_.last_lanes));
    return llvm::ConstantVector::get(lanes);
  }
  bool is_partial(int v) const { return v + 1 == shape_.vectors && shape_.last_lanes < s_.lanes; }

  Value* load_vector(Value* from, int v, bool padded) {
    const llvm::Align align(padded ? static_cast<uint64_t>(s_.lanes) * 4 : 4);
    if (padded || !is_partial(v)) return b_.CreateAlignedLoad(vector_, from, align);
    return b_.CreateMaskedLoad(vector_, from, align, tail_mask(),
                               llvm::Constant::getNullValue(vector_));
  }

  Value* multiply_add(Value* x, Value* y, Value* sum) {
    const auto kind = c_.pairs ? std::optional(c_.pairs->kind) : std::nullopt;
    return emit_multiply_add(b_, kind, x, y, sum);
  }

  size_t slot(size_t row, int v) const {
    return row * static_cast<size_t>(shape_.vectors) + static_cast<size_t>(v);
  }
  bool has_partial_sums() const { return summed_ != SIZE_MAX; }

  // Partial sums that are finished are added up in memory, or behind the sums in registers.
  void start_totals() {
    make_totals();
    for (Value* total : totals_) b_.CreateStore(llvm::Constant::getNullValue(vector_), total);
  }
  void make_totals() {
    llvm::IRBuilder<> entry(&f_->getEntryBlock(), f_->getEntryBlock().begin());
    Value* all = entry.CreateAlloca(vector_, entry.getInt64(count_));
    for (size_t k = 0; k < count_; ++k)
      totals_.push_back(entry.CreateConstGEP1_64(vector_, all, k));
  }
  void add_to_totals(const Active& active) {
    for (size_t k = 0; k < count_; ++k) {
      const size_t row = k / static_cast<size_t>(shape_.vectors);
      if (is_shared(row, static_cast<int>(k) % shape_.vectors)) {
        if ((row & 1) != 0 || !(active[row] || active[row + 1])) continue;
      } else if (!active[row]) {
        continue;
      }
      Value* total = b_.CreateFAdd(total_of(k), as_float(sums_[k]));
      if (near_totals_) sums_[count_ + k] = total;
      else b_.CreateStore(total, totals_[k]);
      sums_[k] = llvm::Constant::getNullValue(vector_);
    }
  }

  // What a sum has come to.
  Value* total_of(size_t k) {
    if (near_totals_) return sums_[count_ + k];
    return has_partial_sums() ? b_.CreateLoad(vector_, totals_[k]) : sums_[k];
  }

  Value* as_float(Value* sum) {
    if (!c_.has_units()) return sum;
    llvm::Type* integers =
        llvm::FixedVectorType::get(b_.getInt32Ty(), static_cast<unsigned>(s_.lanes));
    return b_.CreateSIToFP(b_.CreateBitCast(sum, integers), vector_);
  }

  // Whether rows share the last vector two by two, as it has columns for half of one at most: the
  // sums of an even row are its low half, those of the next row its high half.
  bool is_shared(int v) const {
    return v + 1 == shape_.vectors && 2 * shape_.last_lanes <= s_.lanes && c_.packed &&
           c_.group == 0 && !c_.pairs;
  }
  bool is_shared(size_t row, int v) const { return is_shared(v) && (row | 1) < rows_.size(); }

  // From two vectors the low half of the first and the high half of the second.
  Value* halves(Value* low, Value* high) {
    std::vector<int> lanes;
    for (int k = 0; k < s_.lanes; ++k) lanes.push_back(2 * k < s_.lanes ? k : s_.lanes + k);
    return b_.CreateShuffleVector(low, high, lanes);
  }
  // One half of a vector, twice.
  Value* doubled(Value* x, bool high) {
    std::vector<int> lanes;
    for (int k = 0; k < s_.lanes; ++k)
      lanes.push_back(k % (s_.lanes / 2) + (high ? s_.lanes / 2 : 0));
    return b_.CreateShuffleVector(x, lanes);
  }

  // One product for every active row and column.
  void step(Value* a, Value* b, const Active& active) {
    std::vector<Value*> columns, elements(rows_.size());
    for (int v = 0; v < shape_.vectors; ++v) {
      columns.push_back(load_vector(at(b, int64_t{v} * s_.lanes), v, c_.packed));
      if (is_shared(v)) columns.back() = doubled(columns.back(), false);
    }
    for (size_t r = 0; r < rows_.size(); ++r) {
      if (active[r]) {
        Value* element = b_.CreateLoad(b_.getFloatTy(), at(a, rows_[r].a));
        elements[r] = b_.CreateVectorSplat(static_cast<unsigned>(s_.lanes), element);
      }
      for (int v = 0; v < shape_.vectors; ++v) {
        Value*& sum = sums_[slot(is_shared(r, v) ? r & ~size_t{1} : r, v)];
        if (!is_shared(r, v)) {
          if (active[r]) sum = multiply_add(elements[r], columns[static_cast<size_t>(v)], sum);
        } else if ((r & 1) != 0) {
          sum = shared_product(elements[r - 1], elements[r], columns[static_cast<size_t>(v)], sum);
        }
      }
    }
  }

  // The product of two rows, of which either may be null.
  Value* shared_product(Value* low, Value* high, Value* column, Value* sum) {
    if (!low && !high) return sum;
    Value* next = multiply_add(low && high ? halves(low, high) : low ? low : high, column, sum);
    return low && high ? next : low ? halves(next, sum) : halves(sum, next);
  }

  // The finished sum of a row and vector.
  Value* sum_of(size_t row, int v) {
    if (!is_shared(row, v)) return total_of(slot(row, v));
    return doubled(total_of(slot(row & ~size_t{1}, v)), (row & 1) != 0);
  }

  // Whether an axis is the last that counts taps of a grouped convolution, and is unrolled.
  bool is_line(size_t depth) const {
    constexpr int64_t most_taps = 12;
    if (c_.group < 2 || depth + 2 != c_.reduce.size()) return false;
    const size_t window = window_of_tap(depth);
    return shape_.vectors == 1 && c_.reduce[depth].extent <= most_taps &&
           (window == SIZE_MAX || is_fixed(c_, c_.windows[window], shape_.fixed_outer));
  }

  // All taps along a line of pixels: an element of a is loaded, and shuffled, once for the rows
  // that see it. Weights stay in registers, for as many channels of a group as fit.
  void group_line(size_t depth, Value* a, Value* b, const Active& active) {
    constexpr int64_t most_weights = 8;
    const Axis& axis = c_.reduce[depth];
    const auto segments = segments_of_line(depth, active);
    const int64_t together = std::clamp<int64_t>(most_weights / axis.extent, 1, c_.group);
    const int64_t step = b_step(depth + 1);
    for (int64_t first = 0; first < c_.group; first += together) {
      const int64_t last = std::min(first + together, c_.group);
      std::map<std::pair<int64_t, int64_t>, Value*> weights;  // by tap and channel
      const auto weight = [&](int64_t tap, int64_t k) {
        Value*& w = weights[{tap, k}];
        if (!w) w = load_vector(at(b, tap * b_step(depth) + k * step), 0, true);
        return w;
      };
      for (size_t n = 0; n < segments[0].size(); ++n) {
        std::vector<Value*> elements;
        for (const auto& segment : segments)
          if (n < segment.size())
            elements.push_back(load_vector(at(a, segment[n].distance), 0, false));
        for (int64_t number = first; number < last; ++number)
          for (size_t part = 0; part < elements.size(); ++part) {
            // Of eight channels those follow each other whose shuffles have a step in common.
            const int64_t k = c_.group == 8 ? number / 2 + number % 2 * 4 : number;
            Value* channel = of_channel(elements[part], k);
            for (const auto& [row, tap] : segments[part][n].users)
              sums_[row] = b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_},
                                              {channel, weight(tap, k), sums_[row]});
          }
      }
    }
  }

  std::vector<std::vector<LineElement>> segments_of_line(size_t depth, const Active& active) const {
    const Axis& axis = c_.reduce[depth];
    const size_t window = window_of_tap(depth);
    std::vector<Active> seeing;  // by tap
    for (int64_t tap = 0; tap < axis.extent; ++tap)
      seeing.push_back(window == SIZE_MAX ? active : who_sees(c_.windows[window], tap, active));
    std::vector<int64_t> rows;
    for (const Row& row : rows_) rows.push_back(row.a);
    return line_segments(rows, axis.a, seeing);
  }

  // In each lane channel k of the lane's group.
  Value* of_channel(Value* x, int64_t k) {
    if (c_.group == 1) return x;
    std::vector<int> lanes;
    for (int64_t n = 0; n < s_.lanes; ++n)
      lanes.push_back(static_cast<int>(n / c_.group * c_.group + k));
    return b_.CreateShuffleVector(x, lanes);
  }

  // The products inside groups at one tap.
  void group_step(Value* a, Value* b, const Active& active) {
    const int64_t step = c_.group > 1 ? b_step(c_.reduce.size() - 1) : 0;
    for (size_t r = 0; r < rows_.size(); ++r) {
      if (!active[r]) continue;
      for (int v = 0; v < shape_.vectors; ++v) {
        Value* x = load_vector(at(a, rows_[r].a + int64_t{v} * s_.lanes), v, false);
        Value*& sum = sums_[slot(r, v)];
        for (int64_t k = 0; k < c_.group; ++k) {
          Value* weights = load_vector(at(b, k * step + int64_t{v} * s_.lanes), v, true);
          sum =
              b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_}, {of_channel(x, k), weights, sum});
        }
      }
    }
  }

  // What is stored of a finished sum.
  Value* finished(Value* sum, const std::function<Value*(size_t)>& operand) {
    if (c_.has_units()) {
      if (!has_partial_sums()) sum = as_float(sum);
      const size_t last = c_.operand_count() - 1;
      sum = b_.CreateFMul(b_.CreateFMul(sum, operand(last - 1)), operand(last));
    }
    return c_.epilogue ? emit_epilogue(b_, *c_.epilogue, sum, s_.lanes, operand) : sum;
  }

  void store(Value* x, Value* to, int v) {
    if (c_.rounds) {
      x = b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_cvtneps2bf16_512, {}, {x});
      if (is_partial(v)) b_.CreateMaskedStore(x, to, llvm::Align(2), tail_mask());
      else b_.CreateAlignedStore(x, to, llvm::Align(2));
      return;
    }
    if (is_partial(v)) b_.CreateMaskedStore(x, to, llvm::Align(4), tail_mask());
    else b_.CreateAlignedStore(x, to, llvm::Align(4));
  }

  void store_all() {
    if (c_.epilogue && rows_.size() > 1 && has_function(*c_.epilogue)) return store_by_rows();
    for (size_t r = 0; r < rows_.size(); ++r)
      for (int v = 0; v < shape_.vectors; ++v) {
        Value* x = finished(sum_of(r, v), [&](size_t k) { return operand(k, rows_[r], v); });
        store(x, result_at(number(rows_[r].dst + int64_t{v} * s_.lanes)), v);
      }
  }

  // Functions take many registers: sums then go by way of the stack, one row after the other.
  void store_by_rows() {
    const bool is_far = !totals_.empty();
    if (!is_far) make_totals();
    const auto vectors = static_cast<size_t>(shape_.vectors);
    // (What an even row has in the high half belongs to the next row, and is not stored.)
    for (size_t k = 0; k < count_; ++k) {
      const size_t r = k / vectors;
      const auto v = static_cast<int>(k % vectors);
      if (!is_far || (is_shared(r, v) && (r & 1) != 0)) b_.CreateStore(sum_of(r, v), totals_[k]);
    }
    llvm::BasicBlock *from = b_.GetInsertBlock(), *body = block("row"), *after = block("stored");
    b_.CreateBr(body);
    b_.SetInsertPoint(body);
    llvm::PHINode* row = b_.CreatePHI(b_.getInt64Ty(), 2);
    row->addIncoming(number(0), from);
    const auto place = [&](Value* base, const std::function<int64_t(const Row&)>& distance) {
      return b_.CreateGEP(b_.getFloatTy(), base, by_row(row, distance));
    };
    Value* to = by_row(row, [](const Row& r) { return r.dst; });
    std::vector<Value*> operands;
    for (size_t k = 0; k < c_.operand_count(); ++k)
      operands.push_back(place(f_->getArg(static_cast<unsigned>(4 + k)),
                               [k](const Row& r) { return r.operands[k]; }));
    for (size_t v = 0; v < vectors; ++v) {
      Value* index =
          b_.CreateAdd(b_.CreateMul(row, number(shape_.vectors)), number(static_cast<int64_t>(v)));
      Value* sum = b_.CreateLoad(vector_, b_.CreateGEP(vector_, totals_[0], index));
      Value* x = finished(sum, [&](size_t k) { return load_operand(k, operands[k], int(v)); });
      store(x, result_at(b_.CreateAdd(to, number(static_cast<int64_t>(v) * s_.lanes))),
            static_cast<int>(v));
    }
    Value* next = b_.CreateAdd(row, number(1));
    row->addIncoming(next, b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpULT(next, number(static_cast<int64_t>(rows_.size()))), body,
                    after);
    b_.SetInsertPoint(after);
  }

  // A number that each row of the tile has, for the row that `index` counts.
  Value* by_row(Value* index, const std::function<int64_t(const Row&)>& of) {
    const int64_t step = of(rows_[1]);
    bool is_even = true;
    std::vector<uint64_t> numbers;
    for (size_t r = 0; r < rows_.size(); ++r) {
      numbers.push_back(static_cast<uint64_t>(of(rows_[r])));
      is_even = is_even && of(rows_[r]) == static_cast<int64_t>(r) * step;
    }
    if (is_even) return b_.CreateMul(index, number(step));
    llvm::Constant* data = llvm::ConstantDataArray::get(b_.getContext(), numbers);
    auto* table = new llvm::GlobalVariable(module_, data->getType(), true,
                                           llvm::GlobalValue::PrivateLinkage, data);
    return b_.CreateLoad(b_.getInt64Ty(), b_.CreateGEP(b_.getInt64Ty(), table, index));
  }

  Value* load_operand(size_t k, Value* base, int v) {
    const int64_t stride = c_.column.operand(k);
    TESSERA_CHECK(stride == 0 || stride == 1);
    if (stride) return load_vector(at(base, int64_t{v} * s_.lanes), v, false);
    return b_.CreateVectorSplat(static_cast<unsigned>(s_.lanes),
                                b_.CreateLoad(b_.getFloatTy(), base));
  }

  // Operands are loaded once where rows share them; the compiler keeps or reloads them.
  Value* operand(size_t k, const Row& row, int v) {
    const int64_t stride = c_.column.operand(k), offset = row.operands[k];
    const auto key = std::tuple(k, offset, stride ? v : 0);
    if (const auto found = operands_.find(key); found != operands_.end()) return found->second;
    Value* value = load_operand(k, at(f_->getArg(static_cast<unsigned>(4 + k)), offset), v);
    operands_.emplace(key, value);
    return value;
  }

  const Contraction c_;
  const ContractionSchedule& s_;
  const TileShape& shape_;
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  llvm::Type* vector_ = nullptr;
  llvm::Function* f_ = nullptr;
  std::vector<int64_t> inner_flat_;  // entry k + 1: products for one index of axis k
  std::vector<Row> rows_;
  size_t count_ = 0;                 // of sums
  bool near_totals_ = false;         // behind the sums
  std::vector<Value*> sums_;         // by row and vector
  size_t summed_ = SIZE_MAX;         // axis of the reduction after which a partial sum is finished
  std::vector<Value*> totals_;       // places of sums in memory, which follow each other
  std::map<size_t, Limits> limits_;  // by window
  std::map<std::tuple<size_t, int64_t, int>, Value*> operands_;
};

}  // namespace

llvm::Function* emit_contraction_tile(const Contraction& c, const ContractionSchedule& s,
                                      const TileShape& shape, llvm::IRBuilderBase& b,
                                      llvm::Module& module, const std::string& name) {
  return TileEmitter(c, s, shape, b, module).emit(name);
}

}  // namespace tessera::codegen
