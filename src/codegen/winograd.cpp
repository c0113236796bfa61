// SPDX-License-Identifier: Apache-2.0
// The transformations of Winograd's algorithm as vector code over channels.
#include "codegen/winograd.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <span>

#include "base/check.h"
#include "codegen/emit_scalar.h"

namespace tessera::codegen {
namespace {

using llvm::Value;

// The matrices for the points 0, ±1, ∞ and 0, ±3/4, ±3/2, ∞, row by row. These points halve the
// error of the usual 0, ±1, ±2, ∞, and their powers are exact in f32.
// clang-format off
constexpr double bt2[] = {1,  0, -1,  0,
                          0,  1,  1,  0,
                          0, -1,  1,  0,
                          0,  1,  0, -1};
constexpr double g2[] = {1,  0,  0,   0.5, 0.5, 0.5,   0.5, -0.5, 0.5,   0, 0, 1};
constexpr double at2[] = {1, 1,  1,  0,
                          0, 1, -1, -1};
constexpr double bt4[] = {81. / 64,        0, -45. / 16,         0, 1, 0,
                          0,      -27. / 16,   -9. / 4,    3. / 4, 1, 0,
                          0,       27. / 16,   -9. / 4,   -3. / 4, 1, 0,
                          0,      -27. / 32,  -9. / 16,    3. / 2, 1, 0,
                          0,       27. / 32,  -9. / 16,   -3. / 2, 1, 0,
                          0,       81. / 64,         0, -45. / 16, 0, 1};
constexpr double g4[] = {64. / 81,             0,       0,
                         -128. / 243, -32. / 81, -8. / 27,
                         -128. / 243,  32. / 81, -8. / 27,
                         32. / 243,    16. / 81,  8. / 27,
                         32. / 243,   -16. / 81,  8. / 27,
                         0,                   0,       1};
constexpr double at4[] = {1,        1,         1,       1,        1, 0,
                          0,   3. / 4,   -3. / 4,  3. / 2,  -3. / 2, 0,
                          0,  9. / 16,   9. / 16,  9. / 4,   9. / 4, 0,
                          0, 27. / 64, -27. / 64, 27. / 8, -27. / 8, 1};
// clang-format on

struct Matrices {
  std::span<const double> bt, g, at;
};
Matrices matrices(int tile) {
  TESSERA_CHECK(tile == 2 || tile == 4, "squares of {}", tile);
  return tile == 2 ? Matrices{bt2, g2, at2} : Matrices{bt4, g4, at4};
}

// What both transformations share: a function over squares with a loop over vectors of channels.
class Transformation {
 public:
  Transformation(const WinogradProblem& p, int lanes, llvm::IRBuilderBase& b, llvm::Module& module)
      : p_(p), lanes_(lanes), size_(p.tile + 2), b_(b), module_(module) {
    vector_ = llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(lanes));
  }

 protected:
  Value* number(int64_t n) { return b_.getInt64(static_cast<uint64_t>(n)); }
  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(b_.getContext(), name, f_);
  }
  Value* at(Value* base, Value* offset) { return b_.CreateGEP(b_.getFloatTy(), base, offset); }
  Value* scaled(Value* n, int64_t by) { return b_.CreateMul(n, number(by)); }
  Value* sum(Value* x, Value* y) { return b_.CreateAdd(x, y); }

  // The function; `square(n)` is emitted inside its loop over rows, `result` gives what it returns.
  void function(const std::string& name, const std::function<void()>& prepare,
                const std::function<void(Value*)>& square, const std::function<Value*()>& result) {
    llvm::Type* p = b_.getPtrTy();
    llvm::Type* i = b_.getInt64Ty();
    f_ = llvm::Function::Create(llvm::FunctionType::get(i, {p, p, i, i}, false),
                                llvm::Function::ExternalLinkage, name, module_);
    f_->setDoesNotThrow();
    b_.SetInsertPoint(block("entry"));
    prepare();
    loop(f_->getArg(2), f_->getArg(3), 1, square);
    b_.CreateRet(result());
  }

  // for (k = first; k < last; k += step) body(k); values live in memory between iterations.
  void loop(Value* first, Value* last, int64_t step, const std::function<void(Value*)>& body) {
    llvm::BasicBlock* from = b_.GetInsertBlock();
    llvm::BasicBlock *head = block("head"), *inside = block("inside"), *after = block("after");
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    llvm::PHINode* k = b_.CreatePHI(b_.getInt64Ty(), 2);
    k->addIncoming(first, from);
    b_.CreateCondBr(b_.CreateICmpSLT(k, last), inside, after);
    b_.SetInsertPoint(inside);
    body(k);
    k->addIncoming(b_.CreateAdd(k, number(step)), b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(after);
  }

  // Vectors of channels, the last one masked.
  void for_channels(int64_t channels, const std::function<void(Value*)>& body) {
    const int64_t whole = channels / lanes_ * lanes_;
    mask_ = nullptr;
    if (whole > 0) loop(number(0), number(whole), lanes_, body);
    if (whole == channels) return;
    std::vector<llvm::Constant*> lanes;
    for (int64_t k = 0; k < lanes_; ++k) lanes.push_back(b_.getInt1(k < channels - whole));
    mask_ = llvm::ConstantVector::get(lanes);
    body(number(whole));
    mask_ = nullptr;
  }

  Value* load(Value* from) {
    if (!mask_) return b_.CreateAlignedLoad(vector_, from, llvm::Align(4));
    return b_.CreateMaskedLoad(vector_, from, llvm::Align(4), mask_,
                               llvm::Constant::getNullValue(vector_));
  }
  void store(Value* x, Value* to) {
    if (mask_) b_.CreateMaskedStore(x, to, llvm::Align(4), mask_);
    else b_.CreateAlignedStore(x, to, llvm::Align(4));
  }

  // total + factor · x; a total that is null is zero.
  Value* plus(Value* total, Value* x, double factor) {
    if (factor == 0) return total;
    Value* scale = llvm::ConstantFP::get(vector_, factor);
    if (!total) return factor == 1 ? x : b_.CreateFMul(x, scale);
    if (factor == 1) return b_.CreateFAdd(total, x);
    if (factor == -1) return b_.CreateFSub(total, x);
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_}, {x, scale, total});
  }

  // Bᵀ x. The rows of a pair of points ±p differ in the signs of odd columns.
  std::vector<Value*> apply_bt(std::span<const double> bt, std::span<Value* const> x) {
    const size_t n = x.size();
    std::vector<Value*> y(n);
    for (size_t row = 0; row < n; row += row == 0 || row + 1 == n ? 1 : 2) {
      Value *even = nullptr, *odd = nullptr;
      for (size_t k = 0; k < n; ++k)
        (k % 2 ? odd : even) = plus(k % 2 ? odd : even, x[k], bt[row * n + k]);
      if (row == 0 || row + 1 == n) {
        y[row] = even && odd ? b_.CreateFAdd(even, odd) : even ? even : odd;
      } else {
        y[row] = b_.CreateFAdd(even, odd);
        y[row + 1] = b_.CreateFSub(even, odd);
      }
    }
    return y;
  }

  // Aᵀ x. The columns of a pair of points ±p differ in the signs of odd rows.
  std::vector<Value*> apply_at(std::span<const double> at, std::span<Value* const> x) {
    const size_t n = x.size();
    std::vector<Value*> sums, differences, y;
    for (size_t k = 1; k + 1 < n; k += 2) {
      sums.push_back(b_.CreateFAdd(x[k], x[k + 1]));
      differences.push_back(b_.CreateFSub(x[k], x[k + 1]));
    }
    for (size_t row = 0; row + 2 < n; ++row) {
      Value* total = plus(nullptr, x[0], at[row * n]);
      total = plus(total, x[n - 1], at[row * n + n - 1]);
      for (size_t k = 0; k < sums.size(); ++k)
        total = plus(total, row % 2 ? differences[k] : sums[k], at[row * n + 1 + 2 * k]);
      y.push_back(total);
    }
    return y;
  }

  struct Place {
    Value *image, *line, *column;  ///< of the square
  };
  Place place(Value* square) {
    Value* line = b_.CreateUDiv(square, number(p_.columns()));
    return {b_.CreateUDiv(line, number(p_.lines())), b_.CreateURem(line, number(p_.lines())),
            b_.CreateURem(square, number(p_.columns()))};
  }

  // A place for one address for each of `count` elements of a square.
  Value* addresses(int64_t count) {
    return b_.CreateAlloca(b_.getPtrTy(), b_.getInt32(static_cast<uint32_t>(count)));
  }
  Value* slot(Value* table, int64_t k) {
    return b_.CreateConstGEP1_64(b_.getPtrTy(), table, static_cast<uint64_t>(k));
  }
  void set(Value* table, int64_t k, Value* address) { b_.CreateStore(address, slot(table, k)); }
  Value* get(Value* table, int64_t k) { return b_.CreateLoad(b_.getPtrTy(), slot(table, k)); }

  const WinogradProblem& p_;
  int64_t lanes_, size_;
  llvm::IRBuilderBase& b_;
  llvm::Module& module_;
  llvm::Type* vector_ = nullptr;
  llvm::Function* f_ = nullptr;
  Value* mask_ = nullptr;
};

class InputTransformation : public Transformation {
 public:
  using Transformation::Transformation;

  void emit(const std::string& name) {
    function(
        name,
        [&] {
          src_ = b_.CreateLoad(b_.getPtrTy(), f_->getArg(0));
          dst_ = b_.CreateLoad(b_.getPtrTy(), f_->getArg(1));
          table_ = addresses(size_ * size_);
          // What lies outside of the image is read here.
          llvm::Type* zeros =
              llvm::ArrayType::get(b_.getFloatTy(), static_cast<uint64_t>(p_.channels));
          zeros_ = new llvm::GlobalVariable(module_, zeros, true, llvm::GlobalValue::PrivateLinkage,
                                            llvm::Constant::getNullValue(zeros));
        },
        [&](Value* n) { square(n); }, [&] { return number(0); });
  }

 private:
  void square(Value* n) {
    const Place at_square = place(n);
    Value* image = at(src_, scaled(at_square.image, p_.src[0]));
    Value* first_line = sum(scaled(at_square.line, p_.tile), number(-p_.pad_top));
    Value* first_column = sum(scaled(at_square.column, p_.tile), number(-p_.pad_left));
    for (int64_t i = 0; i < size_; ++i) {
      Value* y = sum(first_line, number(i));
      Value* y_inside = b_.CreateICmpULT(y, number(p_.height));
      for (int64_t j = 0; j < size_; ++j) {
        Value* x = sum(first_column, number(j));
        Value* inside = b_.CreateAnd(y_inside, b_.CreateICmpULT(x, number(p_.width)));
        Value* address = at(image, sum(scaled(y, p_.src[1]), scaled(x, p_.src[2])));
        set(table_, i * size_ + j, b_.CreateSelect(inside, address, zeros_));
      }
    }
    Value* to = at(dst_, scaled(n, p_.channels));
    for_channels(p_.channels, [&](Value* c) { transform(c, to); });
  }

  void transform(Value* c, Value* to) {
    const Matrices m = matrices(p_.tile);
    std::vector<std::vector<Value*>> columns;  // Bᵀ d, by column
    for (int64_t j = 0; j < size_; ++j) {
      std::vector<Value*> d;
      for (int64_t i = 0; i < size_; ++i) d.push_back(load(at(get(table_, i * size_ + j), c)));
      columns.push_back(apply_bt(m.bt, d));
    }
    for (int64_t i = 0; i < size_; ++i) {
      std::vector<Value*> row;
      for (int64_t j = 0; j < size_; ++j)
        row.push_back(columns[static_cast<size_t>(j)][static_cast<size_t>(i)]);
      const std::vector<Value*> v = apply_bt(m.bt, row);
      for (int64_t j = 0; j < size_; ++j)
        store(v[static_cast<size_t>(j)],
              at(to, sum(c, number((i * size_ + j) * p_.block * p_.channels))));
    }
  }

  Value *src_ = nullptr, *dst_ = nullptr, *table_ = nullptr, *zeros_ = nullptr;
};

class OutputTransformation : public Transformation {
 public:
  using Transformation::Transformation;

  void emit(const std::string& name) {
    function(
        name, [&] { prepare(); }, [&](Value* n) { square(n); },
        [&]() -> Value* {
          Value* bad = b_.CreateOrReduce(b_.CreateLoad(flags_, bad_));
          return b_.CreateZExt(bad, b_.getInt64Ty());
        });
  }

 private:
  void prepare() {
    const int64_t outputs = int64_t{p_.tile} * p_.tile;
    for (size_t k = 0; k < p_.operands.size() + 1; ++k)
      src_.push_back(
          b_.CreateLoad(b_.getPtrTy(), b_.CreateConstGEP1_64(b_.getPtrTy(), f_->getArg(0), k)));
    dst_ = b_.CreateLoad(b_.getPtrTy(), f_->getArg(1));
    table_ = addresses(outputs);
    for (size_t k = 0; k < p_.operands.size(); ++k)
      operand_tables_.push_back(moves(k) ? addresses(outputs) : nullptr);
    // What the last squares compute beyond the output is stored here, and its operands read.
    outside_ =
        b_.CreateAlloca(b_.getFloatTy(), b_.getInt32(static_cast<uint32_t>(p_.out_channels)));
    loop(number(0), number(p_.out_channels), 1, [&](Value* k) {
      b_.CreateStore(llvm::ConstantFP::get(b_.getFloatTy(), 0), at(outside_, k));
    });
    flags_ = llvm::FixedVectorType::get(b_.getInt1Ty(), static_cast<unsigned>(lanes_));
    bad_ = b_.CreateAlloca(flags_);
    b_.CreateStore(llvm::Constant::getNullValue(flags_), bad_);
  }

  // Whether an operand varies from pixel to pixel.
  bool moves(size_t k) const {
    const auto& strides = p_.operands[k];
    return strides[0] != 0 || strides[1] != 0 || strides[2] != 0;
  }

  void square(Value* n) {
    const Place at_square = place(n);
    for (int64_t p = 0; p < p_.tile; ++p) {
      Value* y = sum(scaled(at_square.line, p_.tile), number(p));
      Value* y_inside = b_.CreateICmpULT(y, number(p_.out_height));
      for (int64_t q = 0; q < p_.tile; ++q) {
        Value* x = sum(scaled(at_square.column, p_.tile), number(q));
        Value* inside = b_.CreateAnd(y_inside, b_.CreateICmpULT(x, number(p_.out_width)));
        const auto address = [&](Value* base, int64_t image, int64_t line, int64_t column) {
          Value* offset =
              sum(scaled(at_square.image, image), sum(scaled(y, line), scaled(x, column)));
          return b_.CreateSelect(inside, at(base, offset), outside_);
        };
        const int64_t k = p * p_.tile + q;
        set(table_, k, address(dst_, p_.dst[0], p_.dst[1], p_.dst[2]));
        for (size_t o = 0; o < p_.operands.size(); ++o)
          if (moves(o))
            set(operand_tables_[o], k,
                address(src_[o + 1], p_.operands[o][0], p_.operands[o][1], p_.operands[o][2]));
      }
    }
    Value* from = at(src_[0], scaled(n, p_.out_channels));
    for_channels(p_.out_channels, [&](Value* c) { transform(c, from); });
  }

  void transform(Value* c, Value* from) {
    const Matrices m = matrices(p_.tile);
    std::vector<std::vector<Value*>> columns;  // Aᵀ M, by column
    for (int64_t j = 0; j < size_; ++j) {
      std::vector<Value*> sums;
      for (int64_t i = 0; i < size_; ++i)
        sums.push_back(
            load(at(from, sum(c, number((i * size_ + j) * p_.block * p_.out_channels)))));
      columns.push_back(apply_at(m.at, sums));
    }
    Value* bad = b_.CreateLoad(flags_, bad_);
    for (int64_t p = 0; p < p_.tile; ++p) {
      std::vector<Value*> row;
      for (int64_t j = 0; j < size_; ++j)
        row.push_back(columns[static_cast<size_t>(j)][static_cast<size_t>(p)]);
      const std::vector<Value*> y = apply_at(m.at, row);
      for (int64_t q = 0; q < p_.tile; ++q) {
        Value* x = y[static_cast<size_t>(q)];
        bad = b_.CreateOr(bad, b_.CreateFCmpUNO(b_.CreateFSub(x, x), x));
        const int64_t k = p * p_.tile + q;
        if (p_.epilogue)
          x = emit_epilogue(b_, *p_.epilogue, x, static_cast<int>(lanes_),
                            [&](size_t o) { return operand(o, k, c); });
        store(x, at(get(table_, k), c));
      }
    }
    b_.CreateStore(bad, bad_);
  }

  Value* operand(size_t o, int64_t k, Value* c) {
    Value* base = moves(o) ? get(operand_tables_[o], k) : src_[o + 1];
    if (p_.operands[o][3] == 1) return load(at(base, c));
    return b_.CreateVectorSplat(static_cast<unsigned>(lanes_),
                                b_.CreateLoad(b_.getFloatTy(), base));
  }

  std::vector<Value*> src_, operand_tables_;
  Value *dst_ = nullptr, *table_ = nullptr, *outside_ = nullptr, *bad_ = nullptr;
  llvm::Type* flags_ = nullptr;
};

}  // namespace

EmittedKernel winograd_input(const WinogradProblem& p, int lanes) {
  EmittedKernel kernel;
  kernel.rows = p.squares();
  kernel.emit = [p, lanes](llvm::IRBuilderBase& b, llvm::Module& m, const std::string& name) {
    InputTransformation(p, lanes, b, m).emit(name);
  };
  return kernel;
}

EmittedKernel winograd_output(const WinogradProblem& p, int lanes) {
  EmittedKernel kernel;
  kernel.rows = p.squares();
  kernel.emit = [p, lanes](llvm::IRBuilderBase& b, llvm::Module& m, const std::string& name) {
    OutputTransformation(p, lanes, b, m).emit(name);
  };
  return kernel;
}

std::vector<float> winograd_weights(const WinogradProblem& p, const LooseFloat* weights,
                                    const std::array<int64_t, 4>& strides) {
  const std::span<const double> g = matrices(p.tile).g;
  const int64_t size = p.tile + 2;
  std::vector<float> result(static_cast<size_t>(p.points() * p.channels * p.out_channels));
  for (int64_t o = 0; o < p.out_channels; ++o)
    for (int64_t c = 0; c < p.channels; ++c) {
      const LooseFloat* w = weights + o * strides[0] + c * strides[1];
      double half[6][3];
      for (int64_t i = 0; i < size; ++i)
        for (int64_t x = 0; x < 3; ++x) {
          half[i][x] = 0;
          for (int64_t y = 0; y < 3; ++y)
            half[i][x] += g[static_cast<size_t>(i * 3 + y)] * w[y * strides[2] + x * strides[3]];
        }
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j) {
          double u = 0;
          for (int64_t x = 0; x < 3; ++x) u += half[i][x] * g[static_cast<size_t>(j * 3 + x)];
          result[static_cast<size_t>(((i * size + j) * p.channels + c) * p.out_channels + o)] =
              static_cast<float>(u);
        }
    }
  return result;
}

}  // namespace tessera::codegen
