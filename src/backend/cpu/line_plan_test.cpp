// SPDX-License-Identifier: Apache-2.0
// Random chains: every line is computed after what it needs, which is still in its window then.
#include "backend/cpu/line_plan.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/rng.h"

namespace tessera::backend::cpu {
namespace {

// A window as memory: which line lies at each place.
using Window = std::vector<std::optional<int64_t>>;

struct Replay {
  const std::vector<LineMember>& members;
  const LinePlan& plan;
  std::vector<Window> windows;
  std::vector<int64_t> starts;
  std::vector<bool> stored;  ///< lines of the last member
  int64_t computed = 0;

  void run(const LineStep& s) {
    const LineMember& m = members[s.member];
    const bool is_last = s.member + 1 == members.size();
    ASSERT_LT(s.first, s.end);
    ASSERT_LE(s.end, m.lines);
    computed += s.end - s.first;
    if (!is_last) {
      Window& w = windows[s.member];
      for (int64_t k = 0; k < s.kept; ++k) w.at(size_t(k)) = w.at(size_t(s.from + k));
      starts[s.member] = s.window;
    }
    for (int64_t line = s.first; line < s.end; ++line) {
      for (const auto& link : m.links)
        for (int64_t k = 0; k < link.span; ++k) {
          const int64_t at = line * link.stride - link.before + k;
          if (at < 0 || at >= members[link.from].lines) continue;
          const int64_t place = at - starts[link.from];
          ASSERT_GE(place, 0);
          ASSERT_EQ(windows[link.from].at(size_t(place)), at);
        }
      if (is_last) {
        ASSERT_FALSE(stored[size_t(line)]);
        stored[size_t(line)] = true;
      } else {
        windows[s.member].at(size_t(line - s.window)) = line;
      }
    }
  }
};

TEST(LinePlan, computes_every_line_after_what_it_needs) {
  Rng rng(3);
  int64_t computed = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<LineMember> members{{rng.integer(1, 40), 64 * rng.integer(1, 3), {}}};
    const auto count = static_cast<size_t>(rng.integer(2, 6));
    while (members.size() < count) {
      const size_t before = members.size() - 1;
      const int64_t lines = members[before].lines, stride = rng.integer(1, 3),
                    span = rng.integer(1, 7), top = rng.integer(0, 3), bottom = rng.integer(0, 3);
      const int64_t result = (lines + top + bottom - span) / stride + 1;
      if (lines + top + bottom < span) continue;
      LineMember next{result, 64, {{before, stride, top, span}}};
      for (size_t other = 0; other < before; ++other)  // a residual connection
        if (members[other].lines == result && rng.integer(0, 1)) next.links.push_back({other});
      members.push_back(next);
    }
    const LinePlan plan = plan_lines(members, rng.integer(1, 4), rng.integer(1, 9));
    Replay replay{members, plan, {}, std::vector<int64_t>(count, 0), {}, 0};
    replay.stored.assign(size_t(members.back().lines), false);
    for (const auto& band : plan.bands) {
      replay.windows.clear();
      for (int64_t lines : plan.windows) replay.windows.emplace_back(size_t(lines));
      for (const LineStep& s : band) ASSERT_NO_FATAL_FAILURE(replay.run(s)) << "round " << round;
    }
    for (bool is_stored : replay.stored) ASSERT_TRUE(is_stored);
    computed += replay.computed;
  }
  EXPECT_GT(computed, 10000);
}

TEST(LinePlan, keeps_what_a_window_of_three_lines_needs) {
  const std::vector<LineMember> chain{{100, 64, {}}, {100, 64, {{0, 1, 1, 3}}}};
  const LinePlan plan = plan_lines(chain, 1, 1);
  EXPECT_EQ(plan.windows, (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(plan.computed, (std::vector<int64_t>{100, 100}));
  EXPECT_EQ(plan_lines(chain, 2, 50).computed, (std::vector<int64_t>{102, 100}));
}

}  // namespace
}  // namespace tessera::backend::cpu
