// SPDX-License-Identifier: Apache-2.0
// Attributes in the spelling of the rule language.
#include "synth/terms.h"

#include "base/check.h"

namespace tessera::synth {
namespace {

template <typename List, typename F>
std::string list_text(const List& list, F&& element) {
  std::string text;
  for (const auto& e : list) text += (text.empty() ? "" : ", ") + element(e);
  return "{" + text + "}";
}

}  // namespace

std::string attribute_text(const ir::AttrValue& value) {
  if (const auto* v = std::get_if<int64_t>(&value)) return std::to_string(*v);
  if (const auto* v = std::get_if<double>(&value)) return fmt::format("{}", *v);
  if (const auto* v = std::get_if<std::string>(&value)) return *v;
  if (const auto* v = std::get_if<DType>(&value)) return std::string(to_string(*v));
  if (const auto* v = std::get_if<std::vector<int64_t>>(&value))
    return list_text(*v, [](int64_t i) { return std::to_string(i); });
  if (const auto* v = std::get_if<ir::Dims>(&value))
    return list_text(*v, [](const sym::Expr& d) { return d.to_string(); });
  fail_user(ErrorKind::unsupported, "an attribute of this kind has no text in the rule language");
}

std::string attributes_text(const ir::AttrMap& attrs) {
  std::string text;
  for (const auto& [name, value] : attrs)
    text += (text.empty() ? "" : ", ") + name + "=" + attribute_text(value);
  return text.empty() ? "" : "[" + text + "]";
}

}  // namespace tessera::synth
