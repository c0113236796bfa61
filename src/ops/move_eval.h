// SPDX-License-Identifier: Apache-2.0
// Operators that only move elements (transpositions, slices, concatenations, broadcasts) evaluated
// by copying. Folding of large constants is mostly that.
#pragma once

#include <optional>

#include "ir/meaning.h"
#include "types/tensor.h"

namespace tessera::ops {

/// The output with every bit kept, when its body consists of reads at affine places, chosen by
/// comparing single indices with numbers, and every read stays inside its tensor. REQUIRES: sizes
/// are known.
std::optional<Tensor> move_evaluate(const ir::Meaning& meaning, size_t output,
                                    std::span<const Tensor> inputs);

}  // namespace tessera::ops
