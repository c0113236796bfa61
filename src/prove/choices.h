// SPDX-License-Identifier: Apache-2.0
// Walks through all answers to a series of questions.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

namespace tessera::prove {

/// Answers questions by a recorded list, extending it by first answers.
class Choices {
 public:
  explicit Choices(std::vector<std::pair<int, int>>& taken) : taken_(taken) {}
  int choose(int count) {
    if (count <= 1) return 0;
    if (at_ == taken_.size()) taken_.push_back({0, count});
    return std::min(taken_[at_++].first, count - 1);
  }

 private:
  std::vector<std::pair<int, int>>& taken_;
  size_t at_ = 0;
};

}  // namespace tessera::prove
