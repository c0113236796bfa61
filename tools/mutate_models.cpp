// SPDX-License-Identifier: Apache-2.0
// Mutated model files through import, verification, instantiation of meanings and export. A
// UserError is an answer; anything else (another exception, a sanitizer report, a crash, more than
// 5 s of processor time, more than 2 GB resident) is a defect. Mutant k of seed s is the same
// wherever the models are the same: `--seed S --only K` repeats it.
//
// The mutants run in forked workers, so that a defect costs one mutant and not the run: the parent
// names the mutant that a dead worker was at and starts another worker behind it.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "mutation/mutator.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/onnx.pb.h"
#include "ops/registry.h"
#include "ops/verify.h"

namespace {

namespace fs = std::filesystem;
namespace pb = tessera::onnx::pb;
using tessera::Rng;

constexpr double time_limit = 5;                    // seconds of processor time per mutant
constexpr int64_t memory_limit = int64_t{2} << 20;  // KB resident

struct Options {
  int64_t count = 1000, only = -1, jobs = 1, slowest = 0;
  uint64_t seed = 1;
  std::string save, file;
  std::vector<std::string> folders;
};

// A figure and the mutant that reached it.
struct Worst {
  double figure = 0;
  int64_t mutant = -1;
  void meet(double other, int64_t k) {
    if (other > figure) *this = {other, k};
  }
};

// What a worker tells its parent; in shared memory, so that it outlives the worker.
struct Totals {
  int64_t mutants = 0, inferred = 0, imported = 0, exported = 0, defects = 0;
  double seconds = 0;
  Worst time, memory;  // seconds of processor time; peak resident KB
  std::atomic<int64_t> current{-1};
  std::atomic<double> started{0};  // processor time of the worker when it began the current mutant
};

Options options;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void report(const std::string& what, int64_t mutant) {
  std::fprintf(stderr, "DEFECT: %s in mutant --seed %llu --only %lld\n", what.c_str(),
               static_cast<unsigned long long>(options.seed), static_cast<long long>(mutant));
}

// Forgets the peak of the resident size that the kernel keeps; that of the process start otherwise.
void reset_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

double peak_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr);
  return 0;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Sizes for those symbols of a mutant that its inputs have; now and then for one that none has.
std::map<std::string, int64_t> some_bindings(const std::string& bytes, Rng& rng) {
  std::map<std::string, int64_t> bindings;
  pb::ModelProto model;
  if (!model.ParseFromString(bytes)) return bindings;
  for (const auto& input : model.graph().input())
    for (const auto& dim : input.type().tensor_type().shape().dim())
      if (!dim.dim_param().empty()) bindings[dim.dim_param()] = rng.integer(0, 6);
  if (rng.integer(0, 63) == 0) bindings["nowhere"] = 3;
  return bindings;
}

void run_mutant(const std::string& bytes, Rng& rng, Totals& totals) {
  int64_t nodes = 0;
  try {
    tessera::onnx::ImportOptions import;
    import.allow_barriers = rng.integer(0, 3) == 0;
    import.inferred_nodes = &nodes;
    if (rng.integer(0, 2) == 0) import.bind = some_bindings(bytes, rng);
    const tessera::ir::Graph graph = tessera::onnx::import_model_bytes(bytes, {}, import);
    ++totals.imported;
    tessera::ops::verify(graph);
    for (const tessera::ir::Node& n : graph.nodes())
      if (tessera::ops::registry().get(n.op).meaning) tessera::ops::instantiate(graph, n);
    tessera::onnx::export_model_bytes(graph, {});
    ++totals.exported;
  } catch (const tessera::UserError& e) {
    if (options.only >= 0) std::printf("refused: %s\n", e.what());
  } catch (const std::exception& e) {
    ++totals.defects;
    report(e.what(), totals.current);
  }
  totals.inferred += nodes > 0;
}

// Ends the worker when one mutant takes too long or too much; the parent counts the defect.
void watch(const Totals& totals) {
  while (true) {
    usleep(50'000);
    const int64_t mutant = totals.current;
    const double taken = cpu_seconds() - totals.started;
    if (mutant < 0 || totals.current != mutant) continue;
    const bool slow = taken > time_limit, large = peak_kb() > memory_limit;
    if (slow) report("more than 5 s", mutant);
    if (large) report("more than 2 GB", mutant);
    if (slow || large) _exit(3);
  }
}

void work(const std::vector<pb::ModelProto>& corpus, Totals& totals, int64_t begin, int64_t step) {
  std::thread([&totals] { watch(totals); }).detach();
  for (int64_t k = begin; k < options.count; k += step) {
    Rng rng(options.seed * 0x9e3779b97f4a7c15ULL + static_cast<uint64_t>(k));
    const std::string bytes =
        options.file.empty() ? tessera::mutation::mutant(corpus, rng) : read_file(options.file);
    if (!options.save.empty()) std::ofstream(options.save, std::ios::binary) << bytes;
    reset_peak();
    totals.started = cpu_seconds();
    totals.current = k;
    run_mutant(bytes, rng, totals);
    const double taken = cpu_seconds() - totals.started, peak = peak_kb();
    totals.seconds += taken;
    totals.time.meet(taken, k);
    totals.memory.meet(peak, k);
    if (options.slowest > 0 && taken * 1e3 > static_cast<double>(options.slowest))
      std::printf("%8.0f ms %6.0f MB --only %lld\n", taken * 1e3, peak / 1024,
                  static_cast<long long>(k));
    if (taken > time_limit || peak > memory_limit) {
      report("more than 5 s or 2 GB", k);
      _exit(3);
    }
    totals.current = -1;
    if (++totals.mutants % 10'000 == 0)
      std::printf("%lld mutants\n", static_cast<long long>(totals.mutants));
    std::fflush(stdout);
  }
}

pid_t start_worker(const std::vector<pb::ModelProto>& corpus, Totals& totals, int64_t begin) {
  const pid_t child = fork();
  if (child == 0) {
    work(corpus, totals, begin, options.jobs);
    _exit(0);
  }
  return child;
}

// Runs the workers; one that dies is replaced by one that begins behind the mutant it died of.
void supervise(const std::vector<pb::ModelProto>& corpus, Totals* totals) {
  std::map<pid_t, int64_t> workers;
  for (int64_t j = 0; j < options.jobs; ++j)
    workers[start_worker(corpus, totals[j], options.only >= 0 ? options.only : j)] = j;
  while (!workers.empty()) {
    int status = 0;
    const auto at = workers.find(waitpid(-1, &status, 0));
    if (at == workers.end()) std::exit(3);  // fork failed
    const int64_t j = at->second;
    workers.erase(at);
    if (status == 0) continue;
    const int64_t mutant = totals[j].current.exchange(-1);
    if (WIFSIGNALED(status)) report(fmt::format("signal {}", WTERMSIG(status)), mutant);
    else if (WEXITSTATUS(status) != 3) report("sanitizer report", mutant);
    ++totals[j].defects;
    if (mutant < 0) continue;  // between two mutants: the tool itself is at fault
    ++totals[j].mutants;
    workers[start_worker(corpus, totals[j], mutant + options.jobs)] = j;
  }
}

int print_totals(const Totals* all) {
  Totals sum;
  for (int64_t j = 0; j < options.jobs; ++j) {
    const Totals& t = all[j];
    sum.mutants += t.mutants;
    sum.inferred += t.inferred;
    sum.imported += t.imported;
    sum.exported += t.exported;
    sum.defects += t.defects;
    sum.seconds += t.seconds;
    sum.time.meet(t.time.figure, t.time.mutant);
    sum.memory.meet(t.memory.figure, t.memory.mutant);
  }
  const auto count = static_cast<double>(std::max<int64_t>(1, sum.mutants));
  const auto percent = [&](int64_t n) { return 100 * static_cast<double>(n) / count; };
  fmt::print(
      "{} mutants: {} ({:.1f} %) reached shape inference, {} ({:.1f} %) were imported, {} "
      "exported, {} defects\n{:.2f} ms each; slowest {:.0f} ms (--only {}); largest {:.0f} "
      "MB resident (--only {})\n",
      sum.mutants, sum.inferred, percent(sum.inferred), sum.imported, percent(sum.imported),
      sum.exported, sum.defects, sum.seconds * 1e3 / count, sum.time.figure * 1e3, sum.time.mutant,
      sum.memory.figure / 1024, sum.memory.mutant);
  return sum.defects > 0 ? 1 : 0;
}

std::vector<pb::ModelProto> read_corpus(const std::vector<std::string>& folders) {
  std::vector<fs::path> paths;
  for (const std::string& folder : folders)
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.path().extension() == ".onnx" && entry.file_size() < (1 << 22))
        paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<pb::ModelProto> corpus;
  for (const fs::path& path : paths) {
    pb::ModelProto model;
    if (model.ParseFromString(read_file(path.string()))) corpus.push_back(std::move(model));
  }
  return corpus;
}

bool parse_options(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (!argument.starts_with("--")) {
      options.folders.push_back(argument);
      continue;
    }
    if (++i >= argc) return false;
    if (argument == "--count") options.count = std::stoll(argv[i]);
    else if (argument == "--seed") options.seed = std::stoull(argv[i]);
    else if (argument == "--jobs") options.jobs = std::clamp(std::stoll(argv[i]), 1LL, 256LL);
    else if (argument == "--only") options.only = std::stoll(argv[i]);
    else if (argument == "--save") options.save = argv[i];
    else if (argument == "--file") options.file = argv[i];
    else if (argument == "--list-over-ms") options.slowest = std::stoll(argv[i]);
    else return false;
  }
  if (!options.file.empty()) {
    options.folders = {"."};
    options.only = 0;
  }
  if (options.only >= 0) {
    options.jobs = 1;
    options.count = options.only + 1;
  }
  return !options.folders.empty();
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=16:malloc_context_size=2:hard_rss_limit_mb=2048:detect_leaks=0";
}
#endif

int main(int argc, char** argv) {
  if (!parse_options(argc, argv)) {
    std::fprintf(stderr,
                 "usage: mutate_models FOLDER... [--count N] [--seed S] [--jobs J]\n"
                 "       [--only K [--save FILE]] [--list-over-ms T]\n"
                 "       mutate_models --file MODEL\n");
    return 2;
  }
  std::erase_if(options.folders, [](const std::string& f) { return !fs::is_directory(f); });
  std::vector<pb::ModelProto> corpus;
  if (options.file.empty()) corpus = read_corpus(options.folders);
  if (options.file.empty() && corpus.empty()) {
    std::printf("skipped: no models to mutate\n");
    return 77;
  }
  std::printf("seed %llu, %zu models\n", static_cast<unsigned long long>(options.seed),
              corpus.size());
  std::fflush(stdout);
  const size_t bytes = sizeof(Totals) * static_cast<size_t>(options.jobs);
  void* shared = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 3;
  auto* totals = static_cast<Totals*>(shared);
  std::uninitialized_default_construct_n(totals, options.jobs);
  supervise(corpus, totals);
  return print_totals(totals);
}
