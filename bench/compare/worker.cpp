// SPDX-License-Identifier: Apache-2.0
// Tessera as one engine of bench/compare: a process that holds one compiled model and obeys lines
// of JSON on stdin, one line of JSON as the answer to each (see engines.py).
//     bench_worker MODEL INPUTS.npz THREADS [--no-optimize] [--no-onednn] [--cache FOLDER]
//         [--tolerance REL]
// Inputs that do not exist yet are drawn from seed 1 and written, for every engine to use.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/load.h"
#include "api/optimize.h"
#include "api/precision.h"
#include "backend/cpu/target.h"
#include "base/check.h"
#include "cost/machine.h"
#include "plan/compile.h"
#include "runtime/scan_kernel.h"

namespace tessera::bench {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A launch inside a recurrence counts `repeat` times.
void add_launches(const runtime::Program& program, double repeat, json& list) {
  for (const runtime::Launch& l : program.launches) {
    if (const auto* scan = dynamic_cast<const runtime::ScanKernel*>(l.kernel.get())) {
      add_launches(scan->body(), repeat * static_cast<double>(scan->length()), list);
      continue;
    }
    list.push_back({{"name", l.name},
                    {"implementation", l.kernel->implementation()},
                    {"nodes", l.nodes},
                    {"repeat", repeat},
                    {"flops", l.flops},
                    {"bytes", l.bytes},
                    {"constant_bytes", l.constant_bytes}});
  }
}

// What the command line asks for.
struct Request {
  std::string model, inputs_file;
  int threads = 1;
  bool optimize = true;
  bool generated_only = false;  // no kernels of oneDNN
  std::string cache_folder;
  double tolerance = 0;
};

class Worker {
 public:
  explicit Worker(const Request& r) : threads_(r.threads) {
    api::Options options;
    options.threads = r.threads;
    options.cache_folder = r.cache_folder;
    options.generated_only = r.generated_only;
    const auto cache = std::make_shared<DiskCache>(DiskCacheOptions{.folder = r.cache_folder});
    const bool given = std::filesystem::exists(r.inputs_file);
    const api::NamedTensors known = given ? api::read_inputs(r.inputs_file) : api::NamedTensors{};
    const auto start = Clock::now();
    ir::Graph graph = api::load_model(r.model, options, known);
    import_seconds_ = seconds_since(start);
    inputs_ = given ? api::arrange_inputs(graph, known) : api::random_inputs(graph, 1);
    if (!given) api::write_outputs(r.inputs_file, api::name_inputs(graph, inputs_));
    const auto prepared = Clock::now();
    if (r.optimize) graph = api::optimize_quickly(graph, options);
    optimize_seconds_ = seconds_since(prepared);
    if (r.tolerance > 0) reduce(graph, options, r.tolerance);
    const auto optimized = Clock::now();
    plan_ = plan::compile(std::move(graph), *backend::cpu::make_target({.cache = cache}),
                          {.threads = r.threads,
                           .generated_only = r.generated_only,
                           .own_products = !r.optimize,
                           .reduced = options.reduced});
    compile_seconds_ = seconds_since(optimized);
    kernels_found_ = cache->hits();
    kernels_compiled_ = cache->misses();
  }

  json ready() const {
    json ready{{"load_s", import_seconds_ + optimize_seconds_ + compile_seconds_},
               {"import_s", import_seconds_},
               {"optimize_s", optimize_seconds_},
               {"compile_s", compile_seconds_},
               {"kernels_found", kernels_found_},
               {"kernels_compiled", kernels_compiled_},
               {"constant_bytes", plan_->constant_bytes()},
               {"arena_bytes", plan_->arena_bytes()}};
    if (!precision_.empty()) ready["precision"] = precision_;
    return ready;
  }

  json obey(const json& order) {
    const std::string what = order.at("do");
    if (what == "run") return run(order.at("runs"));
    if (what == "save") return save(order.at("file"));
    if (what == "peaks") return peaks();
    if (what == "kernels") return kernels(order.at("repeats"));
    if (what == "memory") return memory();
    fail_user(ErrorKind::invalid_input, "unknown order '{}'", what);
  }

 private:
  void reduce(const ir::Graph& graph, api::Options& options, double tolerance) {
    const api::PrecisionReport report = api::choose_precision(graph, options, tolerance);
    options.reduced = report.reduced;
    std::map<std::string_view, int> counts;
    for (const auto& [launch, reduced] : report.reduced) ++counts[to_string(reduced.precision)];
    precision_ = fmt::format("error {:.1e} within {:g};", report.error, tolerance);
    for (const auto& [name, count] : counts) precision_ += fmt::format(" {} in {},", count, name);
    precision_ += fmt::format(" {} more could be", report.kernels.size() - report.reduced.size());
  }

  json run(int runs) {
    json times = json::array();
    for (int k = 0; k < runs; ++k) {
      const auto start = Clock::now();
      const std::vector<Tensor> results = plan_->run(inputs_);
      times.push_back(1e3 * seconds_since(start));
    }
    return {{"ms", times}};
  }

  json save(const std::string& file) {
    const std::vector<Tensor> results = plan_->run(inputs_);
    api::NamedTensors named;
    for (size_t k = 0; k < results.size(); ++k) named[plan_->outputs()[k].name] = results[k];
    api::write_outputs(file, named);
    return json::object();
  }

  // What all threads together reach now: arithmetic, copies beyond the caches and in the
  // second-level one, reading what fits the third-level one.
  json peaks() const {
    constexpr size_t far = size_t{64} << 20, third = size_t{4} << 20, near = size_t{256} << 10;
    const auto together = [&](const std::function<double()>& measure) {
      std::vector<double> each(static_cast<size_t>(threads_));
      std::vector<std::thread> others;
      for (size_t k = 1; k < each.size(); ++k) others.emplace_back([&, k] { each[k] = measure(); });
      each[0] = measure();
      for (std::thread& t : others) t.join();
      double sum = 0;
      for (const double x : each) sum += x;
      return sum;
    };
    return {{"flops", together([] { return cost::measure_flops(8); })},
            {"far_bytes", together([] { return cost::measure_copy(far, 2); })},
            {"third_bytes", together([] { return cost::measure_read(third, 40); })},
            {"near_bytes", together([] { return cost::measure_copy(near, 20); })}};
  }

  json kernels(int repeats) {
    json list = json::array();
    add_launches(plan_->program(), 1, list);
    json top = json::array();
    const std::vector<double> seconds = plan_->profile(inputs_, repeats);
    for (size_t k = 0; k < seconds.size(); ++k)
      top.push_back({{"name", plan_->launches()[k].name}, {"ms", 1e3 * seconds[k]}});
    return {{"kernels", list}, {"launches", top}};
  }

  static json memory() {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    return {{"peak_rss", use.ru_maxrss * 1024}};
  }

  int threads_;
  double import_seconds_ = 0, optimize_seconds_ = 0, compile_seconds_ = 0;
  uint64_t kernels_found_ = 0, kernels_compiled_ = 0;
  std::string precision_;
  std::vector<Tensor> inputs_;
  std::unique_ptr<runtime::Plan> plan_;
};

void answer(const json& object) { std::cout << object.dump() << std::endl; }

int serve(int argc, char** argv) {
  bool usable = argc >= 4;
  Request r;
  if (usable) r = {.model = argv[1], .inputs_file = argv[2], .threads = std::stoi(argv[3])};
  for (int k = 4; k < argc; ++k) {
    const std::string option = argv[k];
    if (option == "--no-optimize") r.optimize = false;
    else if (option == "--no-onednn") r.generated_only = true;
    else if (option == "--cache" && k + 1 < argc) r.cache_folder = argv[++k];
    else if (option == "--tolerance" && k + 1 < argc) r.tolerance = std::stod(argv[++k]);
    else usable = false;
  }
  TESSERA_USER_CHECK(
      usable,
      "usage: bench_worker MODEL INPUTS.npz THREADS [--no-optimize] [--no-onednn] [--cache FOLDER] "
      "[--tolerance REL]");
  Worker worker(r);
  answer(worker.ready());
  for (std::string line; std::getline(std::cin, line);) answer(worker.obey(json::parse(line)));
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  try {
    return tessera::bench::serve(argc, argv);
  } catch (const std::exception& e) {
    tessera::bench::answer({{"failed", e.what()}});
    return 1;
  }
}
