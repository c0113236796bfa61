// SPDX-License-Identifier: Apache-2.0
// Whether the rules of the corpus imply a rule of TASO's.
#pragma once

#include "corpus/derive.h"
#include "corpus/taso_verdict.h"

namespace tessera::corpus {

struct TasoDerivation {
  bool found = false;  ///< on every instance that was drawn
  int instances = 0;
  Derived last;          ///< of the last instance: the path, or how far the search went
  std::string instance;  ///< the last one's sizes
};

/// Derives both sides from each other on instances with sizes of 2 to 5, which seldom coincide: one
/// as it is drawn, one with a single group in every convolution.
TasoDerivation derive(const TasoRule& rule, const rules::RuleSet& rules,
                      const DeriveOptions& options = {}, const TasoDraw& draw = {});

}  // namespace tessera::corpus
