// SPDX-License-Identifier: Apache-2.0
// Runs ONNX's node tests (folders with model.onnx and test_data_set_*/) through the importer on the
// two reference evaluators, on the CPU engine and once more after export, compares with the
// expected outputs, and lists which pass, which are refused and why. A wrong answer makes the exit
// code 1.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "backend/cpu/target.h"
#include "base/check.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "ops/evaluate.h"
#include "ops/registry.h"
#include "plan/compile.h"

namespace {

namespace fs = std::filesystem;
using tessera::ErrorKind;
using tessera::Tensor;

std::string keep_folder;  // where exported models are left, for other programs to check

enum class Verdict { pass, refused, wrong };

struct Outcome {
  Verdict verdict = Verdict::pass;
  std::string reason;
};

struct DataSet {
  std::vector<Tensor> inputs, outputs;
};

std::vector<Tensor> read_tensors(const fs::path& folder, const std::string& prefix) {
  std::vector<Tensor> tensors;
  for (int k = 0;; ++k) {
    const fs::path path = folder / fmt::format("{}_{}.pb", prefix, k);
    if (!fs::exists(path)) return tensors;
    tensors.push_back(tessera::onnx::read_tensor_file(path.string()));
  }
}

struct Tolerance {
  double relative, absolute;
};

// ONNX's backend tests use 1e-3 and 1e-7 for every type; half types get their own precision.
Tolerance tolerance(tessera::DType type) {
  if (type == tessera::DType::f16) return {4e-3, 1e-3};
  if (type == tessera::DType::bf16) return {3e-2, 1e-2};
  return {1e-3, 1e-7};
}

Outcome compare(const Tensor& found, const Tensor& expected, tessera::DType declared,
                const std::string& name) {
  if (declared != expected.type())
    return {Verdict::wrong, fmt::format("output '{}' has type {}, expected {}", name,
                                        to_string(declared), to_string(expected.type()))};
  if (found.shape() != expected.shape())
    return {Verdict::wrong, fmt::format("output '{}' has shape {}, expected {}", name,
                                        tessera::shape_to_string(found.shape()),
                                        tessera::shape_to_string(expected.shape()))};
  Tolerance limit = tolerance(declared);
  // The expected values were rounded, too: what should be 0 is noise of the largest element.
  double largest = 0;
  for (int64_t i = 0; tessera::is_float(declared) && i < expected.size(); ++i)
    if (std::isfinite(expected.float_at(i)))
      largest = std::max(largest, std::abs(expected.float_at(i)));
  limit.absolute = std::max(limit.absolute, 0x1p-23 * largest);
  int64_t differing = 0, first = -1;
  for (int64_t i = 0; i < expected.size(); ++i) {
    bool equal;
    if (tessera::is_float(declared)) {
      // The reference does not round; what a narrow type cannot hold is rounded before comparing.
      const double e = expected.float_at(i), f = tessera::round_to(found.float_at(i), declared);
      equal = (std::isnan(e) && std::isnan(f)) || e == f ||
              std::abs(e - f) <= limit.absolute + limit.relative * std::abs(e);
    } else {
      equal = expected.integer_at(i) == found.integer_at(i);
    }
    if (!equal && differing++ == 0) first = i;
  }
  if (differing == 0) return {};
  const auto text = [&](const Tensor& t) {
    return tessera::is_float(t.type()) ? fmt::format("{}", t.float_at(first))
                                       : fmt::format("{}", t.integer_at(first));
  };
  return {Verdict::wrong,
          fmt::format("output '{}': {} of {} elements differ, first at {}: {}, expected {}", name,
                      differing, expected.size(), first, text(found), text(expected))};
}

// Dimensions that the model leaves open, as the given inputs have them.
std::map<std::string, int64_t> bindings(const tessera::ir::Graph& graph,
                                        const std::vector<Tensor>& inputs) {
  std::map<std::string, int64_t> bind;
  for (size_t k = 0; k < inputs.size() && k < graph.inputs().size(); ++k) {
    const tessera::ir::Dims& shape = graph.node(graph.inputs()[k]).outputs[0].shape;
    for (size_t axis = 0; axis < shape.size() && axis < inputs[k].shape().size(); ++axis)
      if (const auto symbol = shape[axis].as_symbol()) bind[*symbol] = inputs[k].shape()[axis];
  }
  return bind;
}

// Reads the inputs only when the model can be imported: its types say why they may be no tensors.
tessera::ir::Graph import(const std::string& path, const fs::path& folder, DataSet& data) {
  tessera::onnx::ImportOptions options;
  const std::vector<std::string> names = tessera::onnx::input_names(path);
  const auto with_values = [&] {
    for (size_t k = 0; k < names.size() && k < data.inputs.size(); ++k)
      options.values[names[k]] = data.inputs[k];
    return tessera::onnx::import_model(path, options);
  };
  const auto once = [&] {
    try {
      return tessera::onnx::import_model(path, options);
    } catch (const tessera::UserError& e) {
      if (e.kind() != ErrorKind::needs_value) throw;
    }
    data.inputs = read_tensors(folder, "input");
    return with_values();
  };
  tessera::ir::Graph graph = once();
  data.inputs = read_tensors(folder, "input");
  options.bind = bindings(graph, data.inputs);
  return options.bind.empty() ? std::move(graph) : once();
}

enum class Engine { tree, loops, cpu, exported };
const char* name_of(Engine engine) {
  switch (engine) {
    case Engine::tree: return "tree";
    case Engine::loops: return "loops";
    case Engine::cpu: return "cpu";
    case Engine::exported: return "export";
  }
  return "";
}

// Rounding to integers is not continuous: quantized results are those of the operator's own types.
bool is_quantized(const tessera::ir::Graph& graph) {
  for (const tessera::ir::Node& n : graph.nodes())
    if (n.op.find("quantize") != std::string::npos || n.op.starts_with("qlinear")) return true;
  return false;
}

std::vector<Tensor> run(const tessera::ir::Graph& graph, const std::vector<Tensor>& inputs,
                        Engine engine) {
  if (engine == Engine::cpu) {
    const auto target = tessera::backend::cpu::make_target();
    return tessera::plan::compile(graph, *target, {.threads = 1})->run(inputs);
  }
  tessera::ops::EvalOptions options;
  options.wide = !is_quantized(graph);
  options.tier = engine != Engine::loops ? tessera::ops::Tier::tree : tessera::ops::Tier::loops;
  return tessera::ops::evaluate(graph, inputs, options);
}

// The graph as it comes back from an exported model; exporting that must change nothing more.
tessera::ir::Graph reimported(const tessera::ir::Graph& graph, const std::vector<Tensor>& inputs) {
  const tessera::onnx::ExportOptions options;
  const auto read = [&](const std::string& bytes) {
    tessera::onnx::ImportOptions importing;
    for (size_t k = 0; k < inputs.size(); ++k)
      importing.values[graph.node(graph.inputs()[k]).name] = inputs[k];
    try {
      return tessera::onnx::import_model_bytes(bytes, {}, importing);
    } catch (const tessera::UserError& e) {
      throw std::runtime_error(fmt::format("the exported model is refused: {}", e.what()));
    }
  };
  tessera::ir::Graph once = read(tessera::onnx::export_model_bytes(graph, options));
  const tessera::ir::Graph twice = read(tessera::onnx::export_model_bytes(once, options));
  if (once.node_count() != twice.node_count())
    throw std::runtime_error(fmt::format("export is not idempotent: {} nodes, then {}",
                                         once.node_count(), twice.node_count()));
  return once;
}

bool is_random(const tessera::ir::Graph& graph) {
  for (const tessera::ir::Node& n : graph.nodes())
    if (tessera::ops::registry().get(n.op).impure) return true;
  return false;
}

Outcome run_data_set(const fs::path& test, const fs::path& folder, Engine engine) {
  DataSet data;
  const tessera::ir::Graph graph = import((test / "model.onnx").string(), folder, data);
  if (engine == Engine::exported && !keep_folder.empty()) {
    const std::string name = test.filename().string() + ".onnx";
    tessera::onnx::export_model(graph, (fs::path(keep_folder) / name).string(), {});
  }
  data.outputs = read_tensors(folder, "output");
  data.inputs.resize(graph.inputs().size());
  const std::vector<Tensor> found =
      run(engine == Engine::exported ? reimported(graph, data.inputs) : graph, data.inputs, engine);
  if (found.size() < data.outputs.size())
    return {Verdict::wrong,
            fmt::format("{} outputs, expected {}", found.size(), data.outputs.size())};
  for (size_t k = 0; k < data.outputs.size(); ++k) {
    const tessera::ir::GraphOutput& output = graph.outputs()[k];
    const tessera::DType declared = graph.type(output.value).dtype;
    // Random numbers are compared by type and shape only.
    Outcome outcome = compare(is_random(graph) ? data.outputs[k] : found[k], data.outputs[k],
                              declared, output.name);
    if (is_random(graph) && found[k].shape() != data.outputs[k].shape())
      outcome = {Verdict::wrong, "the shape of a random result differs"};
    if (outcome.verdict != Verdict::pass) return outcome;
  }
  return {};
}

Outcome run_test(const fs::path& test, Engine engine) {
  try {
    bool any = false;
    for (int set = 0;; ++set) {
      const fs::path folder = test / fmt::format("test_data_set_{}", set);
      if (!fs::exists(folder)) break;
      any = true;
      Outcome outcome = run_data_set(test, folder, engine);
      if (outcome.verdict != Verdict::pass) return outcome;
    }
    return any ? Outcome{} : Outcome{Verdict::refused, "no data set"};
  } catch (const tessera::UserError& e) {
    std::string reason = e.what();
    const std::string prefix = (test / "model.onnx").string() + ": ";
    if (reason.starts_with(prefix)) reason = reason.substr(prefix.size());
    return {Verdict::refused, reason};
  } catch (const std::exception& e) {
    return {Verdict::wrong, fmt::format("defect: {}", e.what())};
  }
}

struct Line {
  std::string test, op;
  std::map<Engine, Outcome> outcomes;
};

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string in_table(const std::string& text) {
  std::string escaped;
  for (char c : one_line(text)) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
  return escaped;
}

void write_failures(const std::string& path, const std::vector<Line>& lines) {
  std::ofstream out(path);
  for (const Line& line : lines)
    for (const auto& [engine, outcome] : line.outcomes)
      if (outcome.verdict != Verdict::pass)
        out << fmt::format("{}\t{}\t{}\t{}: {}\n", line.op, line.test, name_of(engine),
                           outcome.verdict == Verdict::wrong ? "WRONG" : "refused",
                           one_line(outcome.reason));
}

void write_document(const std::string& path, const std::vector<Line>& lines,
                    const std::vector<Engine>& engines) {
  std::ofstream out(path);
  out << "# ONNX node tests\n\nWritten by `tools/node_tests`; do not edit. Every test runs through "
         "the importer on the\nreference evaluators (`tree`, `loops`), on the CPU engine (`cpu`), "
         "and on the first of these after\nbeing exported and imported again (`export`).\n\n| "
         "engine | pass | refused | wrong |\n|---|---|---|---|\n";
  for (Engine engine : engines) {
    std::map<Verdict, int> counts;
    for (const Line& line : lines) ++counts[line.outcomes.at(engine).verdict];
    out << fmt::format("| {} | {} | {} | {} |\n", name_of(engine), counts[Verdict::pass],
                       counts[Verdict::refused], counts[Verdict::wrong]);
  }
  out << "\n## Refused or wrong\n\n| test | operator | engine | reason |\n|---|---|---|---|\n";
  for (const Line& line : lines) {
    std::set<std::string> said;
    for (const auto& [engine, outcome] : line.outcomes)
      if (outcome.verdict != Verdict::pass && said.insert(outcome.reason).second)
        out << fmt::format("| {} | {} | {} | {}{} |\n", line.test, line.op, name_of(engine),
                           outcome.verdict == Verdict::wrong ? "**wrong**: " : "",
                           in_table(outcome.reason));
  }
  out << "\n## Passing on all engines\n\n";
  for (const Line& line : lines) {
    const bool pass = std::all_of(line.outcomes.begin(), line.outcomes.end(),
                                  [](const auto& o) { return o.second.verdict == Verdict::pass; });
    if (pass) out << "- " << line.test << "\n";
  }
}

int usage() {
  std::fprintf(stderr,
               "usage: node_tests FOLDER [--filter TEXT] [--engines tree,loops,cpu,export]\n"
               "                  [--document OUT.md] [--failures OUT.tsv] [--slow SECONDS]\n"
               "                  [--keep FOLDER_FOR_EXPORTED_MODELS]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder, filter, document, failures, wanted = "tree,loops,cpu,export";
  double slow = 5;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--filter" && has_value) filter = argv[++i];
    else if (argument == "--engines" && has_value) wanted = argv[++i];
    else if (argument == "--document" && has_value) document = argv[++i];
    else if (argument == "--failures" && has_value) failures = argv[++i];
    else if (argument == "--keep" && has_value) keep_folder = argv[++i];
    else if (argument == "--slow" && has_value) slow = std::stod(argv[++i]);
    else if (!argument.starts_with("--") && folder.empty()) folder = argument;
    else return usage();
  }
  if (folder.empty()) return usage();
  if (!fs::is_directory(folder)) {
    std::printf("skipped: no node tests in '%s'\n", folder.c_str());
    return 77;
  }
  std::vector<Engine> engines;
  for (Engine engine : {Engine::tree, Engine::loops, Engine::cpu, Engine::exported}) {
    if (wanted.find(name_of(engine)) != std::string::npos) engines.push_back(engine);
  }
  std::vector<fs::path> tests;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (fs::exists(entry.path() / "model.onnx") &&
        entry.path().filename().string().find(filter) != std::string::npos)
      tests.push_back(entry.path());
  std::sort(tests.begin(), tests.end());
  std::vector<Line> lines;
  std::map<Engine, std::map<Verdict, int>> counts;
  for (const fs::path& test : tests) {
    Line line{test.filename().string(), "?", {}};
    try {
      line.op = tessera::onnx::main_operator((test / "model.onnx").string());
    } catch (const std::exception&) {  // the run below says what is wrong with the file
    }
    for (Engine engine : engines) {
      const auto start = std::chrono::steady_clock::now();
      Outcome outcome = run_test(test, engine);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      if (took.count() > slow)
        std::printf("slow: %s on %s: %.1f s\n", line.test.c_str(), name_of(engine), took.count());
      if (outcome.verdict == Verdict::wrong)
        std::printf("WRONG: %s on %s: %s\n", line.test.c_str(), name_of(engine),
                    outcome.reason.c_str());
      else if (!filter.empty() && outcome.verdict == Verdict::refused)
        std::printf("refused: %s on %s: %s\n", line.test.c_str(), name_of(engine),
                    outcome.reason.c_str());
      ++counts[engine][outcome.verdict];
      line.outcomes[engine] = std::move(outcome);
    }
    lines.push_back(std::move(line));
    std::fflush(stdout);
  }
  if (!failures.empty()) write_failures(failures, lines);
  if (!document.empty()) write_document(document, lines, engines);
  int wrong = 0;
  for (Engine engine : engines) {
    auto& c = counts[engine];
    std::printf("%-5s: %d of %zu pass, %d refused, %d wrong\n", name_of(engine), c[Verdict::pass],
                tests.size(), c[Verdict::refused], c[Verdict::wrong]);
    wrong += c[Verdict::wrong];
  }
  return wrong > 0 ? 1 : 0;
}
