// SPDX-License-Identifier: Apache-2.0
// Attribute access with defaults and errors that name the operator.
#include "ops/attr_reader.h"

#include <algorithm>

#include "base/check.h"
#include "ops/op_def.h"

namespace tessera::ops {

const ir::AttrValue* AttrReader::find(std::string_view name) const {
  if (auto at = attrs_->find(name); at != attrs_->end()) return &at->second;
  for (const AttrDef& a : def_->attrs)
    if (a.name == name) return a.default_value ? &*a.default_value : nullptr;
  return nullptr;
}

const ir::AttrValue& AttrReader::get(std::string_view name) const {
  const ir::AttrValue* value = find(name);
  TESSERA_USER_CHECK(value != nullptr, "{}: attribute '{}' is missing", def_->name, name);
  return *value;
}

void AttrReader::wrong_kind(std::string_view name, std::string_view expected) const {
  fail_user(ErrorKind::invalid_input, "{}: attribute '{}' must be {}, found {}", def_->name, name,
            expected, to_string(ir::kind_of(get(name))));
}

int64_t AttrReader::integer(std::string_view name) const {
  if (const auto* v = std::get_if<int64_t>(&get(name))) return *v;
  wrong_kind(name, "int");
}

sym::Expr AttrReader::count(std::string_view name) const {
  const auto* sizes = std::get_if<ir::Dims>(&get(name));
  return sizes && sizes->size() == 1 ? sizes->front() : sym::Expr(integer(name));
}

double AttrReader::real(std::string_view name) const {
  const ir::AttrValue& value = get(name);
  if (const auto* v = std::get_if<double>(&value)) return *v;
  if (const auto* v = std::get_if<int64_t>(&value)) return static_cast<double>(*v);
  wrong_kind(name, "float");
}

const std::string& AttrReader::string(std::string_view name) const {
  if (const auto* v = std::get_if<std::string>(&get(name))) return *v;
  wrong_kind(name, "string");
}

std::vector<int64_t> AttrReader::integers(std::string_view name) const {
  const ir::AttrValue& value = get(name);
  if (const auto* v = std::get_if<std::vector<int64_t>>(&value)) return *v;
  if (const auto* v = std::get_if<ir::Dims>(&value))
    if (auto constants = sym::constants(*v)) return *constants;
  wrong_kind(name, "ints");
}

std::vector<double> AttrReader::reals(std::string_view name) const {
  if (const auto* v = std::get_if<std::vector<double>>(&get(name))) return *v;
  wrong_kind(name, "floats");
}

std::vector<std::string> AttrReader::strings(std::string_view name) const {
  if (const auto* v = std::get_if<std::vector<std::string>>(&get(name))) return *v;
  wrong_kind(name, "strings");
}

DType AttrReader::dtype(std::string_view name) const {
  if (const auto* v = std::get_if<DType>(&get(name))) return *v;
  wrong_kind(name, "dtype");
}

ir::Dims AttrReader::dims(std::string_view name) const {
  const ir::AttrValue& value = get(name);
  if (const auto* v = std::get_if<ir::Dims>(&value)) return *v;
  if (const auto* v = std::get_if<std::vector<int64_t>>(&value)) return {v->begin(), v->end()};
  wrong_kind(name, "dims");
}

const Tensor& AttrReader::tensor(std::string_view name) const {
  if (const auto* v = std::get_if<Tensor>(&get(name))) return *v;
  wrong_kind(name, "tensor");
}

int AttrReader::axis(std::string_view name, int rank) const {
  return normalize_axis(integer(name), rank, fmt::format("{}: {}", def_->name, name));
}

std::vector<int> AttrReader::axes(std::string_view name, int rank) const {
  std::vector<int> result;
  for (int64_t a : integers(name))
    result.push_back(normalize_axis(a, rank, fmt::format("{}: {}", def_->name, name)));
  std::sort(result.begin(), result.end());
  TESSERA_USER_CHECK(std::adjacent_find(result.begin(), result.end()) == result.end(),
                     "{}: '{}' names an axis twice", def_->name, name);
  return result;
}

int normalize_axis(int64_t axis, int rank, std::string_view what) {
  TESSERA_USER_CHECK(axis >= -rank && axis < rank, "{} = {} is outside [-{}, {})", what, axis, rank,
                     rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace tessera::ops
