// SPDX-License-Identifier: Apache-2.0
// Where the rows of the table of vocabularies are written.
#pragma once

#include <vector>

#include "synth/vocabulary.h"

namespace tessera::synth {

std::vector<Vocabulary> vocabulary_table();

}  // namespace tessera::synth
