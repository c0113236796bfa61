// SPDX-License-Identifier: Apache-2.0
// Structure-aware mutation of model files: what a fuzzer of bytes would seldom reach.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "onnx/onnx.pb.h"

namespace tessera::mutation {

/// The serialized mutant of one model of `corpus` (not empty): one to five changes of nodes, edges,
/// attributes, types, tensors, versions and structure, now and then of bytes. It depends on the
/// corpus and on `rng` only.
std::string mutant(const std::vector<onnx::pb::ModelProto>& corpus, Rng& rng);

}  // namespace tessera::mutation
