// SPDX-License-Identifier: Apache-2.0
// Reading and checking of tile programs.
#include "api/kernels.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "api/check.h"
#include "api/load.h"
#include "base/check.h"
#include "base/rng.h"
#include "lang/parse.h"
#include "ops/evaluate.h"
#include "tile/program.h"

namespace tessera::api {
namespace {

using Sizes = std::map<std::string, int64_t>;

constexpr double timing_seconds = 1;
constexpr int trials = 14;
constexpr int64_t extents[] = {1, 2, 3, 5, 7, 13, 17, 31, 37, 67, 101};
constexpr int64_t most_elements = 4000;  // of one parameter: the interpreter is slow
constexpr double allowed = 1e-9;         // relative, in f64

enum class Numbers : uint8_t { finite, nan, infinite };

class KernelCheck {
 public:
  KernelCheck(const tile::File& kernel, std::string file, const Options& options)
      : k_(kernel), p_(kernel.program), file_(std::move(file)), options_(options) {}

  void run() {
    if (p_.params.size() != p_.inputs + 1)
      fail(1, "a kernel has one result, found {}", p_.params.size() - p_.inputs);
    if (k_.references.empty()) fail(1, "there is no reference: what does the program compute?");
    for (const tile::Param& param : p_.params)
      for (const sym::Expr& d : param.shape) d.collect_symbols(symbols_);
    for (const tile::Reference& reference : k_.references) check(reference);
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(int line, fmt::format_string<Args...> format, Args&&... args) const {
    fail_user(ErrorKind::invalid_input, "{}:{}: {}", file_, line,
              fmt::format(format, std::forward<Args>(args)...));
  }

  void check(const tile::Reference& reference) {
    Rng rng(29);
    int done = 0;
    std::optional<UserError> refusal;
    for (int t = 0; t < trials; ++t) {
      const Sizes sizes = draw_sizes(rng, t == 0);
      std::optional<ir::Graph> graph;
      try {
        // Lines are counted from the beginning of the file.
        const std::string before(static_cast<size_t>(reference.line - 1), '\n');
        graph = lang::parse_program(before + reference.text, file_, sizes);
      } catch (const UserError& e) {
        refusal = e;  // a reference may have no meaning at some sizes
        continue;
      }
      check_signature(reference, *graph, sizes);
      compare(*graph, sizes, static_cast<Numbers>(t % 3), t, rng);
      ++done;
    }
    if (done < trials / 4) throw *refusal;
  }

  Sizes draw_sizes(Rng& rng, bool least) const {
    Sizes sizes;
    for (const auto& [name, symbol] : symbols_)
      sizes[name] = least ? 1 : extents[rng.integer(0, std::size(extents) - 1)];
    const auto fits = [&] {
      for (const tile::Param& param : p_.params)
        if (elements(param, sizes) > most_elements) return false;
      return true;
    };
    while (!fits()) {
      auto at = std::max_element(sizes.begin(), sizes.end(),
                                 [](auto& a, auto& b) { return a.second < b.second; });
      if (at == sizes.end() || at->second == 1) break;
      at->second = at->second / 2;
    }
    return sizes;
  }

  static ir::ValueType type_of(const tile::Param& param, const Sizes& sizes) {
    std::map<std::string, sym::Expr> bindings;
    for (const auto& [name, size] : sizes) bindings.emplace(name, sym::Expr(size));
    ir::ValueType type{param.type, param.shape};
    for (sym::Expr& d : type.shape) d = d.substitute(bindings);
    return type;
  }
  static int64_t elements(const tile::Param& param, const Sizes& sizes) {
    return element_count(type_of(param, sizes).concrete_shape()).value_or(most_elements + 1);
  }

  void check_signature(const tile::Reference& reference, const ir::Graph& graph,
                       const Sizes& sizes) const {
    if (graph.inputs().size() != p_.inputs || graph.outputs().size() != 1)
      fail(reference.line, "the reference has {} inputs and {} outputs, the program {} and 1",
           graph.inputs().size(), graph.outputs().size(), p_.inputs);
    for (size_t k = 0; k <= p_.inputs; ++k) {
      const bool is_input = k < p_.inputs;
      const ir::ValueType& type = is_input ? graph.node(graph.inputs()[k]).outputs[0]
                                           : graph.type(graph.outputs()[0].value);
      const ir::ValueType expected = type_of(p_.params[k], sizes);
      const std::string& name =
          is_input ? graph.node(graph.inputs()[k]).name : graph.outputs()[0].name;
      if ((is_input && name != p_.params[k].name) || type != expected)
        fail(reference.line, "the reference's {} {} is '{}: {}', the program's '{}: {}'",
             is_input ? "input" : "output", is_input ? k : 0, name, type.to_string(),
             p_.params[k].name, expected.to_string());
    }
  }

  std::vector<Tensor> draw_inputs(const ir::Graph& graph, Numbers numbers, Rng& rng) const {
    std::vector<Tensor> inputs;
    for (ir::NodeId id : graph.inputs()) {
      const ir::ValueType& type = graph.node(id).outputs[0];
      Tensor t(type.dtype, type.concrete_shape());
      for (int64_t i = 0; i < t.size(); ++i) {
        const bool rare = numbers != Numbers::finite && rng.integer(0, 15) == 0;
        const double infinity = rng.integer(0, 3) == 0 ? HUGE_VAL : -HUGE_VAL;
        if (!is_float(type.dtype)) t.set_integer(i, rng.integer(0, 2));
        else if (rare) t.set_float(i, numbers == Numbers::nan ? std::nan("") : infinity);
        else t.set_float(i, rng.normal());
      }
      inputs.push_back(std::move(t));
    }
    return inputs;
  }

  void compare(const ir::Graph& graph, const Sizes& sizes, Numbers numbers, int trial, Rng& rng) {
    const std::vector<Tensor> inputs = draw_inputs(graph, numbers, rng);
    const Tensor expected = ops::evaluate(graph, inputs)[0];
    const tile::Program bound = tile::bind(p_, sizes);
    tile::Schedule others;
    // A block that holds an infinity and nothing else is a place where programs go wrong.
    for (const tile::Axis& a : p_.axes)
      others.blocks[a.name] = numbers == Numbers::finite ? rng.integer(1, 6) : 1;
    for (const tile::Schedule& schedule : {k_.schedule, others}) {
      try {
        require_same(expected, tile::interpret(bound, schedule, inputs)[0], sizes, schedule,
                     allowed, "");
      } catch (const UserError& e) {
        if (std::string_view(e.what()).starts_with(file_ + ":")) throw;
        fail(store_line(p_.body), "{} ({})", e.what(), describe(sizes, schedule));
      }
    }
    if (trial % 4 != 1 && trial != 0) return;
    Options compiling = options_;
    compiling.kernels = {std::make_shared<const tile::File>(k_)};
    compiling.force_kernels = true;
    compiling.target = "cpu";
    const auto program = compile(graph, compiling);
    if (program->kernels().empty() || program->kernels()[0].places == 0)
      fail(k_.references[0].line, "the reference is not recognized as itself ({})",
           describe(sizes, k_.schedule));
    require_same(expected, program->run(inputs)[0], sizes, k_.schedule,
                 real_tolerance(p_.params.back().type), "compiled, ");
  }

  void require_same(const Tensor& expected, const Tensor& found, const Sizes& sizes,
                    const tile::Schedule& schedule, double tolerance, const char* how) const {
    for (int64_t i = 0; i < expected.size(); ++i) {
      const auto at = [&](const Tensor& t) {
        return is_float(t.type()) ? t.float_at(i) : static_cast<double>(t.integer_at(i));
      };
      const double e = at(expected), f = at(found);
      if (e == f || (std::isnan(e) && std::isnan(f))) continue;
      if (std::fabs(e - f) <= tolerance * std::max(1.0, std::fabs(e)) && std::isfinite(e)) continue;
      fail(store_line(p_.body), "{}'{}' is {} at element {}, its reference says {} ({})", how,
           p_.params.back().name, f, i, e, describe(sizes, schedule));
    }
  }

  static std::string describe(const Sizes& sizes, const tile::Schedule& schedule) {
    std::string text;
    for (const auto& [name, size] : sizes)
      text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", name, size);
    for (const auto& [name, size] : schedule.blocks)
      text += fmt::format("{}blocks of {} along {}", text.empty() ? "" : ", ", size, name);
    return text;
  }

  // Where the result is stored last.
  static int store_line(const std::vector<tile::Statement>& body) {
    int line = 1;
    for (const tile::Statement& s : body) {
      if (s.kind == tile::Statement::Kind::store) line = s.line;
      else if (s.kind == tile::Statement::Kind::loop)
        if (const int inner = store_line(s.body); inner > 1) line = inner;
    }
    return line;
  }

  const tile::File& k_;
  const tile::Program& p_;
  std::string file_;
  const Options& options_;
  std::map<std::string, sym::Expr> symbols_;
};

}  // namespace

KernelFacts facts_of(const tile::File& kernel) {
  const tile::Program& p = kernel.program;
  const auto list = [&](size_t first, size_t last) {
    std::string text;
    for (size_t k = first; k < last; ++k)
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", p.params[k].name,
                          ir::ValueType{p.params[k].type, p.params[k].shape}.to_string());
    return text;
  };
  KernelFacts facts{p.name, {}, {}, kernel.references.size()};
  facts.signature = fmt::format("({}) -> ({})", list(0, p.inputs), list(p.inputs, p.params.size()));
  for (const auto& [axis, size] : kernel.schedule.blocks)
    facts.schedule += fmt::format("{}{} = {}", facts.schedule.empty() ? "" : ", ", axis, size);
  return facts;
}

PairTiming time_kernel(const std::shared_ptr<const tile::File>& kernel, const Options& options) {
  const ir::Graph graph =
      lang::parse_program(kernel->references[0].text, kernel->program.name, options.bind);
  Options own = options, with = options;
  own.kernels.clear();
  with.kernels = {kernel};
  with.force_kernels = true;
  const auto first = compile(graph, own), second = compile(graph, with);
  return measure_pair(*first, *second, random_inputs(graph, 1), timing_seconds);
}

Options with_chosen_kernels(Options options, const std::vector<KernelChoice>& choices) {
  std::erase_if(options.kernels, [&](const auto& kernel) {
    return std::none_of(choices.begin(), choices.end(), [&](const KernelChoice& c) {
      return c.used && c.name == kernel->program.name;
    });
  });
  return options;
}

void check_kernel(const tile::File& kernel, const std::string& file, const Options& options) {
  KernelCheck(kernel, file, options).run();
}

std::shared_ptr<const tile::File> read_kernel(const std::string& text, const std::string& file,
                                              const Options& options) {
  auto kernel = std::make_shared<const tile::File>(tile::parse(text, file));
  report_progress(options, "checking kernel " + file);
  check_kernel(*kernel, file, options);
  return kernel;
}

std::shared_ptr<const tile::File> load_kernel(const std::string& path, const Options& options) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UserError(ErrorKind::missing_resource, fmt::format("cannot read '{}'", path));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return read_kernel(text, path, options);
}

Kernels load_kernels(const std::string& folder, const Options& options) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::set<std::string> paths;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".tile") paths.insert(entry.path().string());
  if (error)
    throw UserError(ErrorKind::missing_resource,
                    fmt::format("cannot read the kernels of '{}': {}", folder, error.message()));
  TESSERA_USER_CHECK(!paths.empty(), "'{}' holds no .tile file", folder);
  Kernels kernels;
  std::map<std::string, std::string> file_of;
  for (const std::string& path : paths) {
    kernels.push_back(load_kernel(path, options));
    const auto [at, fresh] = file_of.emplace(kernels.back()->program.name, path);
    TESSERA_USER_CHECK(fresh, "{}:1: the kernel of '{}' is named '{}' too", path, at->second,
                       at->first);
  }
  return kernels;
}

}  // namespace tessera::api
