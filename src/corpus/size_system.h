// SPDX-License-Identifier: Apache-2.0
// Unknown sizes of a rule: classes of equal ones, sums, and channels of grouped convolutions; and
// random small solutions. Sizes are at least 1.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "sym/expr.h"

namespace tessera::corpus {

/// What was asked for cannot be: two sizes that differ were made equal, a rank does not fit, …
struct Illegal {};

class SizeSystem {
 public:
  using Id = int;

  Id fresh();
  Id fixed(int64_t value);
  /// Throws Illegal if two known sizes differ.
  void unify(Id a, Id b);
  void fix(Id a, int64_t value);
  Id find(Id a) const;
  std::optional<int64_t> known(Id a) const { return value_[find(a)]; }

  void sum(Id whole, std::vector<Id> parts) { sums_.push_back({whole, std::move(parts)}); }
  /// channels = groups · depth and groups divides outputs, for some positive number of groups.
  void grouped(Id channels, Id depth, Id outputs) { groups_.push_back({channels, depth, outputs}); }
  /// 1 ≤ small ≤ large, and large − small is even.
  void centred(Id small, Id large) { centred_.push_back({small, large}); }

  /// Sizes by id, drawn from [low, high] where nothing determines them; nothing if no attempt
  /// succeeds. `one_group`: every convolution has one group.
  std::optional<std::vector<int64_t>> draw(Rng& rng, int64_t low, int64_t high,
                                           bool one_group) const;
  /// Sizes by id as expressions: a symbol where nothing determines them, sums of their parts. Two
  /// sums of one size leave an equation that one symbol is solved for; nothing if that fails.
  std::optional<std::vector<sym::Expr>> symbols() const;

 private:
  struct Sum {
    Id whole;
    std::vector<Id> parts;
  };
  struct Grouped {
    Id channels, depth, outputs;
  };
  struct Centred {
    Id small, large;
  };
  using Values = std::vector<std::optional<int64_t>>;  // by root

  bool settle(Values& values) const;
  bool draw_once(Values& values, Rng& rng, int64_t low, int64_t high, bool one_group) const;

  std::vector<Id> parent_;
  std::vector<std::optional<int64_t>> value_;  // of roots
  std::vector<Sum> sums_;
  std::vector<Grouped> groups_;
  std::vector<Centred> centred_;
};

}  // namespace tessera::corpus
