// SPDX-License-Identifier: Apache-2.0
// Tile programs: text, errors, and lowering of every operator record against the tree walker.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"
#include "tile/program.h"
#include "types/test_difference.h"

namespace tessera::tile {
namespace {

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const UserError& e) {
    return e.what();
  }
  return "no error";
}

Tensor random_tensor(const ir::ValueType& type, Rng& rng) {
  if (type.opaque) return {};
  Tensor t(type.dtype, type.concrete_shape());
  for (int64_t k = 0; k < t.size(); ++k) {
    if (is_float(type.dtype)) t.set_float(k, rng.integer(0, 20) == 0 ? std::nan("") : rng.normal());
    else t.set_integer(k, rng.integer(0, 2));
  }
  return t;
}

TEST(Tile, lowers_the_samples_of_every_record) {
  int done = 0, refused = 0;
  for (const ops::OpDef& def : ops::registry().all()) {
    if (!def.meaning) continue;
    for (size_t s = 0; s < def.samples.size(); ++s) {
      SCOPED_TRACE(fmt::format("{} sample {}", def.name, s));
      ops::InputTypes types;
      for (const ir::ValueType& type : def.samples[s].inputs) types.push_back(&type);
      const ir::Meaning meaning = ops::instantiate(def, types, def.samples[s].attrs);
      if (meaning.outputs.size() != 1) continue;
      Program program;
      try {
        program = lower(meaning, def.name);
      } catch (const UserError& e) {
        EXPECT_EQ(e.kind(), ErrorKind::unsupported) << e.what();
        ++refused;
        continue;
      }
      EXPECT_EQ(print(parse(print(program)).program), print(program));
      Rng rng(s + 1);
      std::vector<Tensor> inputs, given;
      for (const ir::ValueType& type : meaning.inputs) {
        inputs.push_back(random_tensor(type, rng));
        if (!type.opaque) given.push_back(inputs.back());
      }
      std::vector<Tensor> expected;
      try {
        expected = ops::tree_evaluate(meaning, inputs, true);
      } catch (const UserError&) {
        EXPECT_THROW(interpret(program, {}, given), UserError);
        continue;
      }
      for (int64_t size : {0, 1, 3}) {
        Schedule schedule;
        for (const Axis& a : program.axes)
          if (size) schedule.blocks[a.name] = size;
        EXPECT_EQ(difference(expected[0], interpret(program, schedule, given)[0], 1e-9), "")
            << "blocks of " << size << "\n"
            << print(program);
      }
      ++done;
    }
  }
  EXPECT_GT(done, 200);
  EXPECT_LT(refused, done / 10);
}

TEST(Tile, says_what_is_wrong_and_where) {
  const std::string head = "program p(x: f32[N, 4]) -> (y: f32[N])\n";
  EXPECT_EQ(error_of(head + "grid i < N\ny[i] = x[i]"), "tile:3:8: x has 2 axes, found 1 indices");
  EXPECT_EQ(error_of(head + "grid i < N\ny[i] = z"), "tile:3: 'z' is no size of an input");
  EXPECT_EQ(error_of(head + "y[0] = 1.0 +"), "tile:2:13: expected a name");
  EXPECT_EQ(error_of(head + "grid i < N\nfor j < 4 { y[i] = x[i, j] }"),
            "tile:3: a value along 'j' does not fit 'y'");
  EXPECT_EQ(error_of(head + "grid i < N\ngrid j < 4\ny[i] = x[i, 0]"),
            "tile:4: programs along 'j' would store the same elements of 'y'");
  EXPECT_EQ(error_of(head + "grid i < N\nfor j < 4 { var s[i]: f32 = 0.0 }\ny[i] = s"),
            "tile:4: 's' is used outside of where it is defined");
  EXPECT_EQ(error_of(head + "grid i < N\ny[i] = x[i, 0] + i"), "tile:3:8: add of f32 and i64");
  EXPECT_EQ(error_of(head + "grid i < N\ny[i] = x[i, 0]\nschedule k = 3"),
            "tile:4:15: the schedule names an unknown axis 'k'");
}

TEST(Tile, reads_every_reference) {
  const File file = parse(
      "program p(x: f32[4]) -> (y: f32[4])\ngrid i < 4\ny[i] = x[i]\nreference\n"
      "input x: f32[4]\noutput reference_1 = x\nreference\ninput x: f32[4]\noutput y = x + 0\n");
  ASSERT_EQ(file.references.size(), 2U);
  EXPECT_EQ(file.references[0].text, "input x: f32[4]\noutput reference_1 = x");
  EXPECT_EQ(file.references[0].line, 5);
  EXPECT_EQ(file.references[1].line, 8);
}

TEST(Tile, stops_at_places_outside_of_a_parameter) {
  const File file = parse("program p(x: f32[4]) -> (y: f32[4])\ngrid i < 4\ny[i] = x[i + 1]");
  const Tensor x = Tensor::from_floats(std::array<double, 4>{1, 2, 3, 4}, {4});
  EXPECT_THROW(interpret(file.program, {}, std::array{x}), UserError);
}

TEST(Tile, binds_sizes_by_the_inputs) {
  const File file = parse(
      "program p(x: f32[N, M]) -> (y: f32[N])\ngrid i < N\nvar s[i]: f32 = 0.0\n"
      "for j < M { s = s + sum(j: x[i, j] * f32(M)) + f32(program_id(i)) * 0.0 }\ny[i] = s");
  const Shape shape{2, 3};
  const auto sizes = match_shapes(file.program, std::array{shape});
  EXPECT_EQ(sizes.at("N"), 2);
  const Tensor x = Tensor::from_floats(std::array<double, 6>{1, 2, 3, 4, 5, 6}, shape);
  const Tensor y = interpret(bind(file.program, sizes), {{{"j", 2}, {"i", 1}}}, std::array{x})[0];
  EXPECT_EQ(y.float_at(0), 18);
  EXPECT_EQ(y.float_at(1), 45);
  EXPECT_THROW(match_shapes(file.program, std::array{Shape{2}}), UserError);
}

}  // namespace
}  // namespace tessera::tile
