// SPDX-License-Identifier: Apache-2.0
// What programs mean, and what is said about those that mean nothing.
#include "lang/parse.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/check.h"
#include "lang/literal.h"
#include "lang/print.h"
#include "ops/evaluate.h"
#include "ops/hash.h"
#include "ops/verify.h"

namespace tessera::lang {
namespace {

ir::Graph parse(const std::string& text) {
  const ir::Graph graph = parse_program(text, "test.tsr");
  ops::verify(graph);
  const std::string printed = print(graph);
  EXPECT_EQ(ops::identity_hash(graph), ops::identity_hash(parse_program(printed, "printed.tsr")))
      << printed;
  EXPECT_EQ(printed, print(parse_program(printed, "printed.tsr")));
  return graph;
}

std::vector<Tensor> run(const std::string& text, std::vector<Tensor> inputs = {}) {
  return ops::evaluate(parse(text), inputs, {.tier = ops::Tier::tree});
}

std::vector<double> floats(const Tensor& t) {
  std::vector<double> values;
  for (int64_t i = 0; i < t.size(); ++i) values.push_back(t.float_at(i));
  return values;
}

Tensor numbers(Shape shape, std::vector<double> values, DType type = DType::f32) {
  return Tensor::from_floats(values, std::move(shape), type);
}

void expect_error(const std::string& text, const std::string& message) {
  try {
    parse_program(text, "test.tsr");
    ADD_FAILURE() << "accepted: " << text;
  } catch (const UserError& e) {
    EXPECT_NE(std::string(e.what()).find(message), std::string::npos) << e.what();
  }
}

TEST(Parse, evaluates_infix_expressions) {
  const Tensor x = numbers({3}, {1, 2, 3});
  const auto value = [&](const std::string& expression) {
    return floats(run("input x: f32[3]\noutput y = " + expression, {x})[0]);
  };
  using V = std::vector<double>;
  EXPECT_EQ(value("2 * x + 1"), (V{3, 5, 7}));
  EXPECT_EQ(value("1 - x / 2"), (V{0.5, 0, -0.5}));
  EXPECT_EQ(value("-x ** 2"), (V{-1, -4, -9}));
  EXPECT_EQ(value("-(x - 1) * -x"), (V{0, 2, 6}));
  EXPECT_EQ(value("where(x >= 2, x, 0)"), (V{0, 2, 3}));
  EXPECT_EQ(value("x * (2 ** 3 - 1 / 2)"), (V{7.5, 15, 22.5}));
  EXPECT_EQ(value("x * sqrt(16)"), (V{4, 8, 12}));
}

TEST(Parse, indexes_and_slices) {
  const Tensor x = numbers({2, 3}, {0, 1, 2, 3, 4, 5});
  const auto value = [&](const std::string& expression) {
    const Tensor t = run("input x: f32[2, 3]\noutput y = " + expression, {x})[0];
    return std::pair(t.shape(), floats(t));
  };
  using P = std::pair<Shape, std::vector<double>>;
  EXPECT_EQ(value("x[1]"), (P{{3}, {3, 4, 5}}));
  EXPECT_EQ(value("x[:, 0:2]"), (P{{2, 2}, {0, 1, 3, 4}}));
  EXPECT_EQ(value("x[..., -1]"), (P{{2}, {2, 5}}));
  EXPECT_EQ(value("x[0, ::2]"), (P{{2}, {0, 2}}));
  EXPECT_EQ(value("x[:, ::-1]"), (P{{2, 3}, {2, 1, 0, 5, 4, 3}}));
  EXPECT_EQ(value("x[:, -2:]"), (P{{2, 2}, {1, 2, 4, 5}}));
  EXPECT_EQ(value("x.T"), (P{{3, 2}, {0, 3, 1, 4, 2, 5}}));
  EXPECT_EQ(value("reshape(x, [dim(x, 1), 2])[2]"), (P{{2}, {4, 5}}));
}

TEST(Parse, inlines_functions_with_several_results) {
  const std::string text = R"(
fn twice(x, by=2) = x * by
fn both(x) {
  y = twice(x)
  return y, twice(x, by=3)
}
input x: f32[2]
a, b = both(x)
output a, b
output c = a + b
)";
  const auto results = run(text, {numbers({2}, {1, 10})});
  EXPECT_EQ(floats(results[0]), (std::vector<double>{2, 20}));
  EXPECT_EQ(floats(results[1]), (std::vector<double>{3, 30}));
  EXPECT_EQ(floats(results[2]), (std::vector<double>{5, 50}));
  EXPECT_EQ(parse(text).outputs()[2].name, "c");
}

TEST(Parse, repeats_with_carried_variables_and_lists_of_weights) {
  const std::string text = R"(
input x: f32[2]
param w[3]: f32[2] = full(index + 1)
total = 0 * x
for i in 0..3 {
  step = x * w[i]        # new in every round
  total = total + step
}
output total
)";
  EXPECT_EQ(floats(run(text, {numbers({2}, {1, 10})})[0]), (std::vector<double>{6, 60}));
}

TEST(Parse, keeps_symbolic_sizes) {
  const ir::Graph graph = parse(R"(
sizes N, M
input x: f32[N, 2*M]
output y = reshape(x, [N * 2, x.shape[1] // 2])
output z = x[:, 0:M]
)");
  EXPECT_EQ(spell_type(graph.type(graph.outputs()[0].value)), "f32[2*N, M]");
  EXPECT_EQ(spell_type(graph.type(graph.outputs()[1].value)), "f32[N, M]");
}

TEST(Parse, runs_regions) {
  const std::string text = R"(
input xs: f32[3, 2]
param start: f32[2] = zeros()
scale = 2
last, all = scan(start, xs, states=1, scans=1, length=[3]) { h, x ->
  h = h + scale * x
  return h, h
}
output last, all
)";
  const auto results = run(text, {numbers({3, 2}, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(floats(results[0]), (std::vector<double>{18, 24}));
  EXPECT_EQ(floats(results[1]), (std::vector<double>{2, 4, 8, 12, 18, 24}));
}

TEST(Parse, weights_are_seeded) {
  const std::string text = R"(
param a: f32[8] = normal(seed=3, scale=0.5)
param b: f32[8] = normal(seed=3, scale=0.5)
param c: f32[8]
param d: i32[4] = uniform(seed=1, low=-2, high=2)
param e: bool[2] = [true, false]
param f: f64[2, 1] = [[1.5], [-inf]]
output a, b, c, d, e, f
)";
  const auto first = run(text), second = run(text);
  for (size_t k = 0; k < first.size(); ++k) EXPECT_TRUE(identical(first[k], second[k]));
  EXPECT_TRUE(identical(first[0], first[1]));
  EXPECT_FALSE(identical(first[0], first[2]));
  EXPECT_EQ(first[5].float_at(1), -HUGE_VAL);
}

TEST(Parse, prints_constants_bit_for_bit) {
  ops::Builder b;
  const std::vector<double> awkward{0.1, -0.0, 1e-45, 3.4028235e38, -HUGE_VAL, std::nan(""), 7};
  for (DType type : {DType::f32, DType::f16, DType::bf16, DType::f64})
    b.output(std::string(to_string(type)) + "_out",
             b.constant(Tensor::from_floats(awkward, {7}, type)));
  Tensor payload(DType::f32, {2});
  payload.mutable_as<uint32_t>()[1] = 0x7fc12345;  // a NaN that has no spelling
  b.output("payload", b.constant(payload));
  b.output("large", b.constant(random_tensor(Distribution::normal, DType::f32, {10, 9}, 1, 0, 1)));
  b.output("big", b.constant(Tensor::from_integers(std::vector<int64_t>{-1, 5}, {2}, DType::u64)));
  b.output("empty", b.constant(Tensor(DType::i8, {1000000000, 0})));
  const std::string text = print(b.graph());
  EXPECT_EQ(ops::identity_hash(b.graph()), ops::identity_hash(parse_program(text, "x"))) << text;
}

TEST(Parse, keeps_large_weights_in_a_file_beside_the_program) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("tessera_lang_{}", getpid());
  std::filesystem::create_directory(folder);
  ops::Builder b;
  b.output("a",
           b.constant(random_tensor(Distribution::normal, DType::bf16, {30, 4}, 1, 0, 1), "w"));
  b.output("b", b.constant(random_tensor(Distribution::normal, DType::f32, {99}, 2, 0, 1), "w"));
  write_program(b.graph(), folder / "p.tsr");
  EXPECT_TRUE(std::filesystem::exists(folder / "p.weights.npz"));
  EXPECT_LT(std::filesystem::file_size(folder / "p.tsr"), 300u);
  EXPECT_EQ(ops::identity_hash(b.graph()), ops::identity_hash(parse_file(folder / "p.tsr")));
  std::filesystem::remove_all(folder);
}

TEST(Parse, keeps_names_that_are_no_identifiers) {
  const std::string text =
      "input `a/b:0`: f32[2]\ninput `f32`: f32[2]\ninput `x\\x60y`: f32[2]\n"
      "output `out put` = `a/b:0` + `f32` + `x\\x60y`\n";
  const ir::Graph graph = parse(text);
  EXPECT_EQ(graph.node(graph.inputs()[0]).name, "a/b:0");
  EXPECT_EQ(graph.node(graph.inputs()[2]).name, "x`y");
  EXPECT_EQ(graph.outputs()[0].name, "out put");
}

TEST(Parse, binds_inputs_by_name) {
  const Tensor x = numbers({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(floats(run("input x: f32[2, 2]\noutput y = clip(x, high=3, low=2)", {x})[0]),
            (std::vector<double>{2, 2, 3, 3}));
}

TEST(Parse, carries_barriers_along) {
  const ir::Graph graph = parse(R"(
input x: f32[2]
y: opaque, z: f32[3] = barrier(x, operator="Custom", node="\x00\xff\"", arguments=1, outputs=[1, 1])
w: opaque = barrier(y, _, z, operator="Other", node="", arguments=3, outputs=[1])
output w
)");
  EXPECT_EQ(std::get<std::string>(graph.nodes()[1].attrs.at("node")), std::string("\0\xff\"", 3));
  EXPECT_FALSE(graph.nodes()[2].inputs[1].present());
}

TEST(Parse, believes_stated_types_where_data_decides) {
  const ir::Graph graph = parse(
      "input boxes: f32[1, 6, 4]\ninput scores: f32[1, 1, 6]\n"
      "y: i64[2, 3] = non_max_suppression(boxes, scores)\noutput y");
  EXPECT_EQ(spell_type(graph.type(graph.outputs()[0].value)), "i64[2, 3]");
}

TEST(Parse, binds_sizes) {
  const std::string text = "sizes N, M\ninput x: f32[N, M]\noutput y = reshape(x, [N * M])";
  const ir::Graph graph = parse_program(text, "x", {{"N", 3}});
  EXPECT_EQ(spell_type(graph.type(graph.outputs()[0].value)), "f32[3*M]");
  EXPECT_THROW(parse_program(text, "x", {{"K", 3}}), UserError);
}

TEST(ParseError, names_the_place_and_gives_a_hint) {
  expect_error("input x: f32[2]\noutput y = xx + 1",
               "test.tsr:2:12: unknown name 'xx' (hint: did you mean 'x'?)");
  expect_error("input x: f32[2]\noutput y = x @",
               "test.tsr:2:15: expected an expression, found the end");
  expect_error("input x: f32[2, 3]\ninput y: f32[4, 5]\noutput z = x @ y",
               "test.tsr:3:14: matmul: inner dimensions differ");
  expect_error("input x: f32[2]\noutput y = softmax(x, dim=1)",
               "test.tsr:2:23: 'softmax' has no attribute 'dim' (hint: its attributes are axis)");
  expect_error("input x: f32[2]\noutput y = sotfmax(x)",
               "unknown function or operator 'sotfmax' (hint: did you mean 'softmax'?)");
  expect_error("input x: f32[2]\ny: f32[3] = x + 1\noutput y",
               "'y' is stated as f32[3] but is f32[2]");
  expect_error("input x: f32[2]", "the program has no outputs");
  expect_error("input x: i32[2]\noutput y = x + 1.5", "test.tsr:2:14: 1.5 is no i32");
  expect_error("input x: f32[2]\ninput x: f32[2]\noutput x", "input 'x' is declared twice");
  expect_error("param w: f32[2] = [1, 2, 3]\noutput w",
               "test.tsr:1:1: expected a list of 2 along axis 0, found one of 3");
  expect_error("param w: f32[2] = elided(\"00\")\noutput w",
               "unknown function or operator 'elided'");
  expect_error("param w: f32[2] = file(\"../x.npz\", \"w\")\noutput w", "in the program's folder");
  expect_error("input x: f32[2]\noutput y = x $ 1", "test.tsr:2:14: unexpected character '$'");
  expect_error("output y = \"abc", "a string without its closing quote");
  expect_error("x = 3 +* 4", "test.tsr:1:8: expected an expression, found '*'");
}

TEST(ParseError, bounds_what_a_hostile_program_can_ask_for) {
  expect_error("fn f(x) = f(x)\ninput x: f32[1]\noutput y = f(x)", "nested too deeply");
  expect_error("input x: f32[1]\nfor i in 0..1000000000 { x = x }\noutput x", "too much");
  expect_error("output y = " + std::string(100000, '('), "nested too deeply");
  expect_error("output y = " + std::string(100000, '-') + "1", "nested too deeply");
  std::string chain = "output y = 1";
  for (int k = 0; k < 100000; ++k) chain += " + 1";
  expect_error(chain, "nested too deeply");
  expect_error("param w: f32[99999999999, 99999999999]\noutput w", "too large");
  expect_error("param w: f32[99999, 99999]\noutput w", "too large");
  expect_error("a = [1]\nfor i in 0..100 { a = [a, a] }", "too much");
  expect_error("sizes N, M\nfor i in 0..100 { N = N * (N + M) }", "too many terms");
  expect_error("sizes N\nfor i in 0..100 { N = min(N + 1, div(N, 2)) }", "too many terms");
  expect_error("param w: f32[-3]\noutput w", "a dimension of -3");
  std::string blocks;
  for (int k = 0; k < 100000; ++k) blocks += "for i in 0..1 {";
  expect_error(blocks, "nested too deeply");
}

}  // namespace
}  // namespace tessera::lang
