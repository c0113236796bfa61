// SPDX-License-Identifier: Apache-2.0
// The CPU engine against the reference, over every sample of every operator record and small
// graphs.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "backend/cpu/target.h"
#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"
#include "plan/compile.h"

namespace tessera {
namespace {

using ops::Builder;
using ops::Val;

Tensor random_tensor(const ir::ValueType& type, Rng& rng) {
  Tensor t(type.dtype, type.concrete_shape());
  for (int64_t i = 0; i < t.size(); ++i) {
    if (is_float(type.dtype)) t.set_float(i, 2 * rng.uniform() - 1);
    else t.set_integer(i, rng.integer(0, 1));
  }
  return t;
}

// Compiles, runs twice (the second run must give the same bits) and compares with the float64
// reference.
void expect_like_reference(const ir::Graph& graph, const std::string& what, bool fuse = true,
                           double tolerance = 1e-5, std::vector<Tensor> inputs = {}) {
  SCOPED_TRACE(what);
  Rng rng(7);
  if (inputs.empty())
    for (ir::NodeId id : graph.inputs())
      inputs.push_back(random_tensor(graph.node(id).outputs[0], rng));
  const auto target = backend::cpu::make_target();
  const auto plan = plan::compile(graph, *target, {.threads = 2, .fuse = fuse});
  std::vector<Tensor> expected;
  try {
    expected = ops::evaluate(graph, inputs);
  } catch (const UserError&) {  // the random numbers are no legal indices
    EXPECT_THROW(plan->run(inputs), UserError);
    return;
  }
  const std::vector<Tensor> found = plan->run(inputs), again = plan->run(inputs);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t k = 0; k < found.size(); ++k) {
    EXPECT_TRUE(identical(found[k], again[k])) << "output " << k << " differs from run to run";
    ASSERT_EQ(found[k].shape(), expected[k].shape());
    for (int64_t i = 0; i < found[k].size(); ++i) {
      if (!is_float(found[k].type())) {
        ASSERT_EQ(found[k].integer_at(i), expected[k].integer_at(i)) << "element " << i;
        continue;
      }
      const double a = found[k].float_at(i), b = expected[k].float_at(i);
      if (std::isnan(b)) ASSERT_TRUE(std::isnan(a)) << "element " << i;
      else if (std::isinf(b)) ASSERT_EQ(a, b) << "element " << i;
      else ASSERT_NEAR(a, b, tolerance * (1 + std::fabs(b))) << "element " << i;
    }
  }
}

TEST(Engine, computes_every_sample_of_every_operator) {
  for (const ops::OpDef& def : ops::registry().all()) {
    if (def.impure || def.structural) continue;
    for (size_t n = 0; n < def.samples.size(); ++n) {
      const ops::Sample& sample = def.samples[n];
      Builder b;
      std::vector<Val> inputs;
      bool narrow = false;
      for (size_t k = 0; k < sample.inputs.size(); ++k) {
        inputs.push_back(b.input(fmt::format("x{}", k), sample.inputs[k]));
        narrow |= sample.inputs[k].dtype == DType::f16 || sample.inputs[k].dtype == DType::bf16;
      }
      const std::string what = fmt::format("{} sample {}", def.name, n);
      SCOPED_TRACE(what);
      std::vector<Val> results;
      try {
        results = b.op_n(def.name, inputs, sample.attrs);
      } catch (const UserError& e) {
        if (e.kind() == ErrorKind::needs_value) continue;  // its shape depends on data
        throw;
      }
      for (size_t k = 0; k < results.size(); ++k) b.output(fmt::format("y{}", k), results[k]);
      for (const Val& v : results) narrow |= v.dtype() == DType::f16 || v.dtype() == DType::bf16;
      const ir::Graph graph = std::move(b).finish();
      try {
        expect_like_reference(graph, what, true, narrow ? 2e-2 : 1e-5);
        expect_like_reference(graph, what + " unfused", false, narrow ? 2e-2 : 1e-5);
      } catch (const std::exception& e) {
        ADD_FAILURE() << what << ": " << e.what();
      }
    }
  }
}

TEST(Engine, returns_inputs_constants_and_one_value_twice) {
  Builder b;
  const Val x = b.input("x", {DType::f32, {2, 3}});
  const Val y = x * 2.0;
  b.output("a", x);
  b.output("b", b.scalar(3, DType::f32));
  b.output("c", y);
  b.output("d", y);
  b.output("e", ops::reshape(y, {3, 2}));
  expect_like_reference(std::move(b).finish(), "outputs");
}

TEST(Engine, runs_recurrences) {
  for (const bool reverse : {false, true}) {
    Builder body("step");
    const Val h = body.input("h", {DType::f32, {1, 4}}), x = body.input("x", {DType::f32, {1, 3}});
    const Val w = body.input("w", {DType::f32, {3, 4}}), r = body.input("r", {DType::f32, {4, 4}});
    const Val next = ops::tanh(ops::matmul(x, w) + ops::matmul(h, r));
    body.output("h", next);
    body.output("y", next * 2.0);
    const auto region = std::make_shared<const ir::Graph>(std::move(body).finish());
    Builder b;
    const Val h0 = b.input("h0", {DType::f32, {1, 4}}), xs = b.input("xs", {DType::f32, {5, 1, 3}});
    const Val ws = b.input("w", {DType::f32, {3, 4}}), rs = b.input("r", {DType::f32, {4, 4}});
    const auto out = b.op_n("scan", {h0, xs, ws, rs},
                            {{"states", int64_t{1}},
                             {"scans", int64_t{1}},
                             {"length", ir::Dims{5}},
                             {"reverse", int64_t{reverse}}},
                            {region});
    b.output("last", out[0]);
    b.output("all", out[1]);
    expect_like_reference(std::move(b).finish(), "scan");
  }
}

// Functions that differ only far from zero, or between the knees of those that the library has.
TEST(Engine, keeps_the_bounds_of_epilogues) {
  const std::pair<double, double> bounds[] = {{-1e6, 1e6}, {0, 1e7},   {-1e30, 5},
                                              {0, 6},      {-3, 1e-4}, {1e-12, 1e9}};
  for (const auto& [low, high] : bounds) {
    Builder b;
    const Val x = b.input("x", {DType::f32, {3, 1}}), w = b.input("w", {DType::f32, {1, 5}});
    const Val y = ops::matmul(x * 1e8, w);  // of one product each, so nothing cancels
    b.output("y", b.op("clip", {y, b.scalar(low, DType::f32), b.scalar(high, DType::f32)}) * 0.5);
    expect_like_reference(std::move(b).finish(), fmt::format("clip to [{}, {}]", low, high));
  }
}

// Each function that follows a product or a convolution, on a row of numbers that are none.
TEST(Engine, lets_nan_and_infinities_pass_every_epilogue) {
  const auto numbers = {std::nan(""), HUGE_VAL, -HUGE_VAL, 0.0, 1.5, -2.0, 8.0, -8.0};
  Tensor matrix(DType::f32, {8, 16}), image(DType::f32, {1, 16, 2, 4});
  int64_t row = 0;
  for (const double number : numbers) {
    matrix.set_float(row * 16, number);
    image.set_float(row++, number);
  }
  const auto with_function = [](Builder& b, Val y, const std::string& name) {
    if (name == "add_relu") return b.op("relu", {y + b.input("z", y.type())});
    if (name == "clip") return b.op("clip", {y, b.scalar(-1, DType::f32), b.scalar(6, DType::f32)});
    return b.op(name, {y});
  };
  for (const char* name : {"relu", "clip", "add_relu", "sigmoid", "swish", "hard_swish", "tanh",
                           "leaky_relu", "elu", "hard_sigmoid", "gelu", "selu", "softplus"})
    for (const bool convolution : {false, true}) {
      Builder b;
      const Tensor& x = convolution ? image : matrix;
      const Shape shape = x.shape();
      const Val in = b.input("x", {DType::f32, ir::Dims(shape.begin(), shape.end())});
      Tensor weights(DType::f32, convolution ? Shape{32, 16, 1, 1} : Shape{16, 32});
      for (int64_t i = 0; i < weights.size(); ++i)
        weights.set_float(i, 0.25 + 0.125 * static_cast<double>(i % 5));
      const Val w = b.constant(weights);
      b.output("y", with_function(b, b.op(convolution ? "conv" : "matmul", {in, w}), name));
      const ir::Graph graph = std::move(b).finish();
      std::vector<Tensor> inputs{x};
      Rng rng(3);
      if (graph.inputs().size() > 1)
        inputs.push_back(random_tensor(graph.node(graph.inputs()[1]).outputs[0], rng));
      expect_like_reference(graph, fmt::format("{} {}", convolution ? "conv" : "matmul", name),
                            true, 1e-5, inputs);
    }
}

Tensor random_indices(const Shape& shape, int64_t extent, DType type, Rng& rng) {
  Tensor t(type, shape);
  for (int64_t i = 0; i < t.size(); ++i) t.set_integer(i, rng.integer(-extent, extent - 1));
  return t;
}

// A graph of one node whose inputs are the tensors.
ir::Graph one_node(const std::string& op, const std::vector<Tensor>& inputs, ir::AttrMap attrs) {
  Builder b;
  std::vector<Val> values;
  for (const Tensor& t : inputs)
    values.push_back(b.input(fmt::format("in{}", values.size()),
                             {t.type(), ir::Dims(t.shape().begin(), t.shape().end())}));
  b.output("y", b.op(op, values, std::move(attrs)));
  return std::move(b).finish();
}

TEST(Engine, scatters_as_the_meaning_says) {
  Rng rng(5);
  for (const DType type : {DType::f32, DType::f64, DType::i32, DType::i64, DType::f16, DType::u8})
    for (const std::string mode : {"none", "add", "mul", "max", "min"}) {
      const auto values = [&](const Shape& shape) {
        Tensor t = random_tensor({type, ir::Dims(shape.begin(), shape.end())}, rng);
        if (type == DType::f32) t.set_float(t.size() / 2, std::nan(""));
        return t;
      };
      const std::string what = fmt::format("{} {}", mode, to_string(type));
      const ir::AttrValue reduction = mode;
      for (const int64_t axis : {0, 1, 2}) {
        const Shape data{4, 6, 5}, updates{axis == 0 ? 9 : 3, axis == 1 ? 9 : 6, axis == 2 ? 9 : 4};
        const std::vector<Tensor> inputs{
            values(data), random_indices(updates, data[static_cast<size_t>(axis)], DType::i64, rng),
            values(updates)};
        expect_like_reference(
            one_node("scatter_elements", inputs, {{"axis", axis}, {"reduction", reduction}}),
            "scatter_elements " + what, true, 2e-3, inputs);
      }
      const std::vector<Tensor> inputs{
          values({4, 4, 5}), random_indices({20, 2}, 4, DType::i32, rng), values({20, 5})};
      expect_like_reference(one_node("scatter_nd", inputs, {{"reduction", reduction}}),
                            "scatter_nd " + what, true, 2e-3, inputs);
    }
}

// Messages along the edges of a graph, added up at its nodes: a row of features has one index.
TEST(Engine, scatters_rows_that_share_an_index) {
  Rng rng(8);
  for (const bool known : {true, false})
    for (const int64_t odd_one : {0, 1}) {
      const Tensor ends = random_indices({40}, 9, DType::i64, rng);
      Tensor indices(DType::i64, {40, 7});
      for (int64_t i = 0; i < indices.size(); ++i) indices.set_integer(i, ends.integer_at(i / 7));
      if (odd_one == 1) indices.set_integer(7 * 20 + 3, 5);
      Builder b;
      const Val x = b.input("x", {DType::f32, {9, 8}});
      const Val at = known ? b.constant(indices) : b.input("at", {DType::i64, {40, 7}});
      const Val messages = b.input("messages", {DType::f32, {40, 7}});
      b.output("y", b.op("scatter_elements", {x, at, messages},
                         {{"axis", int64_t{0}}, {"reduction", std::string("add")}}));
      std::vector<Tensor> inputs{random_tensor({DType::f32, {9, 8}}, rng), indices,
                                 random_tensor({DType::f32, {40, 7}}, rng)};
      if (known) inputs.erase(inputs.begin() + 1);
      expect_like_reference(std::move(b).finish(), fmt::format("{} {}", known, odd_one), true, 1e-5,
                            inputs);
    }
}

TEST(Engine, refuses_scattered_indices_that_lie_outside) {
  for (const int64_t wrong : {4, -5}) {
    Tensor indices(DType::i64, {4, 5});
    indices.set_integer(7, wrong);
    const std::vector<Tensor> inputs{Tensor(DType::f32, {4, 5}), indices,
                                     Tensor(DType::f32, {4, 5})};
    const auto target = backend::cpu::make_target();
    const auto plan = plan::compile(one_node("scatter_elements", inputs, {}), *target, {});
    EXPECT_THROW(plan->run(inputs), UserError);
  }
}

TEST(Engine, accumulates_as_the_meaning_says) {
  Rng rng(6);
  for (const std::string op : {"cum_sum", "cum_prod"})
    for (const DType type : {DType::f32, DType::f64, DType::i32, DType::i64, DType::f16})
      for (const int64_t axis : {0, 1, 2})
        for (const int64_t flags : {0, 1, 2, 3}) {
          const std::vector<Tensor> inputs{random_tensor({type, {17, 18, 70}}, rng)};
          const ir::AttrMap attrs{
              {"axis", axis}, {"exclusive", flags & 1}, {"reverse", flags >> 1}};
          expect_like_reference(one_node(op, inputs, attrs),
                                fmt::format("{} {} {} {}", op, to_string(type), axis, flags), true,
                                type == DType::f16 ? 1e-2 : 1e-5, inputs);
        }
}

// What the meaning alone would do in 10^12 and 4·10^11 steps.
TEST(Engine, scatters_and_accumulates_in_linear_time) {
  const int64_t n = 1'000'000;
  Tensor x(DType::i64, {n}), reversed(DType::i64, {n});
  for (int64_t i = 0; i < n; ++i) {
    x.set_integer(i, i);
    reversed.set_integer(i, n - 1 - i);
  }
  const auto target = backend::cpu::make_target();
  const auto run = [&](const std::string& op, std::vector<Tensor> inputs, ir::AttrMap attrs) {
    return plan::compile(one_node(op, inputs, std::move(attrs)), *target, {.threads = 2})
        ->run(inputs)[0];
  };
  const Tensor sums = run("cum_sum", {x}, {{"axis", int64_t{0}}});
  const Tensor turned = run("scatter_elements", {x, reversed, x}, {});
  for (int64_t i = 0; i < n; ++i) {
    ASSERT_EQ(sums.integer_at(i), i * (i + 1) / 2);
    ASSERT_EQ(turned.integer_at(i), n - 1 - i);
  }
}

// Runs of one plan may overlap, and share the pool with those of others.
TEST(Engine, runs_plans_from_several_threads) {
  const auto make = [](int64_t rows) {
    Builder b;
    const Val x = b.input("x", {DType::f32, {rows, 32}}), w = b.input("w", {DType::f32, {32, 48}});
    const Val y = b.op("relu", {ops::matmul(x, w)});
    b.output("y", b.op("softmax", {y * 0.5}, {{"axis", int64_t{-1}}}));
    return std::move(b).finish();
  };
  const auto target = backend::cpu::make_target();
  const ir::Graph graphs[] = {make(64), make(96)};
  std::vector<std::unique_ptr<runtime::Plan>> plans;
  std::vector<std::vector<Tensor>> inputs, expected;
  Rng rng(9);
  for (const ir::Graph& g : graphs) {
    plans.push_back(plan::compile(g, *target, {.threads = 3}));
    inputs.emplace_back();
    for (ir::NodeId id : g.inputs())
      inputs.back().push_back(random_tensor(g.node(id).outputs[0], rng));
    expected.push_back(plans.back()->run(inputs.back()));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 50; ++round)
        wrong += !identical(plans[t % 2]->run(inputs[t % 2])[0], expected[t % 2][0]);
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Engine, refuses_inputs_of_another_shape) {
  Builder b;
  b.output("y", b.input("x", {DType::f32, {2, 3}}) + 1.0);
  const ir::Graph graph = std::move(b).finish();
  const auto target = backend::cpu::make_target();
  const auto plan = plan::compile(graph, *target, {});
  EXPECT_THROW(plan->run(std::vector<Tensor>{Tensor(DType::f32, {3, 2})}), UserError);
  EXPECT_THROW(plan->run(std::vector<Tensor>{}), UserError);
}

}  // namespace
}  // namespace tessera
