// SPDX-License-Identifier: Apache-2.0
// docs/ops.md: the operator records for people, written from the registry.
#pragma once

#include <string>

namespace tessera::ops {

/// Markdown: every record with its kind, signature, traits and ONNX forms, then every ONNX operator
/// that can be imported. Deterministic.
std::string operators_document();

}  // namespace tessera::ops
