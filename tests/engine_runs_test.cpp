// SPDX-License-Identifier: Apache-2.0
// Runs of one plan: several at the same time, and none that allocates. The operators new of this
// executable count.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "backend/cpu/target.h"
#include "base/rng.h"
#include "ops/builder.h"
#include "plan/compile.h"

namespace {
std::atomic<int64_t> allocations{0};

void* counted(size_t bytes, size_t alignment) {
  ++allocations;
  void* memory = nullptr;
  if (posix_memalign(&memory, std::max(alignment, sizeof(void*)), bytes == 0 ? 1 : bytes) != 0)
    throw std::bad_alloc();
  return memory;
}
}  // namespace

void* operator new(size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t a) {
  return counted(bytes, static_cast<size_t>(a));
}
void* operator new[](size_t bytes, std::align_val_t a) {
  return counted(bytes, static_cast<size_t>(a));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace tessera {
namespace {

using ops::Builder;
using ops::Val;

Tensor random(Shape shape, uint64_t seed) {
  Tensor t(DType::f32, std::move(shape));
  Rng rng(seed);
  for (int64_t i = 0; i < t.size(); ++i) t.set_float(i, 2 * rng.uniform() - 1);
  return t;
}

// Loops of several kinds, large enough for two threads.
Val add_loops(Val x) {
  Builder& b = *x.builder;
  const Val s = b.op("softmax", {x}, {{"axis", int64_t{-1}}});
  const Val t = b.op("transpose", {s}, {{"perm", std::vector<int64_t>{1, 0}}});
  return b.op("tanh", {b.op("add", {t, b.op("exp", {t})})});
}

ir::Graph loops() {
  Builder b;
  const Val x = b.input("x", {DType::f32, {300, 500}});
  b.output("y", add_loops(x));
  b.output("sum", b.op("reduce_sum", {x}, {{"axes", std::vector<int64_t>{0}}}));
  return std::move(b).finish();
}

ir::Graph products() {
  Builder b;
  const Val x = b.input("x", {DType::f32, {300, 500}});
  const Val h = b.op("relu", {b.op("matmul", {x, b.constant(random({500, 300}, 5))})});
  const Val y = b.op("matmul", {h, b.op("tanh", {x})});  // nothing constant
  b.output("y", add_loops(y));
  return std::move(b).finish();
}

std::unique_ptr<runtime::Plan> compile(const ir::Graph& graph, int threads) {
  return plan::compile(graph, *backend::cpu::make_target(), {.threads = threads});
}

TEST(EngineRuns, allocate_nothing) {
  for (const int threads : {1, 2}) {
    const auto plan = compile(loops(), threads);
    const std::vector<Tensor> inputs{random({300, 500}, 1)};
    std::vector<Tensor> outputs;
    std::vector<std::byte*> places;
    for (const runtime::Port& port : plan->outputs()) {
      outputs.emplace_back(port.type, port.shape);
      places.push_back(outputs.back().mutable_data());
    }
    plan->run_into(inputs, places);
    const int64_t before = allocations;
    for (int k = 0; k < 10; ++k) plan->run_into(inputs, places);
    EXPECT_EQ(allocations - before, 0) << threads << " threads";
    std::vector<Tensor> again = plan->run(inputs);
    EXPECT_GT(allocations - before, 0) << "the counter does not count";
    for (size_t k = 0; k < outputs.size(); ++k) EXPECT_TRUE(identical(outputs[k], again[k]));
  }
}

TEST(EngineRuns, may_overlap) {
  constexpr int callers = 4, rounds = 20;
  for (const ir::Graph& graph : {loops(), products()})
    for (const int threads : {1, 2}) {
      const auto plan = compile(graph, threads);
      std::vector<std::vector<Tensor>> inputs, expected;
      for (int c = 0; c < callers; ++c) {
        inputs.push_back({random({300, 500}, 10 + static_cast<uint64_t>(c))});
        expected.push_back(plan->run(inputs.back()));
      }
      std::atomic<int> wrong{0};
      std::vector<std::thread> running;
      for (size_t c = 0; c < callers; ++c)
        running.emplace_back([&, c] {
          for (int round = 0; round < rounds; ++round) {
            const std::vector<Tensor> found = plan->run(inputs[c]);
            for (size_t k = 0; k < found.size(); ++k)
              if (!identical(found[k], expected[c][k])) ++wrong;
          }
        });
      for (std::thread& t : running) t.join();
      EXPECT_EQ(wrong, 0) << threads << " threads";
    }
}

// Weights of a single row's product that lie in the third-level cache are visited back and forth.
TEST(EngineRuns, have_the_same_bits_every_time) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {1, 512}});
  const Val h = b.op("tanh", {b.op("matmul", {x, b.constant(random({512, 2048}, 5))})});
  b.output("y", b.op("softmax", {b.op("matmul", {h, b.constant(random({2048, 700}, 6))})},
                     {{"axis", int64_t{-1}}}));
  const ir::Graph graph = std::move(b).finish();
  const std::vector<Tensor> inputs{random({1, 512}, 1)};
  const Tensor expected = compile(graph, 1)->run(inputs)[0];
  for (const int threads : {1, 2, 3}) {
    const auto plan = compile(graph, threads);
    for (int run = 0; run < 6; ++run)
      EXPECT_TRUE(identical(plan->run(inputs)[0], expected)) << threads << " threads, run " << run;
  }
}

// A graph that is given away does not keep weights that a kernel has packed.
TEST(EngineRuns, packed_weights_are_let_go_of) {
  for (const Shape& shape : {Shape{500, 300}, Shape{300, 500, 3, 3}}) {
    const bool is_product = shape.size() == 2;
    auto owner = std::make_shared<Tensor>(random(shape, 5));
    const std::weak_ptr<Tensor> watched = owner;
    Builder b;
    const Val weights = b.constant(Tensor(DType::f32, shape, owner, owner->data()));
    if (is_product) b.output("y", b.op("matmul", {b.input("x", {DType::f32, {30, 500}}), weights}));
    else
      b.output("y", b.op("conv", {b.input("x", {DType::f32, {1, 500, 7, 7}}), weights},
                         {{"strides", std::vector<int64_t>{2, 2}}}));
    owner.reset();
    ir::Graph graph = std::move(b).finish();
    const Tensor x = random(is_product ? Shape{30, 500} : Shape{1, 500, 7, 7}, 1);
    const Tensor kept = compile(graph, 2)->run(std::vector{x})[0];
    EXPECT_FALSE(watched.expired()) << "the graph still has them";
    const auto plan = plan::compile(std::move(graph), *backend::cpu::make_target(), {.threads = 2});
    EXPECT_TRUE(watched.expired());
    EXPECT_TRUE(identical(plan->run(std::vector{x})[0], kept));
  }
}

// Constants that agree wherever a quick look falls are still two constants.
TEST(EngineRuns, tells_nearly_equal_constants_apart) {
  const Tensor one = random({64, 1000}, 3);
  Tensor other = random({64, 1000}, 3);
  other.set_float(12345, 7);
  Builder b;
  const Val x = b.input("x", {DType::f32, {1, 64}});
  b.output("first", b.op("matmul", {x, b.constant(one)}));
  b.output("other", b.op("matmul", {x, b.constant(other)}));
  b.output("again", b.op("matmul", {x, b.constant(random({64, 1000}, 3))}));
  const auto plan = compile(std::move(b).finish(), 1);
  Tensor ones(DType::f32, {1, 64});
  for (int64_t i = 0; i < 64; ++i) ones.set_float(i, 1);
  const std::vector<Tensor> results = plan->run(std::vector{ones});
  EXPECT_FALSE(identical(results[0], results[1]));
  EXPECT_TRUE(identical(results[0], results[2]));
}

}  // namespace
}  // namespace tessera
