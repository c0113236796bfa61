// SPDX-License-Identifier: Apache-2.0
// The search for precisions: every kernel's time and error are measured once; a price of error in
// time then decides for all of them, and the lowest price that keeps the model inside its tolerance
// is found by bisection, running the whole model each time.
#include "api/precision.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "api/check.h"
#include "api/cpu_target.h"
#include "api/load.h"
#include "base/check.h"
#include "plan/switchable_plan.h"

namespace tessera::api {
namespace {

using codegen::Precision;
using Clock = std::chrono::steady_clock;
using Outputs = std::vector<Tensor>;

constexpr int seeds = 3;
constexpr uint64_t choosing_seed = 2001, confirming_seed = 3001;
// Errors vary from input to input, and more over the inputs that a model meets than over these.
constexpr double choosing_margin = 0.88, confirming_margin = 0.95;
constexpr int profile_rounds = 4, bisections = 10;
constexpr size_t refinements = 32;
// A kernel that gains less stays in f32.
constexpr double least_gain = 0.03;

// A launch in one precision.
struct Variant {
  Precision precision = Precision::f32;
  double seconds = 0, error = 0;  ///< of the model's outputs when only this launch is changed
};
struct Launch {
  size_t number = 0;
  std::vector<Variant> variants;  ///< f32 first
  size_t chosen = 0;
};

// Inputs of some seeds and what the program in f32 makes of them.
struct Sample {
  std::vector<std::vector<Tensor>> inputs;
  std::vector<Outputs> expected;
  std::vector<std::vector<double>> spread;  ///< by seed and output: how far apart two seeds are
};

class PrecisionSearch {
 public:
  PrecisionSearch(const ir::Graph& graph, const Options& options, double tolerance)
      : graph_(graph),
        options_(options),
        tolerance_(tolerance),
        start_(Clock::now()),
        plan_(
            graph, *make_cpu_target(options),
            {.threads = thread_count(options), .fuse = options.fuse, .kernels = options.kernels}) {}

  PrecisionReport run() {
    for (const auto& [number, kernels] : plan_.choices()) {
      Launch& launch = launches_.emplace_back();
      launch.number = number;
      launch.variants.push_back({});
      for (const auto& [precision, kernel] : kernels)
        if (precision != Precision::f32) launch.variants.push_back({precision});
    }
    if (launches_.empty() || tolerance_ <= 0) return report();
    Sample choosing = draw(choosing_seed);
    report_progress(options_, "measuring kernels in every precision");
    profile(choosing.inputs[0]);
    measure_errors(choosing);
    choose(choosing, tolerance_ * choosing_margin);
    confirm();
    return report();
  }

 private:
  Outputs outputs(const std::vector<Tensor>& inputs) { return plan_.plan().run(inputs); }

  Sample draw(uint64_t first) {
    use_all([](const Launch&) { return size_t{0}; });
    Sample s;
    for (int k = 0; k <= seeds; ++k) {  // one more, for the spread of the last
      s.inputs.push_back(random_inputs(graph_, first + static_cast<uint64_t>(k)));
      s.expected.push_back(outputs(s.inputs.back()));
    }
    for (size_t k = 0; k < seeds; ++k) {
      s.spread.emplace_back();
      for (size_t o = 0; o < s.expected[k].size(); ++o)
        s.spread[k].push_back(distance(s.expected[k][o], s.expected[k + 1][o]));
    }
    return s;
  }

  template <typename F>
  void use_all(F which) {
    for (const Launch& launch : launches_)
      plan_.use(launch.number, launch.variants[which(launch)].precision);
  }
  void use_chosen() {
    use_all([](const Launch& launch) { return launch.chosen; });
  }

  // Of the outputs as the plan is now, on the first `count` inputs.
  double error(const Sample& s, int count) {
    double worst = 0;
    for (size_t k = 0; k < static_cast<size_t>(count); ++k) {
      const Outputs found = outputs(s.inputs[k]);
      for (size_t o = 0; o < found.size(); ++o)
        worst = std::max(worst, compare(s.expected[k][o], found[o], s.spread[k][o]).error);
    }
    return worst;
  }

  // The least of some times by turns, in the order of the program, so that weights are as cold as
  // in a run of the whole.
  void profile(const std::vector<Tensor>& inputs) {
    size_t most = 0;
    for (Launch& launch : launches_) {
      most = std::max(most, launch.variants.size());
      for (Variant& v : launch.variants) v.seconds = HUGE_VAL;
    }
    for (int round = 0; round < profile_rounds; ++round)
      for (size_t which = 0; which < most; ++which) {
        use_all([&](const Launch& l) { return std::min(which, l.variants.size() - 1); });
        const std::vector<double> seconds = plan_.plan().profile(inputs, 1);
        for (Launch& launch : launches_)
          if (which < launch.variants.size())
            launch.variants[which].seconds =
                std::min(launch.variants[which].seconds, seconds[launch.number]);
      }
    for (Launch& launch : launches_)
      std::erase_if(launch.variants, [&](const Variant& v) {
        return v.precision != Precision::f32 &&
               v.seconds > (1 - least_gain) * launch.variants[0].seconds;
      });
  }

  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  // The launches that gain most come first; those for which no time is left stay in f32.
  void measure_errors(const Sample& s) {
    std::vector<Launch*> order;
    for (Launch& launch : launches_) order.push_back(&launch);
    const auto gain = [](const Launch* l) {
      double best = 0;
      for (const Variant& v : l->variants)
        best = std::max(best, l->variants[0].seconds - v.seconds);
      return best;
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](const Launch* a, const Launch* b) { return gain(a) > gain(b); });
    size_t done = 0;
    for (Launch* launch : order) {
      report_progress(options_, fmt::format("errors of reduced precision: kernel {} of {}", ++done,
                                            order.size()));
      if (elapsed() > options_.budget_seconds) launch->variants.resize(1);
      for (size_t k = 1; k < launch->variants.size(); ++k) {
        use_all([&](const Launch& l) { return &l == launch ? k : size_t{0}; });
        launch->variants[k].error = error(s, 1);
      }
      std::erase_if(launch->variants, [](const Variant& v) { return !std::isfinite(v.error); });
    }
  }

  // The best of each launch where an error e costs price · e²: independent errors add in squares.
  void choose_at(double price) {
    for (Launch& launch : launches_) {
      const auto cost = [&](const Variant& v) { return v.seconds + price * v.error * v.error; };
      launch.chosen = 0;
      for (size_t k = 1; k < launch.variants.size(); ++k)
        if (cost(launch.variants[k]) < cost(launch.variants[launch.chosen])) launch.chosen = k;
    }
    use_chosen();
  }

  // The lowest price at which the model's error is no more than `limit`.
  void choose(const Sample& s, double limit) {
    report_progress(options_, "choosing precisions");
    choose_at(0);
    if (error(s, seeds) <= limit) return;
    double total = 0;
    for (const Launch& launch : launches_) total += launch.variants[0].seconds;
    // At the low price an error of 100 times the limit costs a millionth of the program's time, at
    // the high one an error of a thousandth of the limit costs all of it.
    double low = std::log(total * 1e-10 / (limit * limit)),
           high = std::log(total * 1e6 / (limit * limit));
    for (int k = 0; k < bisections; ++k) {
      const double middle = (low + high) / 2;
      choose_at(std::exp(middle));
      (error(s, seeds) <= limit ? high : low) = middle;
    }
    choose_at(std::exp(high));
    if (error(s, seeds) > limit) choose_at(HUGE_VAL);
    refine(s, limit);
  }

  // Errors are not quite independent, and one price does not use all of the limit: faster variants
  // are tried one after the other, those first that gain most time for their error's square.
  void refine(const Sample& s, double limit) {
    struct Step {
      Launch* launch;
      size_t variant;
      double gain;
    };
    std::vector<Step> steps;
    for (Launch& launch : launches_) {
      const Variant& now = launch.variants[launch.chosen];
      for (size_t k = 1; k < launch.variants.size(); ++k) {
        const Variant& v = launch.variants[k];
        if (v.seconds >= now.seconds) continue;
        const double more = v.error * v.error - now.error * now.error;
        steps.push_back({&launch, k, (now.seconds - v.seconds) / std::max(more, 1e-30)});
      }
    }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const Step& a, const Step& b) { return a.gain > b.gain; });
    if (steps.size() > refinements) steps.resize(refinements);
    for (const Step& step : steps) {
      if (elapsed() > options_.budget_seconds) return use_chosen();
      const size_t before = step.launch->chosen;
      if (step.launch->variants[step.variant].seconds >= step.launch->variants[before].seconds)
        continue;
      step.launch->chosen = step.variant;
      use_chosen();
      if (!(error(s, seeds) <= limit)) step.launch->chosen = before;
    }
    use_chosen();
  }

  void confirm() {
    const Sample fresh = draw(confirming_seed);
    while (true) {
      use_chosen();
      error_ = error(fresh, seeds);
      if (error_ <= tolerance_ * confirming_margin) return;
      take_back();
    }
  }

  // The step to a more exact variant that takes most of the error's square for the time that it
  // costs.
  void take_back() {
    Launch* found = nullptr;
    size_t variant = 0;
    double largest = -1;
    for (Launch& launch : launches_) {
      const Variant& now = launch.variants[launch.chosen];
      for (size_t k = 0; k < launch.variants.size() && launch.chosen != 0; ++k) {
        const Variant& v = launch.variants[k];
        if (!(v.error < now.error) && k != 0) continue;
        const double less = now.error * now.error - v.error * v.error;
        const double share = less / std::max(v.seconds - now.seconds, 1e-9);
        if (share > largest) largest = share, found = &launch, variant = k;
      }
    }
    TESSERA_CHECK(found, "the program in f32 differs from itself");
    found->chosen = variant;
  }

  PrecisionReport report() {
    PrecisionReport r;
    r.tolerance = tolerance_;
    r.error = error_;
    r.seeds = seeds;
    for (const Launch& launch : launches_) {
      if (launch.variants.size() < 2 && launch.chosen == 0) continue;
      const runtime::Launch& made = plan_.plan().launches()[launch.number];
      size_t shown = launch.chosen;
      for (size_t k = 1; k < launch.variants.size() && launch.chosen == 0; ++k)
        if (shown == 0 || launch.variants[k].seconds < launch.variants[shown].seconds) shown = k;
      const Variant &f32 = launch.variants[0], &v = launch.variants[shown];
      r.kernels.push_back({launch.number, made.name, made.nodes,
                           launch.variants[launch.chosen].precision, 1e3 * f32.seconds,
                           1e3 * v.seconds, v.error});
      if (launch.chosen != 0) r.reduced[launch.number] = {made.name, v.precision};
    }
    return r;
  }

  const ir::Graph& graph_;
  const Options& options_;
  double tolerance_;
  Clock::time_point start_;
  plan::SwitchablePlan plan_;
  std::vector<Launch> launches_;
  double error_ = 0;
};

}  // namespace

PrecisionReport choose_precision(const ir::Graph& graph, const Options& options, double tolerance) {
  require_concrete(graph);
  TESSERA_CHECK(options.target == "cpu");
  TESSERA_USER_CHECK(options.kernels.empty() || options.force_kernels,
                     "a tolerance and kernels of your own cannot be tried at once: optimize --plan "
                     "with the kernels first, then bench or run the plan with --tolerance");
  return PrecisionSearch(graph, options, tolerance).run();
}

}  // namespace tessera::api
