// SPDX-License-Identifier: Apache-2.0
// Attribute domains by the attribute's name and kind.
#include "prove/domain.h"

#include <algorithm>
#include <functional>

namespace tessera::prove {
namespace {

using rules::TermValue;
using Sizes = std::vector<sym::Expr>;

std::vector<TermValue> permutations(int rank) {
  std::vector<TermValue> all{Sizes{}};  // the reversal
  std::vector<int64_t> perm;
  for (int k = 0; k < rank; ++k) perm.push_back(k);
  do all.push_back(Sizes(perm.begin(), perm.end()));
  while (std::next_permutation(perm.begin(), perm.end()));
  return all;
}

// Every choice of axes in every order, each axis counted from the front or from the back.
void ordered_lists(int rank, size_t most, Sizes& taken, std::vector<TermValue>& all) {
  if (taken.size() == most) return;
  for (int axis = 0; axis < rank; ++axis) {
    const bool used = std::any_of(taken.begin(), taken.end(), [&](const sym::Expr& e) {
      return e == sym::Expr(axis) || e == sym::Expr(axis - rank);
    });
    if (used) continue;
    for (const int spelled : {axis, axis - rank}) {
      taken.push_back(spelled);
      all.push_back(taken);
      ordered_lists(rank, most, taken, all);
      taken.pop_back();
    }
  }
}

std::vector<TermValue> axis_lists(int rank) {
  constexpr size_t complete = 2;
  std::vector<TermValue> all{Sizes{}};
  Sizes taken;
  ordered_lists(rank, complete, taken, all);
  for (unsigned set = 0; set < (1U << rank); ++set) {
    Sizes front, back;
    for (int axis = 0; axis < rank; ++axis)
      if (set >> axis & 1U) {
        front.push_back(axis);
        back.push_back(axis - rank);
      }
    if (front.size() <= complete) continue;
    for (Sizes* list : {&front, &back}) {
      all.push_back(*list);
      std::reverse(list->begin(), list->end());
      all.push_back(*list);
    }
  }
  return all;
}

bool is_flag(const std::string& name) {
  static const std::vector<std::string> flags{"keepdims",
                                              "ceil_mode",
                                              "count_include_pad",
                                              "transA",
                                              "transB",
                                              "upper",
                                              "is_causal",
                                              "exclusive",
                                              "reverse",
                                              "allowzero",
                                              "largest",
                                              "sorted",
                                              "interleaved",
                                              "select_last_index",
                                              "log",
                                              "noop_with_empty_axes"};
  return std::find(flags.begin(), flags.end(), name) != flags.end();
}

}  // namespace

bool is_window(const std::string& name) {
  return name == "strides" || name == "dilations" || name == "pads" || name == "kernel_shape";
}

bool is_list_of_sizes(const ops::AttrDef& def) {
  return def.kind == ir::AttrKind::dims || is_window(def.name);
}

bool counts_from_zero(const ops::AttrDef& def) {
  return def.name == "pads" || def.name == "starts";
}

bool is_counted(const ops::AttrDef& def) { return def.name == "group" || def.name == "num_groups"; }

std::vector<TermValue> finite_domain(const ops::OpDef& op, const ops::AttrDef& def, int rank) {
  std::vector<TermValue> all;
  if (def.name == "perm") return permutations(rank);
  if (def.name == "axes") {
    all = axis_lists(rank);
    // Without axes, every axis of extent 1 goes: which these are, symbols do not tell.
    if (op.name == "squeeze") all.erase(all.begin());
    return all;
  }
  if (def.kind == ir::AttrKind::integer) {
    if (is_flag(def.name)) return {sym::Expr(0), sym::Expr(1)};
    if (def.name == "axis")  // of a new axis, or of a cut between axes, there is one more
      for (int axis = -rank - 1; axis <= rank; ++axis) all.emplace_back(sym::Expr(axis));
  }
  if (def.kind == ir::AttrKind::dtype)
    for (const DType type :
         {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::i16, DType::i32,
          DType::i64, DType::u8, DType::u16, DType::u32, DType::u64, DType::boolean})
      all.emplace_back(type);
  if (def.kind == ir::AttrKind::string) {
    if (def.name == "approximate") return {std::string("none"), std::string("tanh")};
    if (def.name == "mode" && op.name == "pad")
      for (const char* mode : {"constant", "reflect", "edge", "wrap"})
        all.emplace_back(std::string(mode));
  }
  return all;
}

}  // namespace tessera::prove
