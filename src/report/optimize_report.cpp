// SPDX-License-Identifier: Apache-2.0
// Tables of the report, written as HTML.
#include "report/optimize_report.h"

#include <fmt/format.h>

#include <vector>

namespace tessera::report {
namespace {

using Cells = std::vector<std::string>;

constexpr std::string_view style =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;"
    "color:#222}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:1.8em}"
    "table{border-collapse:collapse}th,td{padding:.2em .8em;border-bottom:1px solid #ddd;"
    "text-align:right}th:first-child,td:first-child{text-align:left}"
    "code{font-family:ui-monospace,monospace}.bar{display:inline-block;height:.7em;"
    "background:#4a78b5}.after{background:#3a9a5b}";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

// The cells are HTML already.
std::string table(const Cells& head, const std::vector<Cells>& rows) {
  std::string html = "<table><tr>";
  for (const std::string& cell : head) html += "<th>" + cell + "</th>";
  html += "</tr>\n";
  for (const Cells& row : rows) {
    html += "<tr>";
    for (const std::string& cell : row) html += "<td>" + cell + "</td>";
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

std::string section(std::string_view title, const std::string& body) {
  return fmt::format("<h2>{}</h2>\n{}", title, body);
}

std::string ratio(double after, double before) {
  return before > 0 ? fmt::format("{:.2f}", after / before) : "";
}

std::string bar(double value, double longest, std::string_view kind) {
  return fmt::format("<span class=\"bar {}\" style=\"width:{:.1f}em\"></span>", kind,
                     longest > 0 ? 20 * value / longest : 0);
}

std::string figures(const api::OptimizeReport& r, int threads) {
  std::vector<Cells> rows{{"predicted ms", fmt::format("{:.4g}", r.predicted_before_ms),
                           fmt::format("{:.4g}", r.predicted_after_ms),
                           ratio(r.predicted_after_ms, r.predicted_before_ms)}};
  if (!r.timing)
    return table({"", "before", "after", "ratio"}, rows) +
           fmt::format("<p>Not measured: {}</p>\n", escaped(r.not_measured));
  const api::Timing &a = r.timing->first, &b = r.timing->second;
  rows.push_back({"measured ms, median", fmt::format("{:.4g}", a.median_ms),
                  fmt::format("{:.4g}", b.median_ms), fmt::format("{:.2f}", r.timing->ratio)});
  rows.push_back({"10th to 90th percentile", fmt::format("{:.4g} to {:.4g}", a.p10_ms, a.p90_ms),
                  fmt::format("{:.4g} to {:.4g}", b.p10_ms, b.p90_ms),
                  fmt::format("[{:.2f}, {:.2f}]", r.timing->ratio_low, r.timing->ratio_high)});
  const auto before = static_cast<double>(r.peak_bytes_before),
             after = static_cast<double>(r.peak_bytes_after);
  rows.push_back({"peak memory, MB", fmt::format("{:.1f}", before * 1e-6),
                  fmt::format("{:.1f}", after * 1e-6), ratio(after, before)});
  const double longest = std::max(a.median_ms, b.median_ms);
  return table({"", "before", "after", "ratio"}, rows) +
         fmt::format("<p>before {}<br>after&nbsp; {}</p>\n", bar(a.median_ms, longest, "before"),
                     bar(b.median_ms, longest, "after")) +
         fmt::format(
             "<p>Measured by turns, {} runs each, {} threads; the ratio with its 95&nbsp;% "
             "interval.</p>\n",
             a.runs, threads);
}

std::string operators(const api::OptimizeReport& r) {
  std::vector<Cells> rows;
  int before = 0, after = 0;
  for (const auto& [op, counts] : api::operators_by_type(r)) {
    rows.push_back({escaped(op), std::to_string(counts.before), std::to_string(counts.after)});
    before += counts.before;
    after += counts.after;
  }
  rows.push_back({"all", std::to_string(before), std::to_string(after)});
  return table({"operator", "before", "after"}, rows);
}

std::string rules_used(const api::OptimizeReport& r) {
  std::vector<Cells> rows;
  for (const auto& [rule, count] : r.rules_used)
    rows.push_back({"<code>" + escaped(rule) + "</code>", std::to_string(count)});
  return rows.empty() ? "<p>No rule applied.</p>\n" : table({"rule", "times"}, rows);
}

std::string kernels(const api::OptimizeReport& r) {
  std::vector<Cells> rows;
  for (const api::KernelChoice& k : r.kernels)
    rows.push_back(
        {"<code>" + escaped(k.name) + "</code>", std::to_string(k.places), k.used ? "yes" : "no",
         k.ratio ? fmt::format("{:.2f} [{:.2f}, {:.2f}]", *k.ratio, k.ratio_low, k.ratio_high)
                 : std::string()});
  return table({"kernel", "places", "used", "time with it"}, rows);
}

std::string correctness(const api::OptimizeReport& r) {
  if (!r.checked) return "<p>Not checked.</p>\n";
  std::vector<Cells> rows;
  for (const api::CheckedOutput& out : r.checked->outputs)
    rows.push_back({"<code>" + escaped(out.name) + "</code>", fmt::format("{:.1e}", out.error),
                    fmt::format("{:.1e}", out.error_of_first),
                    fmt::format("{:.0e}", out.tolerance)});
  return table({"output", "error", "as imported", "allowed"}, rows) +
         "<p>Against the float64 reference on fresh inputs, relative to how far apart the model "
         "holds two inputs.</p>\n";
}

std::string steps(const api::OptimizeReport& r) {
  std::vector<Cells> rows;
  for (size_t k = 0; k < r.derivation.size(); ++k)
    rows.push_back({std::to_string(k + 1), "<code>" + escaped(r.derivation[k].rule) + "</code>",
                    escaped(r.derivation[k].nodes)});
  if (rows.empty()) return "<p>None.</p>\n";
  return fmt::format("<details><summary>{} steps</summary>\n{}</details>\n", rows.size(),
                     table({"step", "rule", "replaced"}, rows));
}

}  // namespace

std::string optimize_page(const api::OptimizeReport& report, const std::string& model,
                          int threads) {
  const std::string title = escaped(model);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>{0} optimized</title><style>{1}</style></head>\n<body>\n<h1>{0} optimized</h1>\n",
      title, style);
  if (!report.kept_input.empty())
    html +=
        fmt::format("<p>The model is returned as it was: {}.</p>\n", escaped(report.kept_input));
  html += section("Time and memory", figures(report, threads));
  html += section("Is it the same function?", correctness(report));
  html += section("Operators", operators(report));
  html += section("Rules used", rules_used(report));
  if (!report.kernels.empty()) html += section("Kernels of yours", kernels(report));
  html += section("Derivation", steps(report));
  html += fmt::format("<p>The search ended ({}) after {:.1f} s.</p>\n</body></html>\n",
                      escaped(report.stop_reason), report.search_seconds);
  return html;
}

}  // namespace tessera::report
