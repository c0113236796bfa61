// SPDX-License-Identifier: Apache-2.0
// A walk over protobuf's wire format: tags, lengths, and messages inside messages.
#include "onnx/weight_bytes.h"

#include <cstdint>

namespace tessera::onnx {
namespace {

// Field numbers of onnx.proto.
constexpr uint64_t model_graph = 7, graph_initializer = 5, tensor_raw_data = 9;

using Bytes = std::span<const std::byte>;

struct Field {
  uint64_t number = 0;
  bool is_message = false;  // or string or bytes: has a length
  Bytes whole, value;
};

bool read_varint(Bytes& at, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !at.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(at[0]);
    at = at.subspan(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Takes the next field off `at`; groups and unknown wire types are refused.
bool read_field(Bytes& at, Field& field) {
  const Bytes start = at;
  uint64_t tag = 0, length = 0;
  if (!read_varint(at, tag)) return false;
  field.number = tag >> 3;
  field.is_message = (tag & 7) == 2;
  switch (tag & 7) {
    case 0:
      if (!read_varint(at, length)) return false;
      length = 0;
      break;
    case 1: length = 8; break;
    case 2:
      if (!read_varint(at, length)) return false;
      break;
    case 5: length = 4; break;
    default: return false;
  }
  if (length > at.size()) return false;
  field.value = at.first(length);
  at = at.subspan(length);
  field.whole = start.first(start.size() - at.size());
  return true;
}

void append(std::string& to, Bytes bytes) {
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void append_varint(std::string& to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

void append_message(std::string& to, uint64_t number, const std::string& message) {
  append_varint(to, number << 3 | 2);
  append_varint(to, message.size());
  to += message;
}

bool light_tensor(Bytes tensor, size_t least, std::string& to, Bytes& raw) {
  std::string rest;
  int count = 0;
  for (Field f; !tensor.empty();) {
    if (!read_field(tensor, f)) return false;
    if (f.number == tensor_raw_data && f.is_message && f.value.size() >= least) {
      raw = f.value;
      ++count;
    } else {
      append(rest, f.whole);
    }
  }
  if (count > 1) return false;  // the last one would count
  to = std::move(rest);
  return true;
}

bool light_graph(Bytes graph, size_t least, std::string& to, std::vector<Bytes>& raw) {
  std::string tensor;
  for (Field f; !graph.empty();) {
    if (!read_field(graph, f)) return false;
    if (f.number != graph_initializer || !f.is_message) {
      append(to, f.whole);
      continue;
    }
    raw.emplace_back();
    if (!light_tensor(f.value, least, tensor, raw.back())) return false;
    append_message(to, graph_initializer, tensor);
  }
  return true;
}

}  // namespace

std::optional<LightModel> without_weights(Bytes model, size_t least) {
  LightModel light;
  std::string graph;
  for (Field f; !model.empty();) {
    if (!read_field(model, f)) return std::nullopt;
    if (f.number != model_graph || !f.is_message) {
      append(light.bytes, f.whole);
      continue;
    }
    graph.clear();
    if (!light_graph(f.value, least, graph, light.raw)) return std::nullopt;
    append_message(light.bytes, model_graph, graph);
  }
  for (const Bytes& raw : light.raw)
    if (!raw.empty()) return light;
  return std::nullopt;
}

}  // namespace tessera::onnx
