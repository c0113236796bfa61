// SPDX-License-Identifier: Apache-2.0
// The operator record: everything that is true of one operator, in one file `src/ops/<name>.cpp`
// that defines `OpDef <name>()` in namespace tessera::ops::records. Shape and type inference,
// evaluation, flop and byte counts, linearity, kernels and documentation are derived from it.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ops/builder.h"
#include "ops/meaning_builder.h"
#include "ops/onnx_form.h"

namespace tessera::ops {

/// One attribute: its kind, and its default (nothing: required; see `optional`).
struct AttrDef {
  std::string name;
  ir::AttrKind kind = ir::AttrKind::integer;
  std::optional<ir::AttrValue> default_value;
  bool optional = false;  ///< may be absent without default; the record asks has_attr()
};

/// One input; a variadic one must be the last and stands for any number (at least one).
struct InputDef {
  std::string name;
  bool optional = false;
  bool variadic = false;
};

/// What a decomposition works with: the builder it adds nodes to, inputs and attributes.
class Decomposition : public AttrReader {
 public:
  Decomposition(const OpDef& def, const ir::AttrMap& attrs, Builder& builder,
                std::vector<Val> inputs, std::vector<std::shared_ptr<const ir::Graph>> regions)
      : AttrReader(def, attrs),
        builder_(&builder),
        inputs_(std::move(inputs)),
        regions_(std::move(regions)) {}

  Builder& builder() const { return *builder_; }
  int input_count() const { return static_cast<int>(inputs_.size()); }
  bool has(int k) const { return k < input_count() && inputs_[k].present(); }
  /// REQUIRES: has(k).
  Val in(int k) const;
  Val op(std::string_view name, std::vector<Val> inputs, ir::AttrMap attrs = {}) const {
    return builder_->op(name, std::move(inputs), std::move(attrs));
  }
  Val scalar(double value, DType type) const { return builder_->scalar(value, type); }
  const std::vector<std::shared_ptr<const ir::Graph>>& regions() const { return regions_; }
  template <typename... Args>
  void check(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) fail(fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail(const std::string& message) const;

 private:
  Builder* builder_;
  std::vector<Val> inputs_;
  std::vector<std::shared_ptr<const ir::Graph>> regions_;
};

/// For the few operators that no expression describes: inference and evaluation by hand.
/// `values[k]` is the value of input k when it is known, or null: an operator whose result's shape
/// depends on data throws UserError(needs_value) when the value it needs is null.
struct Opaque {
  struct Context {
    const AttrReader& attrs;
    std::span<const ir::ValueType* const> inputs;  ///< null: absent
    std::span<const Tensor* const> values;         ///< null: unknown or absent
    std::span<const std::shared_ptr<const ir::Graph>> regions;
  };
  std::function<std::vector<ir::ValueType>(const Context&)> infer;
  /// All present inputs' values are known.
  std::function<std::vector<Tensor>(const Context&)> evaluate;
};

/// Algebraic facts that cannot be derived from the meaning; a test samples every claim.
enum class Trait : uint8_t {
  commutative,  ///< f(a, b) = f(b, a)
  associative,  ///< f(f(a, b), c) = f(a, f(b, c)) over the reals / integers modulo 2^n
  idempotent,   ///< f(f(x)) = f(x), or f(x, x) = x
  involution,   ///< f(f(x)) = x
  monotone,     ///< x <= y implies f(x) <= f(y)
  even,
  odd,
};

/// Input types (and attributes) to try the operator on, in tests and fuzzers.
struct Sample {
  std::vector<ir::ValueType> inputs;
  ir::AttrMap attrs = {};
};
/// Samples of one f32 input of each given shape / of several inputs.
Sample sample(std::initializer_list<int64_t> shape, DType type = DType::f32,
              ir::AttrMap attrs = {});
Sample sample(std::vector<std::vector<int64_t>> shapes, ir::AttrMap attrs = {},
              DType type = DType::f32);

struct OpDef {
  std::string name;
  std::string doc;  ///< one sentence, and the source (paper, standard) where there is one
  std::vector<InputDef> inputs;
  std::vector<AttrDef> attrs = {};
  // Exactly one of the next three, but for the structural records input, constant, scan, barrier.
  MeaningFn meaning = {};
  std::function<std::vector<Val>(Decomposition&)> decompose = {};
  std::optional<Opaque> opaque = {};
  bool structural = false;  ///< known to the evaluators by name
  bool impure = false;      ///< random: never folded, merged or reordered
  std::vector<Trait> traits = {};
  std::vector<OnnxForm> onnx = {};
  std::vector<Sample> samples = {};
};

}  // namespace tessera::ops
