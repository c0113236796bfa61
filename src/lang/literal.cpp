// SPDX-License-Identifier: Apache-2.0
// Tensor contents to and from text.
#include "lang/literal.h"

#include <array>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/rng.h"

namespace tessera::lang {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void set_number(Tensor& tensor, int64_t i, const Item& item) {
  TESSERA_USER_CHECK(item.is_number(), "an element is {}, expected a number", item.describe());
  if (is_float(tensor.type())) return tensor.set_float(i, item.number());
  const auto* integer = item.as<int64_t>();
  TESSERA_USER_CHECK(integer != nullptr, "{} is no {}", item.number(), to_string(tensor.type()));
  const bool fits =
      wrap_integer(*integer, tensor.type()) == *integer || tensor.type() == DType::u64;
  TESSERA_USER_CHECK(fits, "{} does not fit {}", *integer, to_string(tensor.type()));
  tensor.set_integer(i, *integer);
}

void fill(Tensor& tensor, const Item& data, size_t axis, int64_t& at) {
  if (axis == tensor.shape().size()) return set_number(tensor, at++, data);
  const List* list = data.as<List>();
  const int64_t extent = tensor.shape()[axis];
  TESSERA_USER_CHECK(list && static_cast<int64_t>(list->size()) == extent,
                     "expected a list of {} along axis {}, found {}", extent, axis,
                     list ? fmt::format("one of {}", list->size()) : std::string(data.describe()));
  for (const Item& part : *list) fill(tensor, part, axis + 1, at);
}

}  // namespace

Tensor tensor_of(const Item& data, DType type, const Shape& shape) {
  Tensor tensor(type, shape);
  if (data.as<List>()) {
    int64_t at = 0;
    fill(tensor, data, 0, at);
  } else if (tensor.size() > 0) {
    set_number(tensor, 0, data);
    const size_t width = size_of(type);
    for (int64_t i = 1; i < tensor.size(); ++i)
      std::memcpy(tensor.mutable_data() + i * width, tensor.data(), width);
  }
  return tensor;
}

Tensor random_tensor(Distribution kind, DType type, const Shape& shape, uint64_t seed, double a,
                     double b) {
  Tensor tensor(type, shape);
  Rng rng(seed);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (!is_float(type))
      tensor.set_integer(i, rng.integer(static_cast<int64_t>(a), static_cast<int64_t>(b)));
    else
      tensor.set_float(
          i, kind == Distribution::normal ? a + b * rng.normal() : a + (b - a) * rng.uniform());
  }
  return tensor;
}

std::string to_base64(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve(bytes.size() / 3 * 4 + 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < count ? static_cast<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? alphabet[word >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  static const std::array<int8_t, 256> digits = [] {
    std::array<int8_t, 256> table;
    table.fill(-1);
    for (size_t k = 0; k < alphabet.size(); ++k)
      table[static_cast<unsigned char>(alphabet[k])] = static_cast<int8_t>(k);
    return table;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t word = 0;
    int padding = 0;
    for (size_t k = 0; k < 4; ++k) {
      const int digit = digits[static_cast<unsigned char>(text[i + k])];
      if (text[i + k] == '=' && i + 4 == text.size() && k >= 2) ++padding;
      else if (digit < 0 || padding > 0) return std::nullopt;
      word = word << 6 | (padding > 0 ? 0 : static_cast<uint32_t>(digit));
    }
    for (int k = 0; k < 3 - padding; ++k) bytes += static_cast<char>(word >> (16 - 8 * k));
  }
  return bytes;
}

std::string spell_real(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string spell_number(const Tensor& tensor, int64_t i) {
  const DType type = tensor.type();
  if (type == DType::f32) {
    const float value = static_cast<float>(tensor.float_at(i));
    const std::string shortest = fmt::format("{}", value);
    // The shortest digits of the float, when they are also the double nearest to it.
    if (std::isfinite(value) && static_cast<float>(std::strtod(shortest.c_str(), nullptr)) == value)
      return shortest.find_first_of(".e") == std::string::npos ? shortest + ".0" : shortest;
  }
  if (is_float(type)) return spell_real(tensor.float_at(i));
  if (type == DType::u64) return fmt::format("{}", static_cast<uint64_t>(tensor.integer_at(i)));
  return fmt::format("{}", tensor.integer_at(i));
}

std::optional<std::string> spell_tensor(const Tensor& tensor) {
  Tensor copy(tensor.type(), {});
  const size_t width = size_of(tensor.type());
  std::string text;
  const auto element = [&](int64_t i) {
    if (is_float(tensor.type())) {  // do the digits give back every bit?
      const std::string digits = spell_number(tensor, i);
      copy.set_float(0, digits == "nan" ? std::nan("") : std::strtod(digits.c_str(), nullptr));
      if (std::memcmp(copy.data(), tensor.data() + i * width, width) != 0) return false;
      text += digits;
    } else {
      text += spell_number(tensor, i);
    }
    return true;
  };
  int64_t at = 0;
  std::function<bool(size_t)> spell = [&](size_t axis) {
    if (axis == tensor.shape().size()) return element(at++);
    text += '[';
    for (int64_t k = 0; k < tensor.shape()[axis]; ++k) {
      if (k > 0) text += ", ";
      if (!spell(axis + 1)) return false;
    }
    text += ']';
    return true;
  };
  if (!spell(0)) return std::nullopt;
  return text;
}

}  // namespace tessera::lang
