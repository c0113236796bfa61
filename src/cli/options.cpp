// SPDX-License-Identifier: Apache-2.0
// The options that several commands share.
#include <cmath>
#include <cstdlib>

#include "api/kernels.h"
#include "base/check.h"
#include "cli/command.h"
#include "cli/progress.h"

namespace tessera::cli {
namespace {

// "60s", "500ms", "2m", or a number of seconds.
double parse_seconds(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double scale = unit.empty() || unit == "s" ? 1 : unit == "ms" ? 1e-3 : unit == "m" ? 60 : 0;
  TESSERA_USER_CHECK(end != text.c_str() && scale > 0 && std::isfinite(value) && value > 0,
                     "--budget: expected a time such as 60s, found '{}'", text);
  return value * scale;
}

std::pair<std::string, int64_t> parse_binding(const std::string& text) {
  const size_t equals = text.find('=');
  TESSERA_USER_CHECK(equals != std::string::npos && equals > 0 && equals + 1 < text.size(),
                     "--bind: expected NAME=INT, found '{}'", text);
  char* end = nullptr;
  const std::string number = text.substr(equals + 1);
  errno = 0;
  const int64_t value = std::strtoll(number.c_str(), &end, 10);
  TESSERA_USER_CHECK(*end == '\0' && errno == 0 && value >= 0, "--bind {}: '{}' is not a size",
                     text.substr(0, equals), number);
  return {text.substr(0, equals), value};
}

// Where the XDG specification puts what can be made again.
std::string default_cache() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value && *value == '/' ? value : "";  // relative paths are to be ignored
  };
  if (const std::string folder = variable("XDG_CACHE_HOME"); !folder.empty())
    return folder + "/tessera";
  const std::string home = variable("HOME");
  return home.empty() ? "none" : home + "/.cache/tessera";
}

}  // namespace

void ModelOptions::add_model(CLI::App& app, const std::string& what) {
  app.add_option("MODEL", model, what)->required();
}

void ModelOptions::add_engine(CLI::App& app) {
  app.add_option("--target", target, "what runs it: cpu, or ref (the float64 reference)")
      ->capture_default_str();
  app.add_option("--threads", threads, "threads (default: the cores this process may use)")
      ->check(CLI::Range(1, 1024));
  app.add_option(
         "--bind", bind,
         "size of a symbolic dimension or value of an input of one element, NAME=INT; may be "
         "repeated")
      ->type_name("NAME=INT")
      ->allow_extra_args(false);
  cache = default_cache();
  app.add_option("--cache", cache, "folder for compiled kernels, or none")
      ->type_name("FOLDER")
      ->envname("TESSERA_CACHE")
      ->capture_default_str();
  app.add_flag("--no-onednn", no_onednn, "only kernels that Tessera generates");
  app.add_flag("--require-cache-hit", require_cache_hit, "fail where a kernel must be compiled");
}

void ModelOptions::add_kernels(CLI::App& app) {
  app.add_option("--kernels", kernels,
                 "folder of .tile files; each is used where its reference matches and the whole "
                 "program measures faster")
      ->type_name("FOLDER");
  app.add_flag("--force-kernels", force_kernels, "use them wherever they match, unmeasured");
}

void ModelOptions::add_budget(CLI::App& app, const std::string& what) {
  app.add_option("--budget", budget, what)->type_name("TIME");
}

void ModelOptions::add_tolerance(CLI::App& app) {
  app.add_option("--tolerance", tolerance, "exact, real, or the largest relative error allowed")
      ->type_name("exact|real|REL")
      ->capture_default_str();
}

void ModelOptions::add_rules(CLI::App& app) {
  app.add_option("--rules", rules,
                 "which rules: all of those written by hand that have a "
                 "certificate, or those proved for all shapes, written or learned")
      ->check(CLI::IsMember({"all", "proved"}))
      ->capture_default_str();
  app.add_option("--disable", disabled, "a rule not to use; may be repeated")
      ->type_name("RULE")
      ->allow_extra_args(false);
}

void ModelOptions::add_no_optimize(CLI::App& app) {
  app.add_flag("--no-optimize", no_optimize, "run the model as it was imported");
}

void ModelOptions::add_output(CLI::App& app) {
  app.add_flag("--json", json, "print one JSON object on stdout");
  app.add_flag("--quiet,-q", quiet, "no progress");
}

api::Options ModelOptions::options(Shell& shell) const {
  shell.quiet = quiet;
  api::Options result;
  result.target = target;
  result.threads = threads;
  for (const std::string& text : bind) result.bind.insert(parse_binding(text));
  result.cache_folder = cache == "none" ? "" : cache;
  result.require_cache_hit = require_cache_hit;
  result.exact = tolerance == "exact" || no_optimize;
  result.generated_only = no_onednn;
  result.proved_rules = rules == "proved";
  result.disabled_rules.insert(disabled.begin(), disabled.end());
  result.warn = [](const std::string& message) { note("warning: " + message); };
  if (!quiet) result.progress = [](const std::string& what) { show_progress(what); };
  if (!kernels.empty()) result.kernels = api::load_kernels(kernels, result);
  result.force_kernels = force_kernels;
  return result;
}

double ModelOptions::seconds(double otherwise) const {
  return budget.empty() ? otherwise : parse_seconds(budget);
}

std::optional<double> ModelOptions::relative_tolerance() const {
  if (tolerance == "real" || tolerance == "exact") return {};
  char* end = nullptr;
  const double value = std::strtod(tolerance.c_str(), &end);
  TESSERA_USER_CHECK(!tolerance.empty() && *end == '\0' && value >= 0 && std::isfinite(value),
                     "--tolerance: expected exact, real or a number such as 1e-3, found '{}'",
                     tolerance);
  return value;
}

std::string show_bytes(size_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (b >= 1e9) return fmt::format("{:.2f} GB", b * 1e-9);
  if (b >= 1e6) return fmt::format("{:.1f} MB", b * 1e-6);
  return fmt::format("{:.1f} kB", b * 1e-3);
}

std::string show_number(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  if (size >= 99.5) return fmt::format("{:.0f}", value);
  if (size >= 9.95) return fmt::format("{:.1f}", value);
  if (size >= 0.995) return fmt::format("{:.2f}", value);
  return fmt::format("{:.3g}", value);
}

}  // namespace tessera::cli
