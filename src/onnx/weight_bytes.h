// SPDX-License-Identifier: Apache-2.0
// Large weights stay where they lie in a mapped model file: the message is parsed without them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tessera::onnx {

/// The bytes of a ModelProto without the raw_data of the initializers that have at least `least`
/// bytes of it, and where those lie in `model`.
struct LightModel {
  std::string bytes;
  std::vector<std::span<const std::byte>> raw;  ///< by initializer; empty: still in the message
};

/// Nothing when there is nothing to leave out, or when the bytes are no well-formed message (the
/// parser then says what is wrong).
std::optional<LightModel> without_weights(std::span<const std::byte> model, size_t least);

}  // namespace tessera::onnx
