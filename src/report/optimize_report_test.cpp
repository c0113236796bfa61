// SPDX-License-Identifier: Apache-2.0
// The page shows the figures of the report, and names cannot become markup.
#include "report/optimize_report.h"

#include <gtest/gtest.h>

namespace tessera::report {
namespace {

api::OptimizeReport sample() {
  api::OptimizeReport r;
  r.operators_before = {{"conv", 4}, {"relu", 3}};
  r.operators_after = {{"conv", 4}};
  r.rules_used = {{"conv-relu", 3}};
  r.derivation = {{"conv-relu", 7, 0, "<b>&\"x\""}};
  r.predicted_before_ms = 2.5;
  r.predicted_after_ms = 1.25;
  return r;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(OptimizePage, shows_counts_rules_and_predictions) {
  const std::string page = optimize_page(sample(), "m.onnx", 2);
  EXPECT_TRUE(contains(page, "<td>conv</td><td>4</td><td>4</td>"));
  EXPECT_TRUE(contains(page, "<td>relu</td><td>3</td><td>0</td>"));
  EXPECT_TRUE(contains(page, "<td>all</td><td>7</td><td>4</td>"));
  EXPECT_TRUE(contains(page, "<td>predicted ms</td><td>2.5</td><td>1.25</td><td>0.50</td>"));
  EXPECT_TRUE(contains(page, "<code>conv-relu</code></td><td>3</td>"));
}

TEST(OptimizePage, escapes_names) {
  const std::string page = optimize_page(sample(), "<script>", 1);
  EXPECT_FALSE(contains(page, "<script>"));
  EXPECT_FALSE(contains(page, "<b>"));
  EXPECT_TRUE(contains(page, "&lt;b&gt;&amp;&quot;x&quot;"));
}

TEST(OptimizePage, says_why_there_are_no_times_or_no_change) {
  api::OptimizeReport r = sample();
  r.not_measured = "a dimension is symbolic";
  r.kept_input = "it measured slower";
  const std::string page = optimize_page(r, "m", 1);
  EXPECT_TRUE(contains(page, "Not measured: a dimension is symbolic"));
  EXPECT_TRUE(contains(page, "returned as it was: it measured slower"));
  r.timing = api::PairTiming{.first = {.median_ms = 8}, .second = {.median_ms = 4}, .ratio = 0.5};
  EXPECT_TRUE(contains(optimize_page(r, "m", 1), "<td>8</td><td>4</td><td>0.50</td>"));
}

}  // namespace
}  // namespace tessera::report
