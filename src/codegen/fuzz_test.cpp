// SPDX-License-Identifier: Apache-2.0
// Random fused expressions: guards, divided indices, nested and triangular reductions, gathers,
// several types. The seed is printed; a failing one is shrunk to the smallest depth that fails.
// TESSERA_FUZZ_SEED=first+count runs other seeds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "codegen/kernel_check.h"

namespace tessera::codegen {
namespace {

using ir::Expr;
using ir::Prim;

class RandomMeaning {
 public:
  RandomMeaning(uint64_t seed, int depth) : rng_(seed), depth_(depth) {
    meaning_.pool = std::make_unique<ir::ExprPool>();
    const int64_t rank = rng_.integer(0, 4);
    int64_t room = 1500;
    ir::Dims shape;
    std::vector<Variable> variables;
    for (int64_t axis = 0; axis < rank; ++axis) {
      const int64_t extent = std::min(room, some_extent());
      room = std::max<int64_t>(1, room / std::max<int64_t>(extent, 1));
      shape.push_back(extent);
      variables.push_back(
          {pool().variable({ir::Var::Kind::output, static_cast<uint32_t>(axis)}), extent});
    }
    const int inputs = static_cast<int>(rng_.integer(1, 4));
    for (int k = 0; k < inputs; ++k) add_input(shape);
    const int outputs = rng_.integer(0, 5) == 0 ? 2 : 1;
    const DType types[] = {DType::f32, DType::f32, DType::f32, DType::f16, DType::bf16,
                           DType::f64, DType::i32, DType::i64, DType::u8,  DType::boolean};
    for (int k = 0; k < outputs; ++k) {
      const Expr body = any(types[rng_.integer(0, 9)], depth_, variables);
      meaning_.outputs.push_back({shape, body});
    }
  }
  ir::Meaning take() && { return std::move(meaning_); }

 private:
  struct Variable {
    Expr expr;
    int64_t extent;
  };
  using Variables = std::vector<Variable>;

  ir::ExprPool& pool() { return *meaning_.pool; }
  bool chance(int percent) { return rng_.integer(0, 99) < percent; }

  int64_t some_extent() {
    constexpr int64_t extents[] = {1, 2, 3, 5, 7, 8, 16, 17, 31, 33, 64, 65, 100};
    return chance(2) ? 0 : extents[rng_.integer(0, 12)];
  }

  // Often shaped like the output, so that axes melt; else anything.
  void add_input(const ir::Dims& shape) {
    const DType types[] = {DType::f32,  DType::f32, DType::f32, DType::f64, DType::f16,
                           DType::bf16, DType::i32, DType::i64, DType::u8};
    ir::ValueType type{types[rng_.integer(0, 8)], shape};
    if (chance(50)) {
      type.shape.clear();
      for (int64_t axis = rng_.integer(0, 3); axis-- > 0;)
        type.shape.push_back(std::max<int64_t>(1, some_extent()));
    }
    meaning_.inputs.push_back(type);
  }

  Expr index(int64_t extent, const Variables& variables, bool& safe) {
    Expr sum = pool().integer(rng_.integer(-2, 2));
    bool single = false;
    if (!variables.empty()) {
      const Variable& v = variables[rng_.integer(0, static_cast<int64_t>(variables.size()) - 1)];
      single = chance(50);
      sum = single ? v.expr : sum + v.expr * pool().integer(rng_.integer(-1, 3));
      if (single && v.extent <= extent) return sum;
      if (chance(40)) {
        const Variable& w = variables[rng_.integer(0, static_cast<int64_t>(variables.size()) - 1)];
        sum = sum * pool().integer(std::max<int64_t>(1, w.extent)) + w.expr;
      }
    }
    switch (rng_.integer(0, 3)) {
      case 0: return mod(sum, pool().integer(extent));
      case 1:
        return mod(floor_div(sum, pool().integer(rng_.integer(1, 9))), pool().integer(extent));
      case 2: return min(max(sum, pool().integer(0)), pool().integer(extent - 1));
      default: safe = false; return sum;
    }
  }

  // An element of an input, as f32 or i64; guarded where the index may leave the tensor.
  Expr element(const Variables& variables) {
    const auto k =
        static_cast<uint32_t>(rng_.integer(0, static_cast<int64_t>(meaning_.inputs.size()) - 1));
    const ir::ValueType& type = meaning_.inputs[k];
    std::vector<Expr> indices;
    Expr guard = pool().integer(1, DType::boolean);
    const bool same = type.shape.size() <= variables.size() && chance(60);
    for (size_t axis = 0; axis < type.shape.size(); ++axis) {
      const int64_t extent = *type.shape[axis].constant();
      if (same && extent > 0 && variables[axis].extent <= extent) {
        indices.push_back(variables[axis].expr);
        continue;
      }
      bool safe = true;
      Expr i = extent > 0 ? index(extent, variables, safe) : pool().integer(0);
      if (extent == 0) safe = false;
      if (!safe) guard = guard && pool().integer(0) <= i && i < pool().integer(extent);
      indices.push_back(i);
    }
    Expr value = pool().read(k, type.dtype, indices);
    return select(guard, value, pool().literal(chance(80) ? 0 : 3, type.dtype));
  }

  Expr any(DType type, int depth, const Variables& variables) {
    if (depth <= 0) return cast(element(variables), type);
    if (chance(25) && work_ < 400) return reduced(type, depth, variables);
    if (chance(15)) {
      const Expr a = element(variables), b = cast(element(variables), a.type());
      const Expr condition = chance(50) ? a < b : eq(a, b);
      return select(condition, any(type, depth - 1, variables), any(type, depth - 1, variables));
    }
    if (chance(10)) return cast(any(DType::f32, depth - 1, variables), type);
    return is_float(type) ? real(type, depth, variables) : whole(type, depth, variables);
  }

  Expr real(DType type, int depth, const Variables& variables) {
    const Expr a = any(type, depth - 1, variables);
    switch (rng_.integer(0, 12)) {
      case 0: return tanh(a);
      case 1: return exp(min(a, pool().real(3, type)));
      case 2: return erf(a);
      case 3: return log(abs(a) + 1);
      case 4: return sqrt(abs(a) + 0.5);
      case 5: return a / (abs(any(type, depth - 1, variables)) + 1);
      case 6: return max(a, any(type, depth - 1, variables));
      case 7: return min(a, any(type, depth - 1, variables));
      case 8: return a - any(type, depth - 1, variables);
      case 9: return sin(a);
      case 10: return tanh(a) * any(type, depth - 1, variables);
      case 11: return -a;
      default: return a + any(type, depth - 1, variables);
    }
  }

  Expr whole(DType type, int depth, const Variables& variables) {
    const Expr a = any(type, depth - 1, variables), b = any(type, depth - 1, variables);
    constexpr Prim prims[] = {Prim::add,       Prim::sub,     Prim::mul,       Prim::div,
                              Prim::mod,       Prim::fmod,    Prim::floor_div, Prim::min,
                              Prim::max,       Prim::bit_and, Prim::bit_xor,   Prim::shift_right,
                              Prim::shift_left};
    if (type == DType::boolean) return chance(50) ? (a && b) : (a || !b);
    return ir::binary(prims[rng_.integer(0, 12)], a, b);
  }

  Expr reduced(DType type, int depth, const Variables& variables) {
    const bool is_narrow = type == DType::f16 || type == DType::bf16;
    const DType inner = is_narrow ? DType::f32 : type;
    int64_t extent = std::max<int64_t>(chance(3) ? 0 : 1, some_extent());
    if (work_ * extent > 2000) extent = 3;
    Expr bound = pool().integer(extent);
    if (chance(15) && !variables.empty()) {  // a triangle
      const Variable& v = variables[rng_.integer(0, static_cast<int64_t>(variables.size()) - 1)];
      bound = min(v.expr + 1, bound);
    }
    const Expr variable = pool().fresh_variable();
    Variables more = variables;
    more.push_back({variable, std::max<int64_t>(1, extent)});
    if (chance(40)) std::swap(more.front(), more.back());
    work_ *= std::max<int64_t>(1, extent);
    const Expr body = any(inner, depth - 1, more);
    work_ /= std::max<int64_t>(1, extent);
    const auto reduction = static_cast<ir::Reduction>(chance(60)       ? 0
                                                      : is_float(type) ? rng_.integer(2, 3)
                                                                       : rng_.integer(0, 3));
    return cast(pool().reduce(reduction, variable, bound, body), type);
  }

  Rng rng_;
  int depth_;
  int64_t work_ = 1;
  ir::Meaning meaning_;
};

// Rounding may differ by what separates the f32 tree from the f64 tree.
std::string compare(const ir::Meaning& meaning, const LoopKernel& kernel, uint64_t seed,
                    int& skipped) {
  Rng rng(seed);
  std::vector<Tensor> inputs;
  for (const ir::ValueType& type : meaning.inputs)
    inputs.push_back(random_tensor(type, Numbers::usual, rng));
  const auto native = ops::tree_evaluate(meaning, inputs, false);
  const auto wide = ops::tree_evaluate(meaning, inputs, true);
  const auto found = run_kernel(kernel, meaning, inputs, static_cast<int>(rng.integer(1, 4)));
  const auto again = run_kernel(kernel, meaning, inputs, 7);
  for (size_t k = 0; k < native.size(); ++k) {
    if (!identical(found[k], again[k])) return "the bits depend on how rows are split";
    double noise = 0;
    for (int64_t i = 0; i < native[k].size(); ++i) {
      if (!is_float(native[k].type())) {
        // A float rounded across an integer: not comparable.
        if (native[k].integer_at(i) != wide[k].integer_at(i)) return ++skipped, std::string();
      } else if (std::abs(native[k].float_at(i) - wide[k].float_at(i)) > noise) {
        noise = std::abs(native[k].float_at(i) - wide[k].float_at(i));
      }
    }
    const double ulps = 64 + 100 * noise / epsilon(DType::f32);
    if (!(ulps < 1e5)) return ++skipped, std::string();
    if (auto text = difference(native[k], found[k], ulps); !text.empty())
      return fmt::format("output {}: {}", k, text);
  }
  return {};
}

std::string try_seed(uint64_t seed, int depth) {
  const ir::Meaning meaning = RandomMeaning(seed, depth).take();
  Jit jit({.threads = 1});
  const ir::Meaning* one[] = {&meaning};
  int skipped = 0;
  return compare(meaning, jit.compile(one)[0], seed, skipped);
}

TEST(Fuzz, random_expressions_agree_with_the_tree_walker) {
  const char* chosen = std::getenv("TESSERA_FUZZ_SEED");
  const uint64_t first = chosen ? std::strtoull(chosen, nullptr, 10) : 1;
  const uint64_t count = chosen && std::strchr(chosen, '+')
                             ? std::strtoull(std::strchr(chosen, '+') + 1, nullptr, 10)
                             : 150;
  constexpr int depth = 4;
  std::vector<ir::Meaning> meanings;
  for (uint64_t k = 0; k < count; ++k) meanings.push_back(RandomMeaning(first + k, depth).take());
  std::vector<const ir::Meaning*> all;
  for (const ir::Meaning& m : meanings) all.push_back(&m);
  Jit jit;
  const std::vector<LoopKernel> kernels = jit.compile(all);
  int skipped = 0;
  for (uint64_t k = 0; k < count; ++k) {
    std::string text = compare(meanings[k], kernels[k], first + k, skipped);
    if (text.empty()) continue;
    for (int smaller = 0; smaller < depth; ++smaller) {
      const std::string small = try_seed(first + k, smaller);
      if (small.empty()) continue;
      ADD_FAILURE() << "seed " << first + k << " depth " << smaller << ": " << small;
      text.clear();
      break;
    }
    if (!text.empty()) ADD_FAILURE() << "seed " << first + k << ": " << text;
  }
  EXPECT_LT(skipped, static_cast<int>(count) / 3 + 1);
}

}  // namespace
}  // namespace tessera::codegen
