// SPDX-License-Identifier: Apache-2.0
// Instances of a rule handed to the search for derivations.
#include "corpus/taso_derive.h"

namespace tessera::corpus {

TasoDerivation derive(const TasoRule& rule, const rules::RuleSet& rules,
                      const DeriveOptions& options, const TasoDraw& base) {
  TasoDerivation result;
  Rng rng(7);
  for (const bool one_group : {false, true}) {
    TasoDraw draw = base;
    draw.low = 2, draw.high = 5;
    draw.one_group = draw.one_group || one_group;
    std::optional<TasoInstance> instance;
    for (int attempt = 0; attempt < 20 && !instance; ++attempt)
      instance = draw_taso_instance(rule, rng, draw);
    if (!instance) continue;
    result.instance = instance->to_string();
    result.last = derive(instance->left, instance->right, rules, options);
    ++result.instances;
    result.found = result.last.found;
    if (!result.found) break;
  }
  return result;
}

}  // namespace tessera::corpus
