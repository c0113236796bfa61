// SPDX-License-Identifier: Apache-2.0
// Which steps a library computes, and in what form.
#include <algorithm>

#include "ops/attr_reader.h"
#include "ops/registry.h"
#include "plan/passes.h"

namespace tessera::plan {
namespace {

constexpr int64_t min_direct_steps = 16;

// A step whose destination is its source with the two axes exchanged.
Step transposition(Draft& d, ValueId from) {
  const Value source = d.values[from];
  Step step;
  step.op = "transpose";
  step.names = {"transpose"};
  step.nodes = {""};
  step.src = {from};
  step.dst = {d.add_value(source.dtype, {source.shape[1], source.shape[0]})};
  ir::Meaning& m = step.meaning;
  m.pool = std::make_unique<ir::ExprPool>();
  m.inputs = {{source.dtype, ir::Dims(source.shape.begin(), source.shape.end())}};
  const ir::Expr i = m.pool->variable({ir::Var::Kind::output, 0}),
                 j = m.pool->variable({ir::Var::Kind::output, 1});
  m.outputs = {{ir::Dims{source.shape[1], source.shape[0]},
                m.pool->read(0, source.dtype, std::array{j, i})}};
  return step;
}

class LibraryChoice {
 public:
  LibraryChoice(Draft& draft, const Refusals& refusals) : d_(draft), refusals_(refusals) {}

  void run() {
    for (Step& step : d_.steps) {
      if (step.kind == Step::Kind::loops && all_f32(step) &&
          !refusals_.operators.contains(step.op == "gemm" ? "matmul" : step.op)) {
        if (step.op == "conv" || step.op == "conv_transpose") choose_convolution(step);
        else if (step.op == "matmul") choose_matmul(step);
        else if (step.op == "gemm") choose_gemm(step);
      }
      if (is_direct(step)) step.kind = Step::Kind::direct;
      steps_.push_back(std::move(step));
    }
    d_.steps = std::move(steps_);
  }

 private:
  const Value& value(ValueId v) const { return d_.values[v]; }

  // f32 and not empty throughout.
  bool all_f32(const Step& s) const {
    const auto fits = [&](ValueId v) {
      return v == no_value || (value(v).dtype == DType::f32 && value(v).elements() > 0);
    };
    return std::all_of(s.src.begin(), s.src.end(), fits) && fits(s.dst[0]);
  }

  // Whose meanings take far more steps than their results have elements, once the axis that they
  // walk along is long; short ones are better fused.
  bool is_direct(const Step& s) const {
    if (s.kind != Step::Kind::loops || refusals_.operators.contains(s.op)) return false;
    if (value(s.dst[0]).elements() == 0) return false;
    if (s.op == "scatter_elements" || s.op == "scatter_nd")
      return value(s.src[1]).elements() >= min_direct_steps;
    if (s.op != "cum_sum" && s.op != "cum_prod") return false;
    const Shape& shape = value(s.dst[0]).shape;
    const ops::AttrReader attrs(ops::registry().get(s.op), s.attrs);
    return shape[static_cast<size_t>(attrs.axis("axis", static_cast<int>(shape.size())))] >=
           min_direct_steps;
  }

  void choose_convolution(Step& s) {
    const size_t rank = value(s.dst[0]).shape.size();
    if (rank < 3 || rank > 5) return;
    if (s.op == "conv_transpose") {
      // oneDNN has no padding of the output.
      const ops::AttrReader attrs(ops::registry().get(s.op), s.attrs);
      for (int64_t extra : attrs.integers("output_padding"))
        if (extra != 0) return;
    }
    for (int64_t pad : ops::AttrReader(ops::registry().get(s.op), s.attrs).integers("pads"))
      if (pad < 0) return;
    s.kind = Step::Kind::library;
    s.src.resize(3, no_value);
  }

  void choose_matmul(Step& s) {
    s.kind = Step::Kind::library;
    s.attrs.clear();
    s.src.resize(3, no_value);
  }

  void choose_gemm(Step& s) {
    const ops::AttrReader attrs(ops::registry().get("gemm"), s.attrs);
    const double alpha = attrs.real("alpha"), beta = attrs.real("beta");
    const ValueId c = s.src.size() > 2 && beta != 0 ? s.src[2] : no_value;
    if (c != no_value) {
      const Shape& shape = value(c).shape;
      const Shape& to = value(s.dst[0]).shape;
      const bool row = !shape.empty() && shape.back() == to[1] &&
                       (shape.size() == 1 || shape[0] == 1 || shape[0] == to[0]);
      if (beta != 1 || !row) return;
    }
    s.kind = Step::Kind::library;
    s.src.resize(2);
    if (attrs.flag("transA")) s.src[0] = transposed(s.src[0]);
    if (attrs.flag("transB")) s.src[1] = transposed(s.src[1]);
    s.op = "matmul";
    s.attrs.clear();
    s.src.push_back(no_value);
    if (alpha != 1) s.post.push_back({.kind = codegen::PostOp::Kind::linear, .alpha = alpha});
    if (c == no_value) return;
    if (alpha == 1 && value(c).shape.size() == 1) {
      s.src[2] = c;
      return;
    }
    s.post.push_back({.kind = codegen::PostOp::Kind::add, .operand = 3});
    s.src.push_back(c);
  }

  ValueId transposed(ValueId v) {
    steps_.push_back(transposition(d_, v));
    return steps_.back().dst[0];
  }

  Draft& d_;
  const Refusals& refusals_;
  std::vector<Step> steps_;
};

}  // namespace

void choose_libraries(Draft& draft, const Refusals& refusals) {
  LibraryChoice(draft, refusals).run();
}

// A concatenation that no loops took in is done by copying rows.
void choose_copies(Draft& draft) {
  for (Step& s : draft.steps)
    if (!s.dead && s.kind == Step::Kind::loops && s.op == "concat" &&
        draft.values[s.dst[0]].elements() > 0)
      s.kind = Step::Kind::library;
}

}  // namespace tessera::plan
