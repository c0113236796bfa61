// SPDX-License-Identifier: Apache-2.0
// Comparison and hashing of attribute values.
#include "ir/attribute.h"

#include <array>

namespace tessera::ir {

std::string_view to_string(AttrKind kind) {
  static constexpr std::array<std::string_view, 9> names = {
      "int", "float", "string", "ints", "floats", "strings", "dtype", "dims", "tensor"};
  return names[static_cast<size_t>(kind)];
}

bool operator_equal(const AttrValue& a, const AttrValue& b) {
  if (a.index() != b.index()) return false;
  if (const auto* tensor = std::get_if<Tensor>(&a)) return identical(*tensor, std::get<Tensor>(b));
  return std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, Tensor>) return false;
        else return x == std::get<T>(b);
      },
      a);
}

namespace {

void add_one(Hasher& h, int64_t v) { h.add(v); }
void add_one(Hasher& h, double v) { h.add(v); }
void add_one(Hasher& h, const std::string& v) { h.add(std::string_view(v)); }
void add_one(Hasher& h, const sym::Expr& v) { h.add(std::string_view(v.to_string())); }
void add_one(Hasher& h, DType v) { h.add(static_cast<int64_t>(v)); }
void add_one(Hasher& h, const Tensor& t) {
  add_one(h, t.type());
  h.add(static_cast<int64_t>(t.rank()));
  for (int64_t d : t.shape()) h.add(d);
  h.add_bytes({t.loose_data(), t.bytes()});
}
template <typename T>
void add_one(Hasher& h, const std::vector<T>& values) {
  h.add(static_cast<int64_t>(values.size()));
  for (const T& v : values) add_one(h, v);
}

}  // namespace

void add_to_hash(Hasher& hasher, const AttrValue& value) {
  hasher.add(static_cast<int64_t>(value.index()));
  std::visit([&](const auto& v) { add_one(hasher, v); }, value);
}

void add_to_quick_hash(Hasher& hasher, const AttrValue& value) {
  constexpr size_t samples = 64, sample = 64;
  const auto* tensor = std::get_if<Tensor>(&value);
  if (!tensor || tensor->bytes() <= 2 * samples * sample) return add_to_hash(hasher, value);
  hasher.add(static_cast<int64_t>(value.index()));
  add_one(hasher, tensor->type());
  for (int64_t d : tensor->shape()) hasher.add(d);
  const std::span bytes(tensor->loose_data(), tensor->bytes());
  for (size_t k = 0; k < samples; ++k)
    hasher.add_bytes(bytes.subspan((bytes.size() - sample) / (samples - 1) * k, sample));
}

}  // namespace tessera::ir
