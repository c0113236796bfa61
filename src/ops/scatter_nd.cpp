// SPDX-License-Identifier: Apache-2.0
// Slices replaced or combined at positions given by index tuples.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

struct ScatterNd {
  MeaningBuilder& b;
  TensorArg data, indices, updates;
  std::vector<Size> tuples;  // extents of indices without its last axis
  int depth;                 // length of an index tuple
  std::string mode;

  // Whether the tuple at `r` names the slice of `o`. An index outside data is the user's error: the
  // read that stands for it fails.
  Expr matches(std::span<const Expr> o, std::span<const Expr> r) {
    std::optional<Expr> all;
    for (int k = 0; k < depth; ++k) {
      Indices at(r.begin(), r.end());
      at.push_back(b.integer(k));
      const Expr raw = cast(indices(at), DType::i64);
      const Expr index = ir::select(raw < b.integer(0), raw + data.dim(k), raw);
      Indices bad(o.begin(), o.end());
      bad[k] = index;
      const Expr valid = b.integer(0) <= index && index < data.dim(k);
      const Expr match = ir::select(valid, eq(index, o[k]), cast(data(bad), DType::boolean));
      all = all ? (*all && match) : match;
    }
    return all ? *all : b.pool().integer(1, DType::boolean);
  }

  Expr update(std::span<const Expr> o, std::span<const Expr> r) {
    Indices at(r.begin(), r.end());
    at.insert(at.end(), o.begin() + depth, o.end());
    return updates(at);
  }

  // Of several updates the last counts: the largest tuple number that matches.
  Expr replaced(std::span<const Expr> o) {
    const Expr last = b.reduce(ir::Reduction::max, tuples, [&](std::span<const Expr> r) {
      Expr number = b.integer(0);
      for (size_t k = 0; k < tuples.size(); ++k) number = number * tuples[k] + r[k];
      return ir::select(matches(o, r), number, b.integer(-1));
    });
    Indices r(tuples.size());
    Expr rest = last;
    for (size_t k = tuples.size(); k-- > 0;) {
      r[k] = k == 0 ? rest : mod(rest, tuples[k]);
      rest = floor_div(rest, tuples[k]);
    }
    return ir::select(last < b.integer(0), data(o), update(o, r));
  }

  Expr combined(std::span<const Expr> o, ir::Reduction reduction, ir::Prim join) {
    const Expr neutral = reduction_identity(b, reduction, data.type());
    return ir::binary(join, data(o), b.reduce(reduction, tuples, [&](std::span<const Expr> r) {
      return ir::select(matches(o, r), update(o, r), neutral);
    }));
  }
};

void scatter_nd_meaning(MeaningBuilder& b) {
  ScatterNd s{b, b.in(0), b.in(1), b.in(2), {}, 0, b.string("reduction")};
  b.check(s.data.type() == s.updates.type() && is_integer(s.indices.type()),
          "data and updates must share a type and indices be integers");
  b.check(s.indices.rank() >= 1, "indices must have rank 1 or more");
  const auto depth = s.indices.dim(-1).constant();
  b.check(depth && *depth <= s.data.rank(), "index tuples of {} for rank {}",
          s.indices.dim(-1).to_string(), s.data.rank());
  s.depth = static_cast<int>(*depth);
  s.tuples.assign(s.indices.shape().begin(), s.indices.shape().end() - 1);
  Dims expected = s.tuples;
  expected.insert(expected.end(), s.data.shape().begin() + s.depth, s.data.shape().end());
  b.check(expected.size() == s.updates.shape().size(), "updates have rank {}, expected {}",
          s.updates.rank(), expected.size());
  for (size_t k = 0; k < expected.size(); ++k)
    b.require_equal(s.updates.shape()[k], expected[k], "updates do not fit the indices");
  b.output(s.data.shape(), [&](std::span<const Expr> o) {
    if (s.mode == "none") return s.replaced(o);
    if (s.mode == "add") return s.combined(o, ir::Reduction::sum, ir::Prim::add);
    if (s.mode == "mul") return s.combined(o, ir::Reduction::prod, ir::Prim::mul);
    if (s.mode == "max") return s.combined(o, ir::Reduction::max, ir::Prim::max);
    b.check(s.mode == "min", "unknown reduction '{}'", s.mode);
    return s.combined(o, ir::Reduction::min, ir::Prim::min);
  });
}

}  // namespace

OpDef scatter_nd() {
  const ir::ValueType x{DType::f32, {3, 4, 5}}, i{DType::i64, {2, 1}}, u{DType::f32, {2, 4, 5}};
  const std::string add = "add";
  return {
      .name = "scatter_nd",
      .doc = "data with the slices at data(indices(r)…) replaced by or combined with updates(r).",
      .inputs = {{"data"}, {"indices"}, {"updates"}},
      .attrs = {{.name = "reduction",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("none")}},
      .meaning = scatter_nd_meaning,
      .onnx = {{.op = "ScatterND",
                .since = 11,
                .export_ =
                    [](OnnxExport& c) {
                      export_as(c, "ScatterND", {{"reduction", 16}});
                    }}},
      .samples = {{{x, i, u}},
                  {{x, i, u}, {{"reduction", add}}},
                  {{x, {DType::i64, {2, 2, 3}}, {DType::f32, {2, 2}}}}},
  };
}

}  // namespace tessera::ops::records
