// SPDX-License-Identifier: Apache-2.0
// Runs one model on the CPU engine:
//     engine_bench MODEL.onnx [threads [INPUTS.npz [OUTPUTS.npz [unfused|library|generated]]]]
// Prints the time to compile, the latency, the arena, and the kernels by the time they take. The
// last word switches fusion off, or leaves products to oneDNN or to generated kernels alone; `-`
// stands for no file.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <numeric>

#include "backend/cpu/target.h"
#include "base/check.h"
#include "onnx/import.h"
#include "plan/compile.h"
#include "types/npz.h"

namespace tessera {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Processor time of all threads: what a busy machine does not distort.
double cpu_now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void report(runtime::Plan& plan, const std::vector<Tensor>& inputs) {
  const std::vector<double> seconds = plan.profile(inputs, 5);
  std::vector<size_t> order(seconds.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return seconds[a] > seconds[b]; });
  const double total = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  std::printf("%zu kernels, %.3f ms in all\n", seconds.size(), total * 1e3);
  for (size_t k = 0; k < std::min<size_t>(order.size(), 25); ++k) {
    const runtime::Launch& l = plan.launches()[order[k]];
    std::printf("%9.1f us  %-40s %s  %s\n", seconds[order[k]] * 1e6, l.name.c_str(),
                l.kernel->implementation().c_str(), l.nodes.empty() ? "" : l.nodes[0].c_str());
  }
}

int run(int argc, char** argv) {
  TESSERA_USER_CHECK(argc >= 2, "usage: engine_bench MODEL [threads [INPUTS [OUTPUTS [MODE]]]]");
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const double start = now();
  onnx::ImportOptions options;
  std::map<std::string, Tensor> values;
  const std::string mode = argc > 5 ? argv[5] : "";
  if (argc > 3 && std::string(argv[3]) != "-") values = read_npz(argv[3]);
  options.values = values;
  const ir::Graph graph = onnx::import_model(argv[1], options);
  const double imported = now();
  const auto target = backend::cpu::make_target(
      {.use_library = mode != "generated", .use_generated = mode != "library"});
  const auto plan = plan::compile(graph, *target, {.threads = threads, .fuse = mode != "unfused"});
  std::printf("import %.2f s, compile %.2f s, %zu kernels, arena %.1f MB\n", imported - start,
              now() - imported, plan->launches().size(), plan->arena_bytes() / 1e6);
  std::vector<Tensor> inputs;
  for (const runtime::Port& port : plan->inputs()) {
    const auto at = values.find(port.name);
    inputs.push_back(at != values.end() ? at->second : Tensor(port.type, port.shape));
  }
  std::vector<Tensor> results = plan->run(inputs);
  if (argc > 4 && std::string(argv[4]) != "-") {
    std::map<std::string, Tensor> named;
    for (size_t k = 0; k < results.size(); ++k) named[plan->outputs()[k].name] = results[k];
    write_npz(argv[4], named);
  }
  std::vector<double> times, cpu;
  for (const double end = now() + 1; now() < end || times.size() < 5;) {
    const double begin = now(), cpu_begin = cpu_now();
    plan->run(inputs);
    times.push_back(now() - begin);
    cpu.push_back(cpu_now() - cpu_begin);
    if (times.size() == 1 && times[0] > 5) break;
  }
  std::sort(times.begin(), times.end());
  std::sort(cpu.begin(), cpu.end());
  std::printf("median %.3f ms, least %.3f ms of %zu runs; processor time %.3f ms\n",
              times[times.size() / 2] * 1e3, times[0] * 1e3, times.size(),
              cpu[cpu.size() / 2] * 1e3);
  report(*plan, inputs);
  return 0;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  try {
    return tessera::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}
