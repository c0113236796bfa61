// SPDX-License-Identifier: Apache-2.0
// The table of vocabularies.
#include "synth/vocabulary.h"

#include <algorithm>

#include "base/check.h"
#include "ops/registry.h"

namespace tessera::synth {

bool Template::is_commutative() const {
  return std::find(def->traits.begin(), def->traits.end(), ops::Trait::commutative) !=
         def->traits.end();
}

std::optional<ir::AttrMap> Template::attributes(std::span<const ir::ValueType> types) const {
  if (arity == 2 && fit == Fit::equal_shapes && types[0].shape != types[1].shape) return {};
  if (arity == 2 && fit == Fit::second_scalar && (types[1].rank() != 0 || types[0].rank() == 0))
    return {};
  ir::AttrMap result = attrs;
  if (same_pads) {
    std::vector<int64_t> kernel;
    const auto it = attrs.find("kernel_shape");
    if (it != attrs.end()) {
      kernel = std::get<std::vector<int64_t>>(it->second);
    } else {
      if (types[1].rank() < 3) return {};
      for (size_t a = 2; a < types[1].shape.size(); ++a)
        kernel.push_back(types[1].concrete_shape()[a]);
    }
    std::vector<int64_t> pads;
    for (int64_t k : kernel) pads.push_back((k - 1) / 2);
    for (int64_t k : kernel) pads.push_back(k / 2);
    const bool none = std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p == 0; });
    if (!none) result["pads"] = pads;
  }
  if (split_axis) {
    if (*split_axis >= types[0].rank()) return {};
    const int64_t extent = types[0].concrete_shape()[static_cast<size_t>(*split_axis)];
    const int64_t part = first > 0 ? first : extent / 2;
    if (part <= 0 || part >= extent || (first == 0 && extent % 2 != 0)) return {};
    result["axis"] = static_cast<int64_t>(*split_axis);
    result["sizes"] = ir::Dims{part, extent - part};
  }
  return result;
}

std::string Template::to_string() const {
  std::string text = def->name;
  if (split_axis) text += fmt::format(" axis={} first={}", *split_axis, first);
  if (same_pads) text += " same";
  for (const auto& [name, value] : attrs) {
    text += " " + name + "=";
    if (const auto* i = std::get_if<int64_t>(&value)) text += std::to_string(*i);
    else if (const auto* s = std::get_if<std::string>(&value)) text += *s;
    else if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) {
      for (size_t k = 0; k < list->size(); ++k) text += (k ? "," : "") + std::to_string((*list)[k]);
    } else {
      text += "...";
    }
  }
  if (fit == Fit::second_scalar) text += " scalar";
  return text;
}

const std::vector<Vocabulary>& vocabularies() {
  static const std::vector<Vocabulary> all = vocabulary_table();
  return all;
}

const Vocabulary& vocabulary(std::string_view name) {
  std::string known;
  for (const Vocabulary& v : vocabularies()) {
    if (v.name == name) return v;
    known += (known.empty() ? "" : ", ") + v.name;
  }
  fail_user(ErrorKind::invalid_input, "there is no vocabulary '{}'; there are {}", name, known);
}

}  // namespace tessera::synth
