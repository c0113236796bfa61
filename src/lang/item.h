// SPDX-License-Identifier: Apache-2.0
// What a name or an expression of a program stands for: a tensor value, or something that is known
// while the program is read (a number, a size, a list, a type …).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "ops/builder.h"

namespace tessera::lang {

struct Absent {};

struct Item {
  std::variant<Absent, int64_t, double, std::string, sym::Expr, DType, ir::ValueType, Tensor,
               ops::Val, std::vector<Item>>
      value;

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&value);
  }
  bool is_number() const { return as<int64_t>() || as<double>(); }
  /// An integer or a symbolic size.
  bool is_size() const { return as<int64_t>() || as<sym::Expr>(); }
  bool is_tensor() const { return as<ops::Val>() || as<Tensor>(); }
  /// REQUIRES: is_number().
  double number() const {
    return as<double>() ? *as<double>() : static_cast<double>(*as<int64_t>());
  }
  /// REQUIRES: is_size().
  sym::Expr size() const { return as<sym::Expr>() ? *as<sym::Expr>() : sym::Expr(*as<int64_t>()); }
  /// A known size becomes an integer.
  static Item of(const sym::Expr& size) {
    if (auto known = size.constant()) return {*known};
    return {size};
  }
  /// "a number", "a list" … for messages.
  std::string_view describe() const {
    static constexpr const char* names[] = {"nothing",  "an integer",      "a number", "a string",
                                            "a size",   "an element type", "a type",   "a tensor",
                                            "a tensor", "a list"};
    return names[value.index()];
  }
};

using List = std::vector<Item>;

/// The results of one node, where one tensor is wanted, stand for the first of them.
inline const Item& one_tensor(const Item& item) {
  const List* list = item.as<List>();
  if (list == nullptr || list->empty()) return item;
  const auto* first = list->front().as<ops::Val>();
  for (size_t k = 0; k < list->size(); ++k) {
    const auto* v = (*list)[k].as<ops::Val>();
    if (v == nullptr || v->value.node != first->value.node || v->value.index != k) return item;
  }
  return list->front();
}

}  // namespace tessera::lang
