// SPDX-License-Identifier: Apache-2.0
// Products and convolutions in bf16 and in integers of 16 bits against the reference, and the
// contract of a tolerance.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "amx/kernel.h"
#include "api/check.h"
#include "api/engine.h"
#include "api/load.h"
#include "api/plan_file.h"
#include "api/precision.h"
#include "backend/cpu/target.h"
#include "codegen/loop_kernel.h"
#include "lang/parse.h"
#include "ops/evaluate.h"
#include "plan/switchable_plan.h"
#include "random_inputs.h"

namespace tessera {
namespace {

using codegen::Precision;

#define REQUIRE_PAIRS()                                                               \
  if (const auto unit = codegen::host_vector_unit(); !unit.has_bf16 || !unit.has_i16) \
  GTEST_SKIP() << "this processor has no AVX512_BF16 or no AVX512_VNNI"

// ‖found − expected‖ over ‖expected‖, where both are finite; the others must be alike.
double error_of(const Tensor& found, const Tensor& expected) {
  double squares = 0, norm = 0;
  for (int64_t i = 0; i < found.size(); ++i) {
    const double f = found.float_at(i), e = expected.float_at(i);
    if (std::isnan(e)) EXPECT_TRUE(std::isnan(f)) << "element " << i;
    else if (std::isinf(e)) EXPECT_EQ(f, e) << "element " << i;
    else squares += (f - e) * (f - e), norm += e * e;
  }
  return std::sqrt(squares) / std::max(std::sqrt(norm), 1e-30);
}

// Every launch that has a choice, in every precision. `kernels`: whether there must be one.
void expect_close(const std::string& program, bool kernels = true,
                  Numbers numbers = Numbers::usual) {
  SCOPED_TRACE(program);
  const ir::Graph graph = lang::parse_program(program, "test");
  const std::vector<Tensor> inputs = random_inputs(graph, numbers);
  const std::vector<Tensor> expected = ops::evaluate(graph, inputs);
  std::map<Precision, std::vector<Tensor>> first;
  for (const int threads : {1, 2}) {
    plan::SwitchablePlan plan(graph, *backend::cpu::make_target(), {.threads = threads});
    EXPECT_EQ(!plan.choices().empty(), kernels);
    for (const Precision precision : codegen::reduced_precisions) {
      for (const auto& [launch, choices] : plan.choices())
        plan.use(launch, choices.contains(precision) ? precision : Precision::f32);
      const std::vector<Tensor> found = plan.plan().run(inputs);
      if (threads == 1) first[precision] = found;
      const double limit =
          precision == Precision::bf16 || precision == Precision::bf16_amx ? 6e-3 : 6e-4;
      for (size_t k = 0; k < found.size(); ++k) {
        SCOPED_TRACE(codegen::to_string(precision));
        EXPECT_TRUE(identical(found[k], first[precision][k])) << "threads change bits";
        EXPECT_TRUE(identical(found[k], plan.plan().run(inputs)[k])) << "runs differ";
        EXPECT_LE(error_of(found[k], expected[k]), limit);
      }
    }
  }
}

std::string product(int64_t m, int64_t k, int64_t n, const std::string& after) {
  return fmt::format(
      "input x: f32[{}, {}]\nparam w: f32[{}, {}] = normal(seed=1, scale=0.1)\n"
      "param b: f32[{}] = normal(seed=2)\ninput z: f32[{}, {}]\noutput y = {}\n",
      m, k, k, n, n, m, n, after);
}

std::string convolution(const std::string& x, const std::string& w, const std::string& how) {
  return fmt::format(
      "input x: f32[{}]\nparam w: f32[{}] = normal(seed=3, scale=0.1)\n"
      "output y = relu(conv(x, w{}))\n",
      x, w, how);
}

TEST(ReducedPrecision, multiplies_with_every_epilogue) {
  REQUIRE_PAIRS();
  for (const char* after : {"x @ w", "relu(x @ w + b)", "x @ w + b + z", "sigmoid(x @ w) * z",
                            "gelu(x @ w + b)", "leaky_relu(x @ w, 0.1)"})
    expect_close(product(19, 37, 45, after));
}

TEST(ReducedPrecision, multiplies_sizes_that_are_multiples_of_nothing) {
  REQUIRE_PAIRS();
  const int64_t sizes[][3] = {{1, 3, 17},  {1, 300, 17},  {2, 9, 130},
                              {13, 2, 31}, {131, 77, 53}, {197, 64, 97}};
  for (const auto& s : sizes) expect_close(product(s[0], s[1], s[2], "x @ w + b"));
  expect_close(
      "input x: f32[2, 3, 7, 21]\nparam w: f32[21, 33] = normal(seed=1)\n"
      "output y = x @ w\n");
  expect_close(
      "input x: f32[2, 3, 7, 20]\nparam w: f32[3, 20, 33] = normal(seed=1)\n"
      "output y = x @ w\n");
  expect_close("input x: f32[20]\nparam w: f32[20, 39] = normal(seed=1)\noutput y = x @ w\n");
  expect_close(
      "input x: f32[37, 50]\nparam w: f32[37, 45] = normal(seed=1)\n"
      "output y = transpose(x, perm=[1, 0]) @ w\n");
}

// The second operand is packed when the kernel runs: by rows of a matrix, or of its transpose.
TEST(ReducedPrecision, multiplies_activations) {
  REQUIRE_PAIRS();
  const auto batched = [](int64_t batch, int64_t m, int64_t k, int64_t n) {
    return fmt::format("input x: f32[{0}, {1}, {2}]\ninput w: f32[{0}, {2}, {3}]\n", batch, m, k,
                       n);
  };
  const int64_t sizes[][4] = {{1, 2, 3, 17},   {3, 19, 37, 45},  {12, 197, 64, 197},
                              {2, 33, 97, 16}, {1, 131, 77, 53}, {2, 5, 300, 130}};
  for (const auto& [batch, m, k, n] : sizes) {
    const std::string by_rows = batched(batch, m, k, n);
    expect_close(by_rows + "output y = x @ w\n");
    expect_close(by_rows + "output y = x @ w * 0.125\n", true, Numbers::unusual);
    expect_close(
        fmt::format("input x: f32[{0}, {1}, {2}]\ninput w: f32[{0}, {3}, {2}]\n"
                    "output y = x @ transpose(w, perm=[0, 2, 1])\n",
                    batch, m, k, n));
  }
  // Heads side by side in each row.
  expect_close(
      "input q: f32[1, 40, 192]\ninput k: f32[1, 40, 192]\n"
      "h = transpose(reshape(q, shape=[1, 40, 3, 64]), perm=[0, 2, 1, 3])\n"
      "g = transpose(reshape(k, shape=[1, 40, 3, 64]), perm=[0, 2, 3, 1])\n"
      "output y = (h @ g) * 0.125\n");
  expect_close("input x: f32[2, 0, 5]\ninput w: f32[2, 5, 33]\noutput y = x @ w\n", false);
  expect_close("input x: f32[2, 5, 0]\ninput w: f32[2, 0, 33]\noutput y = x @ w\n", false);
}

std::string attention(const std::string& batch, int m, int n, int d, int e,
                      const std::string& score = "q @ k.T * s") {
  const auto input = [&](const char* name, int rows, int columns) {
    return fmt::format("input {}: f32[{}{}, {}]\n", name, batch, rows, columns);
  };
  return input("q", m, d) + input("k", n, d) + input("v", n, e) +
         fmt::format("s = {}\n", 1 / std::sqrt(d)) +
         fmt::format("input m: f32[{}, {}]\noutput y = softmax({}, axis=-1) @ v\n", m, n, score);
}

// Queries, keys and values are rounded a matrix at a time; keys are odd in number, or one more than
// a chunk of weights.
TEST(ReducedPrecision, attends_with_any_number_of_queries_and_keys) {
  REQUIRE_PAIRS();
  struct Size {
    const char* batch;
    int m, n, d, e;
  };
  const Size sizes[] = {{"", 16, 16, 32, 16},        {"3, ", 48, 64, 64, 64},
                        {"2, ", 197, 197, 64, 64},   {"2, 2, ", 50, 77, 32, 48},
                        {"", 196, 1500, 96, 80},     {"1, ", 33, 129, 128, 16},
                        {"2, 3, ", 17, 65, 64, 128}, {"9, ", 100, 63, 32, 96}};
  for (const Size& s : sizes) {
    SCOPED_TRACE(s.n);
    expect_close(attention(s.batch, s.m, s.n, s.d, s.e));
    expect_close(attention(s.batch, s.m, s.n, s.d, s.e, "q @ k.T * s + m"));
  }
  // Sizes of heads that are no multiple of two vectors stay in f32.
  expect_close(attention("2, ", 40, 40, 48, 16), false);
  expect_close(attention("2, ", 0, 40, 64, 16), false);
}

// Heads side by side in each token, keys and values shared by several heads, and keys that lie
// transposed.
TEST(ReducedPrecision, attends_to_heads_where_they_lie) {
  REQUIRE_PAIRS();
  const std::string heads =
      "fn heads(y) = transpose(reshape(y, [2, 50, 3, 32]), [0, 2, 1, 3])\n"
      "input x: f32[2, 50, 96]\n";
  expect_close(heads +
               "input a: f32[2, 50, 96]\ninput b: f32[2, 50, 96]\n"
               "output y = reshape(transpose(softmax(heads(x) @ heads(a).T * 0.2, axis=-1) @ "
               "heads(b), [0, 2, 1, 3]), [2, 50, 96])\n");
  expect_close(heads +
               "input a: f32[2, 1, 35, 32]\ninput b: f32[2, 1, 35, 32]\n"
               "output y = softmax(heads(x) @ a.T * 0.2, axis=-1) @ b\n");
  expect_close(
      "input q: f32[2, 50, 32]\ninput k: f32[2, 32, 37]\ninput v: f32[2, 37, 32]\n"
      "output y = softmax(q @ k * 0.2, axis=-1) @ v\n");
}

TEST(ReducedPrecision, attends_to_unusual_numbers) {
  REQUIRE_PAIRS();
  const ir::Graph graph =
      lang::parse_program(attention("2, ", 35, 71, 32, 16, "q @ k.T * s + m"), "test");
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  struct Change {
    size_t input;
    int64_t first, count;
    double value;
  };
  const Change changes[] = {
      {0, 3 * 32 + 2, 1, nan},        {1, 5 * 32, 1, infinity},    {2, 7 * 16 + 3, 1, infinity},
      {2, 70 * 16 + 4, 1, nan},       {3, 34 * 71, 71, -infinity}, {3, 33 * 71 + 1, 70, -infinity},
      {3, 10 * 71 + 69, 1, infinity}, {3, 11 * 71 + 3, 1, nan},    {0, 0, 35 * 32, 0},
      {2, 0, 71 * 16, 1e-38}};
  for (const Change& c : changes)
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(fmt::format("input {}, {} numbers {}", c.input, c.count, c.value));
      std::vector<Tensor> inputs = random_inputs(graph, Numbers::usual);
      for (int64_t k = 0; k < c.count; ++k) inputs[c.input].set_float(c.first + k, c.value);
      const std::vector<Tensor> expected = ops::evaluate(graph, inputs);
      plan::SwitchablePlan plan(graph, *backend::cpu::make_target(), {.threads = threads});
      ASSERT_EQ(plan.choices().size(), 1U);
      const auto& [launch, choices] = *plan.choices().begin();
      for (const Precision precision : {Precision::bf16, Precision::i16}) {
        plan.use(launch, precision);
        EXPECT_LE(error_of(plan.plan().run(inputs)[0], expected[0]), 6e-3);
      }
    }
}

// Many rows and few weights: rows are rounded block by block.
TEST(ReducedPrecision, rounds_rows_in_blocks) {
  REQUIRE_PAIRS();
  for (const int64_t k : {64, 96, 37, 130})
    expect_close(product(1003, k, 45, "relu(x @ w + b) + z"));
  expect_close(product(1003, 96, 45, "x @ w + b"), true, Numbers::unusual);
  expect_close(convolution("2, 80, 23, 25", "72, 80, 1, 1", ""));
  // Taps reach other rows: no block is enough for them.
  expect_close(convolution("1, 24, 1, 900", "24, 24, 1, 3", ", pads=[0, 0, 0, 2]"));
}

// Shorter sums of integers are closer to the exact ones.
TEST(ReducedPrecision, is_more_exact_in_short_sums) {
  REQUIRE_PAIRS();
  const ir::Graph graph = lang::parse_program(product(64, 768, 96, "x @ w"), "test");
  const std::vector<Tensor> inputs = random_inputs(graph, Numbers::usual);
  const std::vector<Tensor> expected = ops::evaluate(graph, inputs);
  plan::SwitchablePlan plan(graph, *backend::cpu::make_target(), {.threads = 1});
  ASSERT_EQ(plan.choices().size(), 1U);
  std::map<Precision, double> error;
  for (const auto& [precision, kernel] : plan.choices().begin()->second) {
    plan.use(plan.choices().begin()->first, precision);
    error[precision] = error_of(plan.plan().run(inputs)[0], expected[0]);
  }
  EXPECT_LT(error[Precision::i16_short], 0.85 * error[Precision::i16]);
  EXPECT_LT(error[Precision::i16], 0.1 * error[Precision::bf16]);
}

TEST(ReducedPrecision, leaves_empty_products_alone) {
  REQUIRE_PAIRS();
  expect_close(product(0, 5, 37, "x @ w + b"), false);
  expect_close(product(5, 0, 37, "x @ w + b"), false);
}

TEST(ReducedPrecision, convolves) {
  REQUIRE_PAIRS();
  expect_close(convolution("2, 9, 9, 11", "33, 9, 3, 3", ", pads=[1, 1, 1, 1]"));
  expect_close(convolution("1, 16, 7, 7", "40, 16, 3, 3", ", pads=[1, 1, 1, 1]"));
  expect_close(convolution("1, 16, 14, 14", "16, 16, 3, 3", ", strides=[2, 2], pads=[0, 0, 1, 1]"));
  expect_close(convolution("1, 8, 15, 17", "19, 8, 3, 3", ", dilations=[2, 3], pads=[2, 3, 2, 3]"));
  expect_close(convolution("1, 21, 9, 9", "36, 21, 1, 1", ""));
  for (const int channels : {3, 7, 15})  // rows of a few numbers and a zero
    expect_close(convolution(fmt::format("2, {}, 17, 19", channels),
                             fmt::format("33, {}, 5, 4", channels), ", strides=[2, 2]"));
  expect_close(convolution("2, 20, 9, 9", "36, 20, 1, 1", ", strides=[2, 2]"));
  expect_close(convolution("1, 40, 9, 9", "60, 20, 3, 3", ", group=2, pads=[1, 1, 1, 1]"));
  expect_close(convolution("1, 64, 58, 58", "64, 64, 3, 3", ""));
}

// Few channels, which lie in planes; and sizes for which Winograd's algorithm is chosen in i16.
TEST(ReducedPrecision, convolves_images_and_large_planes) {
  REQUIRE_PAIRS();
  const std::string image = "1, 3, 37, 41", same = ", pads=[1, 1, 1, 1]";
  expect_close(convolution(image, "32, 3, 7, 7", ", strides=[2, 2], pads=[3, 3, 3, 3]"));
  expect_close(convolution("2, 2, 33, 20", "48, 2, 3, 3", same));
  expect_close(convolution(image, "32, 3, 5, 5", ""), true, Numbers::unusual);
  expect_close(convolution("1, 128, 28, 28", "130, 128, 3, 3", same));
  for (const Numbers numbers : {Numbers::usual, Numbers::unusual})
    expect_close(convolution("2, 95, 27, 30", "130, 95, 3, 3", same), true, numbers);
}

TEST(ReducedPrecision, keeps_unusual_numbers) {
  REQUIRE_PAIRS();
  for (const char* after : {"x @ w + b", "relu(x @ w + b) + z"})
    expect_close(product(29, 9, 33, after), true, Numbers::unusual);
  expect_close(convolution("1, 16, 15, 17", "19, 16, 3, 3", ", pads=[1, 1, 1, 1]"), true,
               Numbers::unusual);
  expect_close(convolution("2, 3, 15, 17", "33, 3, 3, 3", ""), true, Numbers::unusual);
  expect_close(product(9, 64, 33, "x @ w"), true, Numbers::tiny);  // denormals may become zeros
}

// With every launch in bf16 that can be: what such launches alone read is stored in bf16, by which
// no number changes. `stored`: how many launches read such a value.
void expect_stored(const std::string& program, int stored, Numbers numbers = Numbers::usual) {
  SCOPED_TRACE(program);
  const ir::Graph graph = lang::parse_program(program, "test");
  const std::vector<Tensor> inputs = random_inputs(graph, numbers);
  for (const int threads : {1, 2}) {
    const auto target = backend::cpu::make_target();
    plan::SwitchablePlan choices(graph, *target, {.threads = threads});
    plan::CompileOptions options{.threads = threads};
    for (const auto& [launch, kernels] : choices.choices()) {
      choices.use(launch, Precision::bf16);
      options.reduced[launch] = {choices.plan().launches()[launch].name, Precision::bf16};
    }
    const auto plan = plan::compile(graph, *target, options);
    const auto found = plan->run(inputs), expected = choices.plan().run(inputs);
    for (size_t k = 0; k < found.size(); ++k) EXPECT_TRUE(identical(found[k], expected[k]));
    EXPECT_EQ(plan->launches().size(), choices.plan().launches().size());
    // A kernel that reads rounded numbers needs no memory to round them to.
    const auto& launches = plan->launches();
    EXPECT_EQ(stored, std::count_if(launches.begin(), launches.end(), [](const auto& launch) {
                return launch.kernel->implementation().starts_with("bf16") &&
                       launch.kernel->scratch_bytes() == 0;
              }));
  }
}

TEST(ReducedPrecision, stores_what_only_products_in_bf16_read_in_bf16) {
  REQUIRE_PAIRS();
  const auto layers = [](int m, int k, int h, int n, const std::string& y) {
    return fmt::format(
               "input x: f32[{0}, {1}]\nparam a: f32[{1}, {2}] = normal(seed=1, scale=0.1)\n"
               "param b: f32[{2}, {3}] = normal(seed=2, scale=0.1)\n"
               "param c: f32[{2}] = normal(seed=3)\ninput z: f32[{0}, {2}]\n",
               m, k, h, n) +
           y;
  };
  const char* hidden[] = {"relu(x @ a + c)", "gelu(x @ a)", "sigmoid(x @ a) * z + c", "x @ a"};
  for (const char* h : hidden)
    for (const Numbers numbers : {Numbers::usual, Numbers::unusual, Numbers::tiny}) {
      expect_stored(layers(67, 40, 78, 45, fmt::format("output y = ({}) @ b\n", h)), 1, numbers);
      expect_stored(layers(1, 40, 34, 33, fmt::format("output y = ({}) @ b\n", h)), 1, numbers);
    }
  // Loops, and a reshape between.
  expect_stored(layers(35, 64, 64, 45, "output y = softmax(x * 2, axis=-1) @ b\n"), 1);
  expect_stored(layers(36, 64, 64, 45, "h = relu(x @ a)\noutput y = reshape(h, [4, 9, 64]) @ b\n"),
                1);
  // Rows of odd length have a zero behind them; what others read, or is an output, stays in f32.
  expect_stored(layers(35, 64, 63, 45, "output y = relu(x @ a) @ b\n"), 0);
  expect_stored(layers(35, 64, 64, 64, "h = relu(x @ a)\noutput y = h @ b + h\n"), 0);
  expect_stored(layers(35, 64, 64, 64, "h = relu(x @ a)\noutput h\noutput y = h @ b\n"), 0);
  expect_stored(layers(0, 64, 64, 64, "output y = relu(x @ a) @ b\n"), 0);
}

// The image too, as it is put in order.
TEST(ReducedPrecision, stores_images_in_bf16) {
  REQUIRE_PAIRS();
  const auto images = [](int channels, const char* how) {
    return fmt::format(
        "input x: f32[2, 24, 11, 13]\nparam a: f32[{0}, 24, 1, 1] = normal(seed=1, scale=0.2)\n"
        "param b: f32[48, {0}, 3, 3] = normal(seed=2, scale=0.1)\n"
        "output y = conv(relu(conv(x, a)), b{1})\n",
        channels, how);
  };
  for (const char* how : {"", ", pads=[1, 1, 1, 1]", ", strides=[2, 2], pads=[1, 0, 1, 0]"}) {
    expect_stored(images(40, how), 2);
    expect_stored(images(40, how), 2, Numbers::unusual);
    expect_stored(images(39, how), 1);
  }
}

// A model file holds the GELU as other operators; the plan is still that of the same launches.
TEST(ReducedPrecision, is_kept_by_a_plan_of_a_model_that_is_written_in_other_operators) {
  REQUIRE_PAIRS();
  const ir::Graph graph = lang::parse_program(
      "input x: f32[96, 384]\nparam a: f32[384, 768] = normal(seed=1, scale=0.07)\n"
      "param b: f32[768, 96] = normal(seed=2, scale=0.05)\noutput y = gelu(x @ a) @ b\n",
      "test");
  api::Options options;
  options.threads = 1;
  const plan::SwitchablePlan choices(graph, *backend::cpu::make_target(), {.threads = 1});
  ASSERT_EQ(choices.choices().size(), 2U);
  for (const auto& [launch, kernels] : choices.choices())
    options.reduced[launch] = {"matmul+gelu", Precision::i16};
  const std::string path = testing::TempDir() + "gelu.plan";
  api::write_plan(graph, path, options, options.reduced);
  api::Options read = api::options_for(path, {});
  std::vector<std::string> warnings;
  read.warn = [&](const std::string& text) { warnings.push_back(text); };
  const auto inputs = api::random_inputs(graph, 1);
  const auto expected = api::compile(graph, options)->run(inputs);
  EXPECT_TRUE(
      identical(expected[0], api::compile(api::load_model(path, read), read)->run(inputs)[0]));
  EXPECT_TRUE(warnings.empty());
}

// Two hidden layers, wide enough that reduced precision gains time.
ir::Graph network() {
  return lang::parse_program(
      "input x: f32[96, 384]\nparam a: f32[384, 768] = normal(seed=1, scale=0.07)\n"
      "param b: f32[768, 768] = normal(seed=2, scale=0.05)\n"
      "param c: f32[768, 96] = normal(seed=3, scale=0.05)\n"
      "output y = relu(relu(x @ a) @ b) @ c\n",
      "test");
}

// On inputs that no choice was made on, the program stays inside the tolerance.
TEST(ReducedPrecision, stays_inside_any_tolerance_on_fresh_inputs) {
  REQUIRE_PAIRS();
  const ir::Graph graph = network();
  api::Options options;
  options.threads = 1;
  const auto exact = api::compile(graph, options);
  int most = 0;
  for (const double tolerance : {1e-7, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1}) {
    SCOPED_TRACE(tolerance);
    const api::PrecisionReport report = api::choose_precision(graph, options, tolerance);
    EXPECT_LE(report.error, tolerance);
    most = std::max(most, report.reduced_count());
    if (tolerance == 1e-7) {
      EXPECT_EQ(report.reduced_count(), 0);
    }
    api::Options reduced = options;
    reduced.reduced = report.reduced;
    const auto program = api::compile(graph, reduced);
    for (uint64_t seed = 5000; seed < 5010; ++seed) {
      const auto y = exact->run(api::random_inputs(graph, seed)),
                 other = exact->run(api::random_inputs(graph, seed + 1)),
                 x = program->run(api::random_inputs(graph, seed));
      const double error = api::compare(y[0], x[0], api::distance(y[0], other[0])).error;
      if (report.reduced_count() == 0) {
        EXPECT_EQ(error, 0);
      }
      EXPECT_LE(error, tolerance) << "seed " << seed;
    }
  }
  EXPECT_GE(most, 2) << "a wide tolerance is used";
}

// A plan that was made where there are tiles runs elsewhere, in the same precision.
TEST(ReducedPrecision, by_tiles_is_bf16_where_there_are_none) {
  REQUIRE_PAIRS();
  const ir::Graph graph = lang::parse_program(product(64, 96, 48, "relu(x @ w + b)"), "test");
  const auto target = backend::cpu::make_target();
  const plan::SwitchablePlan choices(graph, *target, {.threads = 1});
  ASSERT_EQ(choices.choices().size(), 1U);
  const auto& [launch, kernels] = *choices.choices().begin();
  EXPECT_EQ(kernels.contains(Precision::bf16_amx), amx::is_usable());
  plan::CompileOptions options{.threads = 1};
  options.reduced[launch] = {"matmul+relu", Precision::bf16_amx};
  const auto plan = plan::compile(graph, *target, options);
  const std::string found = plan->launches()[launch].kernel->implementation();
  EXPECT_TRUE(found.starts_with(amx::is_usable() ? "bf16 amx" : "bf16 tiles")) << found;
}

TEST(ReducedPrecision, is_kept_by_a_plan_file) {
  REQUIRE_PAIRS();
  const ir::Graph graph = network();
  api::Options options;
  options.threads = 1;
  const std::string path = testing::TempDir() + "reduced.plan";
  const plan::SwitchablePlan choices(graph, *backend::cpu::make_target(), {.threads = 1});
  ASSERT_GE(choices.choices().size(), 3U);
  const size_t launch = choices.choices().begin()->first;
  api::write_plan(graph, path, options, {{launch, {"matmul+relu", Precision::i16}}});
  api::Options read = api::options_for(path, {});
  ASSERT_EQ(read.reduced.size(), 1U);
  EXPECT_EQ(read.reduced.begin()->first, launch);
  EXPECT_EQ(read.reduced.begin()->second.name, "matmul+relu");
  EXPECT_EQ(read.reduced.begin()->second.precision, Precision::i16);
  std::vector<std::string> warnings;
  read.warn = [&](const std::string& text) { warnings.push_back(text); };
  const auto inputs = api::random_inputs(graph, 1);
  const auto exact = api::compile(graph, options)->run(inputs);
  EXPECT_FALSE(identical(exact[0], api::compile(graph, read)->run(inputs)[0]));
  EXPECT_TRUE(warnings.empty());
  read.reduced = {{launch, {"another", Precision::i16}}};
  EXPECT_TRUE(identical(exact[0], api::compile(graph, read)->run(inputs)[0]));
  EXPECT_EQ(warnings.size(), 1U);
  std::ofstream(path) << "tessera plan 1\n{\"processor\": \"x\", \"threads\": 1, "
                         "\"reduced\": [[1, \"matmul\", \"f3\"]]}\n";
  EXPECT_THROW(api::options_for(path, {}), UserError);
}

}  // namespace
}  // namespace tessera
