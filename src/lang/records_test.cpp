// SPDX-License-Identifier: Apache-2.0
// Every operator record on every one of its samples as a program: printed, parsed, hashed.
#include <gtest/gtest.h>

#include "base/check.h"
#include "lang/parse.h"
#include "lang/print.h"
#include "ops/canonical.h"
#include "ops/hash.h"
#include "ops/registry.h"
#include "ops/verify.h"

namespace tessera::lang {
namespace {

// One node of the operator; its inputs are constants where inference needs their values.
ir::Graph graph_of(const ops::OpDef& def, const ops::Sample& sample, bool constants) {
  ops::Builder b;
  std::vector<ops::Val> inputs;
  for (size_t k = 0; k < sample.inputs.size(); ++k) {
    const ir::ValueType& type = sample.inputs[k];
    if (type.opaque) inputs.emplace_back();
    else if (constants) inputs.push_back(b.constant(Tensor(type.dtype, type.concrete_shape())));
    else inputs.push_back(b.input(fmt::format("x{}", k), type));
  }
  const auto results = b.op_n(def.name, std::move(inputs), sample.attrs);
  for (size_t k = 0; k < results.size(); ++k) b.output(fmt::format("y{}", k), results[k]);
  return std::move(b).finish();
}

ir::Graph graph_of(const ops::OpDef& def, const ops::Sample& sample) {
  try {
    return graph_of(def, sample, false);
  } catch (const UserError& e) {
    if (e.kind() != ErrorKind::needs_value) throw;
    return graph_of(def, sample, true);
  }
}

TEST(LangRecords, every_sample_round_trips_through_text) {
  int count = 0;
  for (const ops::OpDef& def : ops::registry().all())
    for (const ops::Sample& sample : def.samples) {
      SCOPED_TRACE(def.name);
      const ir::Graph graph = graph_of(def, sample);
      const std::string text = print(graph);
      SCOPED_TRACE(text);
      ops::verify(graph);
      EXPECT_EQ(ops::identity_hash(graph), ops::identity_hash(parse_program(text, def.name)));
      const ir::Graph canonical = ops::canonicalize(graph);
      ops::verify(canonical);
      EXPECT_EQ(ops::identity_hash(canonical), ops::identity_hash(ops::canonicalize(canonical)));
      if (def.decompose) {
        const ops::InputTypes types = ops::input_types(graph, graph.nodes().back());
        const ir::Graph body = ops::decompose(def, types, sample.attrs);
        ops::verify(body);
        EXPECT_EQ(ops::identity_hash(body), ops::identity_hash(parse_program(print(body), "body")));
      }
      ++count;
    }
  EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace tessera::lang
