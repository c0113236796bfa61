// SPDX-License-Identifier: Apache-2.0
// What the rows of the function tables are made of.
#pragma once

#include <span>

#include "rules/bindings.h"

namespace tessera::rules {

using Size = sym::Expr;
using Sizes = std::vector<Size>;
using Result = std::optional<TermValue>;

/// The arguments of one call; each accessor gives nothing if argument k is of another kind.
struct Call {
  std::vector<TermValue>& args;
  const WorkGraph& graph;

  size_t count() const { return args.size(); }
  const ir::ValueType* type(size_t k) const {
    const auto* v = k < args.size() ? std::get_if<ir::Value>(&args[k]) : nullptr;
    return v && v->present() ? &graph.type(*v) : nullptr;
  }
  const ir::Value* value(size_t k) const {
    return k < args.size() ? std::get_if<ir::Value>(&args[k]) : nullptr;
  }
  const Size* size(size_t k) const {
    return k < args.size() ? std::get_if<Size>(&args[k]) : nullptr;
  }
  std::optional<int64_t> integer(size_t k) const {
    const Size* s = size(k);
    return s ? s->constant() : std::nullopt;
  }
  const Sizes* sizes(size_t k) const {
    return k < args.size() ? std::get_if<Sizes>(&args[k]) : nullptr;
  }
  std::optional<std::vector<int64_t>> integers(size_t k) const {
    const Sizes* s = sizes(k);
    return s ? sym::constants(*s) : std::nullopt;
  }
  std::optional<double> real(size_t k) const {
    if (k >= args.size()) return std::nullopt;
    if (const auto* d = std::get_if<double>(&args[k])) return *d;
    if (const auto n = integer(k)) return static_cast<double>(*n);
    return std::nullopt;
  }
};

/// A row: name, one line of documentation, implementation (nothing: undefined for the arguments).
struct Function {
  const char* name;
  const char* doc;
  Result (*call)(const Call&);
};

std::span<const Function> arithmetic_functions();
std::span<const Function> tensor_functions();
std::span<const Function> list_functions();

/// Argument k as an axis of a tensor of the given rank, counted from the front.
inline std::optional<int64_t> normalized(const Call& c, size_t k, int64_t rank) {
  const auto a = c.integer(k);
  if (!a || *a < -rank || *a >= rank) return std::nullopt;
  return *a < 0 ? *a + rank : *a;
}

}  // namespace tessera::rules
