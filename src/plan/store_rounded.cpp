// SPDX-License-Identifier: Apache-2.0
// Values that products in bf16 alone read, as their first operand, are rounded where they are made
// instead of where they are read: the same numbers, but half the bytes and one pass less.
#include <algorithm>

#include "base/check.h"
#include "plan/passes.h"
#include "plan/request.h"

namespace tessera::plan {
namespace {

class Rounding {
 public:
  Rounding(Draft& draft, codegen::Target& target, const CompileOptions& options)
      : d_(draft), target_(target), options_(options), readers_(draft.values.size()) {
    for (size_t k = 0; k < d_.steps.size(); ++k)
      for (size_t n = 0; n < d_.steps[k].src.size(); ++n)
        if (const ValueId v = d_.steps[k].src[n]; v != no_value)
          readers_[d_.root(v)].push_back({k, n});
  }

  void run() {
    for (size_t k = 0; k < d_.steps.size(); ++k)
      if (makes_alone(k) && are_products(readers_[d_.steps[k].dst[0]])) round(k);
  }

 private:
  struct Reader {
    size_t step = 0, number = 0;
  };

  // Whether a step is all that writes its result, in memory of its own.
  bool makes_alone(size_t k) const {
    const Step& s = d_.steps[k];
    if ((s.kind != Step::Kind::library && s.kind != Step::Kind::loops) || s.dst.size() != 1)
      return false;
    const ValueId v = s.dst[0];
    const auto lies_in = [&](ValueId other) { return d_.root(other) == v; };
    const auto writes = [&](const Step& other) {
      return &other != &s && std::any_of(other.dst.begin(), other.dst.end(), lies_in);
    };
    return d_.values[v].dtype == DType::f32 && !d_.values[v].alias && !readers_[v].empty() &&
           std::none_of(d_.outputs.begin(), d_.outputs.end(), lies_in) &&
           std::none_of(d_.steps.begin(), d_.steps.end(), writes);
  }

  bool are_products(const std::vector<Reader>& readers) const {
    return std::all_of(readers.begin(), readers.end(), [&](const Reader& r) {
      const Step& s = d_.steps[r.step];
      return r.number == 0 && precision_of(s, r.step, options_) == codegen::Precision::bf16;
    });
  }

  void set_type(ValueId root, DType type) {
    for (ValueId v = 0; v < d_.values.size(); ++v)
      if (d_.root(v) == root) d_.values[v].dtype = type;
  }

  bool takes(size_t k) {
    std::deque<Tensor> made;
    codegen::LibraryRequest request = library_request(d_, d_.steps[k], options_, made);
    request.precision = precision_of(d_.steps[k], k, options_);
    return target_.takes_rounded(request);
  }

  void round(size_t k) {
    Step& s = d_.steps[k];
    const ValueId v = s.dst[0];
    set_type(v, DType::bf16);
    const auto& readers = readers_[v];
    const bool fits =
        (s.kind == Step::Kind::loops || takes(k)) &&
        std::all_of(readers.begin(), readers.end(), [&](const Reader& r) { return takes(r.step); });
    if (!fits) return set_type(v, DType::f32);
    if (s.kind == Step::Kind::loops)
      s.meaning.outputs[0].body = cast(s.meaning.outputs[0].body, DType::bf16);
  }

  Draft& d_;
  codegen::Target& target_;
  const CompileOptions& options_;
  std::vector<std::vector<Reader>> readers_;  ///< by root
};

}  // namespace

void store_rounded(Draft& draft, codegen::Target& target, const CompileOptions& options) {
  std::erase_if(draft.steps, [](const Step& s) { return s.dead; });
  Rounding(draft, target, options).run();
}

}  // namespace tessera::plan
