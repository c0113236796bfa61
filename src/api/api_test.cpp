// SPDX-License-Identifier: Apache-2.0
// Loading, inputs, comparison and the evidence of optimize, on small programs.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>

#include "api/catalog.h"
#include "api/check.h"
#include "api/derivation.h"
#include "api/load.h"
#include "api/optimize.h"
#include "api/plan_file.h"
#include "base/check.h"
#include "lang/parse.h"
#include "ops/builder.h"

namespace tessera::api {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UserError& e) {
    return e.what();
  }
  return "no error";
}

Options two_threads() {
  Options options;
  options.threads = 2;
  options.budget_seconds = 1;
  return options;
}

ir::Graph lookup(int64_t rows) {
  ops::Builder b;
  const auto ids = b.input("ids", {DType::i64, {4, 8}});
  const auto mask = b.input("mask", {DType::i64, {4, 8}});
  const auto table = b.constant(Tensor(DType::f32, {rows, 3}));
  b.output("y", b.op("gather", {table, ops::reshape(ids, {32})}));
  b.output("m", ops::cast(mask, DType::f32));
  return std::move(b).finish();
}

TEST(RandomInputs, stay_within_the_table_that_they_index) {
  const auto small = random_inputs(lookup(7), 1), large = random_inputs(lookup(50000), 1);
  for (const int64_t id : small[0].to_integers()) EXPECT_TRUE(id >= 0 && id < 7) << id;
  for (const int64_t id : large[0].to_integers()) EXPECT_TRUE(id >= 0 && id < 1000) << id;
  for (const int64_t bit : small[1].to_integers()) EXPECT_TRUE(bit == 0 || bit == 1) << bit;
}

TEST(RandomInputs, depend_on_the_seed_only) {
  const ir::Graph graph = lookup(1000);
  EXPECT_TRUE(identical(random_inputs(graph, 5)[0], random_inputs(graph, 5)[0]));
  EXPECT_FALSE(identical(random_inputs(graph, 5)[0], random_inputs(graph, 6)[0]));
}

TEST(ArrangeInputs, names_what_is_missing_unknown_or_of_another_type) {
  const ir::Graph graph = lookup(7);
  NamedTensors named = name_inputs(graph, random_inputs(graph, 1));
  EXPECT_EQ(arrange_inputs(graph, named).size(), 2u);
  named["other"] = named["ids"];
  EXPECT_NE(message_of([&] { arrange_inputs(graph, named); }).find("no input 'other'"),
            std::string::npos);
  named.erase("other");
  named["ids"] = Tensor(DType::f32, {4, 8});
  EXPECT_EQ(message_of([&] { arrange_inputs(graph, named); }),
            "input 'ids' must be i64[4,8], found f32[4,8]");
  named.erase("ids");
  EXPECT_NE(message_of([&] { arrange_inputs(graph, named); }).find("'ids' (i64[4,8])"),
            std::string::npos);
}

TEST(Load, binds_sizes_and_says_which_are_missing) {
  EXPECT_NE(message_of([] {
              require_concrete(load_model("examples/gpt_block.tsr", two_threads()));
            }).find("--bind B="),
            std::string::npos);
  Options options = two_threads();
  options.bind = {{"B", 1}, {"S", 4}};
  const ir::Graph graph = load_model("examples/gpt_block.tsr", options);
  EXPECT_EQ(graph.type(graph.outputs()[0].value).to_string(), "f32[1,4,64]");
}

TEST(Load, refuses_to_bind_what_is_not_there) {
  Options options = two_threads();
  options.bind = {{"N", 1}};
  EXPECT_EQ(message_of([&] { load_model("examples/gpt_block.tsr", options); }),
            "--bind N: no input has such a dimension (there are B, S)");
}

TEST(Load, takes_sizes_from_the_inputs_given) {
  const NamedTensors given{{"x", Tensor(DType::f32, {2, 3, 64})}};
  const ir::Graph graph = load_model("examples/gpt_block.tsr", two_threads(), given);
  EXPECT_EQ(graph.type(graph.outputs()[0].value).to_string(), "f32[2,3,64]");
}

TEST(Compare, treats_equal_non_finite_values_as_equal_and_others_as_different) {
  const double inf = std::numeric_limits<double>::infinity();
  const auto tensor = [](std::vector<double> v) {
    const auto n = static_cast<int64_t>(v.size());
    return Tensor::from_floats(v, {n});
  };
  EXPECT_EQ(compare(tensor({1, inf, NAN}), tensor({1, inf, NAN})).error, 0);
  EXPECT_EQ(compare(tensor({1, 2}), tensor({1, NAN})).error, inf);
  EXPECT_EQ(compare(tensor({3, 4}), tensor({3, 4.5})).error, 0.1);
  EXPECT_EQ(compare(tensor({3, 4}), tensor({3, 4.5})).worst_index, 1);
}

TEST(Check, finds_a_wrong_weight_and_names_the_output) {
  const auto program = [](const char* factor) {
    return lang::parse_program(std::string("program p\ninput x: f32[8]\noutput a = x + 1.0\n") +
                                   "output b = x * " + factor + "\n",
                               "p");
  };
  EXPECT_TRUE(check(program("2.0"), program("2.0"), two_threads()).same);
  const CheckReport report = check(program("2.0"), program("2.01"), two_threads());
  EXPECT_FALSE(report.same);
  EXPECT_EQ(report.outputs[report.worst_output].name, "b");
}

TEST(Optimize, brings_evidence) {
  const ir::Graph graph = load_model("examples/arithmetic.tsr", two_threads());
  OptimizeSettings settings;
  settings.measure_seconds = 0.05;
  const OptimizeReport report = optimize(graph, two_threads(), settings);
  ASSERT_TRUE(report.timing.has_value());
  EXPECT_GT(report.timing->first.median_ms, 0);
  ASSERT_TRUE(report.checked.has_value());
  EXPECT_TRUE(report.checked->same);
  EXPECT_FALSE(report.stop_reason.empty());
  EXPECT_FALSE(report.operators_before.empty());
}

TEST(Optimize, its_derivation_leads_to_the_written_model_only) {
  const Options options = two_threads();
  const ir::Graph graph = load_model("examples/arithmetic.tsr", options);
  OptimizeSettings settings;
  settings.measure = settings.check = false;
  const OptimizeReport report = optimize(graph, options, settings);
  ASSERT_FALSE(report.derivation.empty());
  const std::string path = testing::TempDir() + "derived.onnx";
  save_model(report.graph, path);
  const ir::Graph read = load_model(path, options);
  const std::string text = derivation_text(graph, report.derivation, options, 0);
  EXPECT_EQ(replay(graph, read, path, text, options).problem, "");
  EXPECT_NE(replay(graph, graph, path, text, options).problem, "");
  EXPECT_NE(replay(read, read, path, text, options).problem, "");
  rules::Derivation shorter = report.derivation;
  shorter.pop_back();
  EXPECT_NE(replay(graph, read, path, derivation_text(graph, shorter, options, 0), options).problem,
            "");
  EXPECT_THROW(replay(graph, read, path, "no derivation", options), UserError);
}

TEST(Plan, is_read_as_it_was_written) {
  const Options options = two_threads();
  const ir::Graph graph = load_model("examples/arithmetic.tsr", options);
  const std::string path = testing::TempDir() + "arithmetic.plan";
  write_plan(graph, path, options);
  const Plan plan = read_plan(path);
  EXPECT_EQ(plan.threads, 2);
  EXPECT_EQ(plan.processor, processor_name());
  EXPECT_EQ(options_for(path, {}).threads, 2);
  EXPECT_TRUE(check(graph, load_model(path, options), options).same);
  EXPECT_THROW(write_plan(graph, "arithmetic.onnx", options), UserError);
}

TEST(Plan, damage_is_an_error) {
  const std::string path = testing::TempDir() + "damaged.plan";
  for (const char* text : {"", "tessera plan 1\n", "tessera plan 2\n{}\n", "tessera plan 1\n[]\n",
                           "tessera plan 1\n{\"processor\": 1, \"threads\": 2}\n"}) {
    std::ofstream(path) << text;
    EXPECT_THROW(read_plan(path), UserError) << text;
  }
  for (const char* rest : {"", "\n", "\nnonsense"}) {
    std::ofstream(path) << "tessera plan 1\n{\"processor\": \"x\", \"threads\": 2}" << rest;
    EXPECT_THROW(load_model(path, {}), UserError) << rest;
  }
}

TEST(Optimize, leaves_symbolic_sizes_unmeasured_and_says_so) {
  const ir::Graph graph = load_model("examples/gpt_block.tsr", two_threads());
  const OptimizeReport report = optimize(graph, two_threads());
  EXPECT_FALSE(report.timing.has_value());
  EXPECT_NE(report.not_measured.find("--bind"), std::string::npos);
}

}  // namespace
}  // namespace tessera::api
