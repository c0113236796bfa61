// SPDX-License-Identifier: Apache-2.0
// The program `tessera` as scripts see it: exit codes, and one JSON object on stdout.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace tessera {
namespace {

struct Called {
  int code = -1;
  std::string out;
};

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("TESSERA_BINARY_DIR");
    if (folder == nullptr) GTEST_SKIP() << "TESSERA_BINARY_DIR is not set: run through ctest";
    program_ = std::string(folder) + "/tessera";
    if (!std::filesystem::exists(program_)) GTEST_SKIP() << program_ << " is not built";
    folder_ = std::filesystem::temp_directory_path() / ("tessera_cli_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Called call(const std::string& arguments, const std::string& redirect = "2>/dev/null") const {
    Called result;
    const std::string command =
        "cd " + folder_.string() + " && " + program_ + " " + arguments + " " + redirect;
    FILE* pipe = popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    for (size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
      result.out.append(buffer.data(), n);
    result.code = WEXITSTATUS(pclose(pipe));
    return result;
  }
  nlohmann::json json(const std::string& arguments) const {
    const Called called = call(arguments + " --json");
    EXPECT_EQ(called.code, 0) << arguments;
    return nlohmann::json::parse(called.out);
  }

  std::string program_;
  std::filesystem::path folder_;
};

TEST_F(Cli, lists_models_rules_and_devices_as_one_json_object) {
  EXPECT_EQ(json("zoo").at("models").size(), 12u);
  const auto rules = json("rules list").at("rules");
  ASSERT_FALSE(rules.empty());
  for (const char* key :
       {"name", "left", "right", "conditions", "domain", "mode", "status", "family"})
    EXPECT_TRUE(rules[0].contains(key)) << key;
  EXPECT_GT(json("devices").at("devices")[0].at("gflops").get<double>(), 0);
}

TEST_F(Cli, optimizes_a_model_that_stays_the_same) {
  ASSERT_EQ(call("zoo nasrnn --seq 1 -o a.onnx").code, 0);
  const auto report = json("optimize a.onnx -o b.onnx --budget 1s");
  EXPECT_LT(report.at("worst_error").at("error").get<double>(), 1e-4);
  EXPECT_GT(report.at("measured").at("before").at("median_ms").get<double>(), 0);
  EXPECT_TRUE(report.contains("stop_reason"));
  EXPECT_EQ(call("check a.onnx b.onnx").code, 0);
}

TEST_F(Cli, uses_kernels_of_a_folder) {
  std::filesystem::create_directories(path("kernels"));
  std::ofstream(path("kernels/double.tile"))
      << "program double(x: f32[N]) -> (y: f32[N])\ngrid i < N\ny[i] = x[i] + x[i]\n"
         "reference\nsizes N\ninput x: f32[N]\noutput y = x * 2.0\n";
  std::ofstream(path("m.tsr")) << "input x: f32[3, 50]\noutput y = exp(x * 2.0)\n";
  EXPECT_EQ(json("kernels list kernels").at("kernels")[0].at("name"), "double");
  EXPECT_EQ(json("kernels add kernels/double.tile --bind N=99").at("kernels").size(), 1u);
  const auto run = json("run m.tsr --random 1 --no-optimize --kernels kernels --force-kernels");
  EXPECT_EQ(run.at("kernels")[0].at("places"), 1);
  EXPECT_EQ(run.at("kernels")[0].at("used"), true);
  EXPECT_EQ(call("check m.tsr m.tsr --kernels kernels").code, 0);
  std::ofstream(path("kernels/wrong.tile")) << "program wrong(x: f32[N]) -> (y: f32[N])\noops\n";
  EXPECT_EQ(call("bench m.tsr --kernels kernels").code, 2);
  EXPECT_EQ(call("bench m.tsr --kernels nowhere").code, 3);
}

TEST_F(Cli, tells_models_apart) {
  ASSERT_EQ(call("zoo nasrnn --seq 1 -o a.onnx").code, 0);
  ASSERT_EQ(call("zoo nasrnn --seq 1 --seed 2 -o b.onnx").code, 0);
  EXPECT_EQ(call("check a.onnx b.onnx").code, 1);
}

TEST_F(Cli, runs_on_files_and_seeds_alike) {
  ASSERT_EQ(call("zoo nasrnn --seq 1 -o a.onnx").code, 0);
  ASSERT_EQ(call("run a.onnx --random 3 --outputs y.npz").code, 0);
  EXPECT_TRUE(std::filesystem::exists(path("y.npz")));
  const auto bench = json("bench a.onnx --budget 100ms --threads 1");
  for (const char* key : {"median_ms", "p10_ms", "p90_ms", "p99_ms", "runs", "peak_bytes"})
    EXPECT_TRUE(bench.at(key).is_number()) << key;
  EXPECT_EQ(bench.at("threads"), 1);
  EXPECT_EQ(bench.at("target"), "cpu");
}

TEST_F(Cli, gives_exit_code_2_for_what_the_user_did_wrong) {
  for (const char* arguments :
       {"", "frobnicate", "run", "run missing.onnx --random 1", "run a.txt --random 1",
        "bench a.onnx --budget soon", "bench a.onnx --target tpu", "optimize a.onnx --plan x.plan",
        "zoo no_such_model", "zoo resnet50 --seq 3", "check a.onnx a.onnx --tolerance much"})
    EXPECT_EQ(call(arguments).code, 2) << arguments;
}

TEST_F(Cli, refuses_a_file_that_is_no_model_with_one_line) {
  std::ofstream(path("bad.onnx")) << "not a model";
  const Called called = call("run bad.onnx --random 1 --quiet", "2>&1");
  EXPECT_EQ(called.code, 2);
  EXPECT_EQ(std::count(called.out.begin(), called.out.end(), '\n'), 1) << called.out;
}

}  // namespace
}  // namespace tessera
