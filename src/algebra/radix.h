// SPDX-License-Identifier: Apache-2.0
// Index variables that are flattened or divided: v = base · high + low.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "algebra/term.h"

namespace tessera::algebra {

/// ⌊v / base⌋ or v mod base occurs, v runs over [0, base · count).
struct Division {
  std::string variable;
  Index base, count;
};
/// The first division of `variable`, which runs over [0, extent), inside of an index; the facts may
/// say that products of sizes are equal.
std::optional<Division> division_of(const std::string& variable, const Index& extent,
                                    const Index& index, const Facts& facts);

/// Calls `visit` with every index of a normal form: guards, places that are read, numbers.
void visit_indices(const Sum& sum, const std::function<void(const Index&)>& visit);
void visit_indices(const Term& term, const std::function<void(const Index&)>& visit);

/// A sum over v of [0, base · count) in which v is divided becomes one over high and low; one over
/// i and j that only occur as base · i + j, where that is divided, becomes one over their
/// combination. `fresh` names variables. False if there is neither.
bool change_radix(Term& term, const Facts& facts, const std::function<std::string()>& fresh);

/// What the indices of an output are, as far as they are not just "%k".
using OutputIndices = std::map<uint32_t, Index>;

/// The variables of an output's indices: "%k" in [0, shape[k]), or the digits of index k.
class OutputRanges {
 public:
  explicit OutputRanges(const std::vector<Index>& shape);
  /// Two digits for the first variable that is divided in `index`; false if there is none.
  bool split(const Index& index, const Facts& facts);
  void assume_in(Facts& facts) const;
  const OutputIndices& indices() const { return indices_; }
  int variables() const { return next_; }  ///< from "%0" on, those no longer in use included

 private:
  std::vector<std::pair<std::string, Index>> extents_;
  OutputIndices indices_;
  int next_ = 0;
};

}  // namespace tessera::algebra
