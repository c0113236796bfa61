// SPDX-License-Identifier: Apache-2.0
// Contents of constants: nested lists of numbers, seeded random numbers, base64, arrays in files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lang/item.h"

namespace tessera::lang {

/// A tensor of `type` filled from one number or from nested lists of the tensor's shape. Throws
/// UserError (without a place) when shapes or kinds differ.
Tensor tensor_of(const Item& data, DType type, const Shape& shape);

enum class Distribution : uint8_t { normal, uniform };
/// Independent numbers: normal with mean `a` and deviation `b`, or uniform in [a, b). Integers are
/// uniform in [a, b], both inclusive. The same seed gives the same tensor on every machine.
Tensor random_tensor(Distribution kind, DType type, const Shape& shape, uint64_t seed, double a,
                     double b);

std::string to_base64(std::span<const std::byte> bytes);
/// Nothing when a character is not of the alphabet or the length is wrong.
std::optional<std::string> from_base64(std::string_view text);

/// Nested lists for a small tensor, exactly: reading the text back gives every bit. Nothing where
/// that is impossible (NaN payloads).
std::optional<std::string> spell_tensor(const Tensor& tensor);
/// One element as a literal: "1.5", "-0.0", "inf", "3".
std::string spell_number(const Tensor& tensor, int64_t i);
std::string spell_real(double value);

}  // namespace tessera::lang
