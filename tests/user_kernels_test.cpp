// SPDX-License-Identifier: Apache-2.0
// Kernels of users in models: recognized, compiled, right; refused with a place when they are not.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "api/engine.h"
#include "api/kernels.h"
#include "api/load.h"
#include "api/plan_file.h"
#include "lang/parse.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "ops/evaluate.h"
#include "random_graph.h"
#include "tile/program.h"

namespace tessera {
namespace {

api::Options forced(int threads = 2) {
  api::Options options;
  options.threads = threads;
  options.kernels = api::load_kernels("examples/tile", options);
  options.force_kernels = true;
  return options;
}

std::map<std::string, int> places(const api::Program& program) {
  std::map<std::string, int> result;
  for (const api::KernelChoice& k : program.kernels()) result[k.name] = k.places;
  return result;
}

double worst(const ir::Graph& graph, api::Program& program, const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> expected = ops::evaluate(graph, inputs), found = program.run(inputs);
  double difference = 0;
  for (size_t k = 0; k < found.size(); ++k)
    difference = std::max(difference, testing::worst_difference(found[k], expected[k]));
  return difference;
}

constexpr const char* every_kernel = R"(
program every_kernel
input x: f32[2, 19, 53]
param scale: f32[53] = normal(seed=1)
param bias: f32[53] = normal(seed=2)
param w: f32[53, 41] = normal(seed=3, scale=0.2)
param b: f32[41] = normal(seed=4)
param s: f32[41] = normal(seed=5)
n = layer_normalization(x, scale, bias)[0]
h = relu(n @ w + b)
g = gelu(h) * s
output y = softmax(g, axis=-1)
output changes = reduce_sum(cast(n[:, :, 0:52] * n[:, :, 1:53] < 0, f32), axes=[-1], keepdims=0)
)";

TEST(UserKernels, are_used_wherever_their_references_match_in_an_onnx_model) {
  const ir::Graph written = lang::parse_program(every_kernel, "every_kernel");
  const ir::Graph graph = onnx::import_model_bytes(onnx::export_model_bytes(written, {}), "", {});
  for (int threads : {1, 2}) {
    const auto program = api::compile(graph, forced(threads));
    for (const auto& [name, count] : places(*program)) EXPECT_EQ(count, 1) << name;
    EXPECT_EQ(program->kernels().size(), 5U);
    EXPECT_LT(worst(graph, *program, api::random_inputs(graph, 3)), 1e-4);
  }
}

TEST(UserKernels, match_only_what_is_the_same_function) {
  const api::Options options = forced();
  const auto used = [&](const std::string& text) {
    const ir::Graph graph = lang::parse_program(text, "test");
    const auto program = api::compile(graph, options);
    EXPECT_LT(worst(graph, *program, api::random_inputs(graph, 3)), 1e-4) << text;
    int count = 0;
    for (const auto& [name, n] : places(*program)) count += n;
    return count;
  };
  EXPECT_EQ(used("input x: f32[7, 9]\noutput y = softmax(x, axis=-1)"), 1);
  EXPECT_EQ(used("input x: f32[9]\noutput y = softmax(x, axis=-1)"), 1);
  EXPECT_EQ(used("input x: f32[2, 3, 4, 5]\noutput y = softmax(x, axis=3)"), 1);
  EXPECT_EQ(used("input x: f32[7, 9]\noutput y = softmax(x, axis=0)"), 0);
  EXPECT_EQ(used("input x: f64[7, 9]\noutput y = softmax(x, axis=-1)"), 0);
  const std::string norm = "input x: f32[7, 9]\nparam s: f32[9] = normal(seed=1)\n";
  EXPECT_EQ(used(norm + "output y = layer_normalization(x, s, s)"), 1);
  EXPECT_EQ(used(norm + "output y = layer_normalization(x, s, s, epsilon=1e-2)"), 0);
  EXPECT_EQ(used(norm + "output y = s * gelu(x)"), 1);
  EXPECT_EQ(used(norm + "output y = gelu(x) * reshape(x[:, 0:1], [7, 1])"), 0);
  EXPECT_EQ(used("input x: f32[6, 8]\noutput y = reduce_sum(cast(x[:, 0:7] * x[:, 1:8] < 1, f32), "
                 "axes=[-1], keepdims=0)"),
            0);
}

TEST(UserKernels, compute_random_fused_graphs) {
  const api::Options options = forced();
  int used = 0;
  const auto difference = [&](const ir::Graph& graph, const std::vector<Tensor>& inputs) {
    const auto program = api::compile(graph, options);
    for (const auto& [name, count] : places(*program)) used += count;
    return worst(graph, *program, inputs);
  };
  EXPECT_EQ(testing::find_counterexample(500, 60, 2e-4, difference), "");
  EXPECT_GT(used, 10);
}

TEST(UserKernels, are_chosen_by_measurement_and_kept_in_plans) {
  api::Options options = forced(1);
  options.force_kernels = false;
  const ir::Graph graph = lang::parse_program(every_kernel, "every_kernel");
  const auto program = api::compile(graph, options);
  for (const api::KernelChoice& k : program->kernels()) {
    ASSERT_TRUE(k.ratio.has_value()) << k.name;
    EXPECT_EQ(k.used, k.ratio_high < 1) << k.name;
  }
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("kernels_{}.plan", getpid())).string();
  std::vector<api::KernelChoice> choices(1);
  choices[0].name = "layer_norm";
  choices[0].used = true;
  api::write_plan(graph, path, api::with_chosen_kernels(options, choices));
  const api::Options planned = api::options_for(path, {});
  const ir::Graph loaded = api::load_model(path, planned);
  const auto again = api::compile(loaded, planned);
  EXPECT_EQ(places(*again), (std::map<std::string, int>{{"layer_norm", 1}}));
  EXPECT_LT(worst(loaded, *again, api::random_inputs(loaded, 3)), 1e-4);
  std::filesystem::remove(path);
}

std::string refusal(const std::string& text) {
  try {
    api::read_kernel(text, "mine.tile", {});
  } catch (const UserError& e) {
    return e.what();
  }
  return "no error";
}

TEST(UserKernels, are_refused_with_the_line_that_is_wrong) {
  const std::string head = "program twice(x: f32[N]) -> (y: f32[N])\ngrid i < N\n";
  const std::string tail = "\nreference\nsizes N\ninput x: f32[N]\noutput y = x + x\n";
  EXPECT_EQ(refusal(head + "y[i] = x[i] * 2.0" + tail), "no error");
  EXPECT_TRUE(refusal(head + "y[i] = x[i] * 3.0" + tail).starts_with("mine.tile:3: 'y' is 3.56"))
      << refusal(head + "y[i] = x[i] * 3.0" + tail);
  EXPECT_EQ(refusal(head + "y[i] = x[i] * two" + tail), "mine.tile:3:8: mul of f32 and i64");
  EXPECT_EQ(refusal(head + "y[i] = x[i] * 2.0"),
            "mine.tile:1: there is no reference: what does the program compute?");
  EXPECT_EQ(refusal(head + "y[i] = x[i] * 2.0" +
                    "\nreference\nsizes N\ninput x: f32[N]\noutput y = x + z\n")
                .substr(0, 20),
            "mine.tile:7:16: unkn");
  EXPECT_EQ(refusal(head + "y[i] = x[i] * 2.0\nreference\nsizes N\ninput z: f32[N]\noutput y = z"),
            "mine.tile:5: the reference's input 0 is 'z: f32[1]', the program's 'x: f32[1]'");
  EXPECT_TRUE(refusal(head + "y[i] = x[i + 1]" + tail)
                  .starts_with("mine.tile:3: index 1 of 'x' is outside of [0, 1)"));
  // Half of the elements are never stored: what they hold is chance.
  EXPECT_TRUE(
      refusal(head + "y[i | i < 3] = x[i] * 2.0" + tail).starts_with("mine.tile:3: 'y' is"));
}

TEST(UserKernels, meet_blocks_of_nothing_but_infinities) {
  std::ifstream file("examples/tile/softmax.tile");
  std::stringstream stream;
  stream << file.rdbuf();
  std::string text = stream.str();
  const size_t at = text.find("-3.4028234e38");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 13, "-inf");
  EXPECT_TRUE(refusal(text).starts_with("mine.tile:14: 'y' is")) << refusal(text);
}

TEST(UserKernels, of_the_tutorial_are_right) {
  std::ifstream file("docs/tile.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string document = text.str();
  const std::regex block("```tile\n([^`]*)```");
  int checked = 0;
  for (std::sregex_iterator at(document.begin(), document.end(), block), end; at != end; ++at) {
    EXPECT_NO_THROW(api::read_kernel((*at)[1], "docs/tile.md", {})) << (*at)[1];
    ++checked;
  }
  EXPECT_GE(checked, 2);
}

}  // namespace
}  // namespace tessera
