// SPDX-License-Identifier: Apache-2.0
// Needs are followed from the last member to the first, block by block.
#include "backend/cpu/line_plan.h"

#include <algorithm>

namespace tessera::backend::cpu {
namespace {

using Link = LineMember::Link;

class Planner {
 public:
  Planner(const std::vector<LineMember>& members, LinePlan& plan) : members_(members), plan_(plan) {
    plan_.windows.assign(members.size(), 0);
    plan_.computed.assign(members.size(), 0);
  }

  // Lines [first, end) of the last member. Windows slide as far as they can while their sizes are
  // being found, and then only when they are full.
  std::vector<LineStep> band(int64_t first, int64_t end, int64_t block, bool sizes_known) {
    const size_t count = members_.size();
    done_.assign(count, INT64_MAX);
    done_[count - 1] = first;
    for (size_t m = count; m-- > 0;)
      for (const Link& link : members_[m].links)
        done_[link.from] = std::min(done_[link.from], first_needed(link, done_[m]));
    window_ = done_;
    std::vector<LineStep> steps;
    for (int64_t next = first; next < end; next += block) {
      std::vector<int64_t> until(count, 0);
      until[count - 1] = std::min(next + block, end);
      for (size_t m = count; m-- > 0;) {
        until[m] = std::max(until[m], done_[m]);
        for (const Link& link : members_[m].links)
          until[link.from] = std::max(until[link.from], end_needed(link, until[m]));
      }
      for (size_t m = 0; m < count; ++m)
        if (until[m] > done_[m]) steps.push_back(step(m, until[m], sizes_known));
    }
    return steps;
  }

 private:
  int64_t first_needed(const Link& link, int64_t line) const {
    return std::clamp<int64_t>(line * link.stride - link.before, 0, members_[link.from].lines);
  }
  int64_t end_needed(const Link& link, int64_t end) const {
    return std::clamp<int64_t>((end - 1) * link.stride - link.before + link.span, 0,
                               members_[link.from].lines);
  }

  LineStep step(size_t m, int64_t end, bool sizes_known) {
    LineStep s{m, done_[m], end, window_[m], 0, 0};
    if (m + 1 < members_.size()) {
      if (!sizes_known || end - s.window > plan_.windows[m]) {
        const int64_t keep = oldest_needed(m);
        s.from = keep - s.window;
        s.kept = s.from > 0 ? std::max<int64_t>(done_[m] - keep, 0) : 0;
        s.window = window_[m] = keep;
      }
      if (!sizes_known) plan_.windows[m] = std::max(plan_.windows[m], end - s.window);
      else plan_.moved_bytes += s.kept * members_[m].line_bytes;
    }
    if (sizes_known) plan_.computed[m] += end - s.first;
    done_[m] = end;
    return s;
  }

  // The first line of a member's result that others have yet to read, or that is yet to be
  // computed.
  int64_t oldest_needed(size_t m) const {
    int64_t oldest = done_[m];
    for (size_t reader = m + 1; reader < members_.size(); ++reader)
      for (const Link& link : members_[reader].links)
        if (link.from == m) oldest = std::min(oldest, first_needed(link, done_[reader]));
    return oldest;
  }

  const std::vector<LineMember>& members_;
  LinePlan& plan_;
  std::vector<int64_t> done_;  ///< by member: lines before this one were computed or are not needed
  std::vector<int64_t> window_;  ///< by member: the first line of its window
};

}  // namespace

LinePlan plan_lines(const std::vector<LineMember>& members, int64_t bands, int64_t block) {
  LinePlan plan;
  Planner planner(members, plan);
  const int64_t lines = members.back().lines;
  bands = std::min(bands, lines);
  for (const bool sizes_known : {false, true})
    for (int64_t b = 0; b < bands; ++b) {
      auto steps = planner.band(lines * b / bands, lines * (b + 1) / bands, block, sizes_known);
      if (sizes_known) plan.bands.push_back(std::move(steps));
    }
  constexpr int64_t alignment = 64;
  for (size_t m = 0; m < members.size(); ++m)
    plan.bytes += (plan.windows[m] * members[m].line_bytes + alignment - 1) / alignment * alignment;
  return plan;
}

}  // namespace tessera::backend::cpu
