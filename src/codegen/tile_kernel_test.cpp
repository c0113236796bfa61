// SPDX-License-Identifier: Apache-2.0
// Compiled tile programs against the interpreter: every operator record lowered, at block sizes
// that are multiples of nothing; indices that lie outside.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "codegen/tile_kernel.h"
#include "ops/registry.h"
#include "types/test_difference.h"

namespace tessera::codegen {
namespace {

Tensor random_tensor(const ir::ValueType& type, Rng& rng) {
  Tensor t(type.dtype, type.concrete_shape());
  for (int64_t k = 0; k < t.size(); ++k) {
    if (is_float(type.dtype)) t.set_float(k, rng.integer(0, 20) == 0 ? std::nan("") : rng.normal());
    else t.set_integer(k, rng.integer(0, 2));
  }
  return t;
}

struct Outcome {
  std::vector<Tensor> results;
  int64_t code = 0;
};

// Memory that a kernel leaves untouched holds what no result would.
Outcome run(const tile::Program& p, const tile::Schedule& s, std::span<const Tensor> inputs) {
  Jit jit({.threads = 1});
  const EmittedKernel emitted = tile_kernel(p, s);
  const LoopKernel kernel = jit.compile({}, std::span(&emitted, 1))[0];
  Outcome outcome;
  std::vector<const std::byte*> src;
  std::vector<std::byte*> dst;
  for (const Tensor& t : inputs) src.push_back(t.data());
  for (size_t k = p.inputs; k < p.params.size(); ++k) {
    const Shape shape = ir::ValueType{p.params[k].type, p.params[k].shape}.concrete_shape();
    outcome.results.emplace_back(p.params[k].type, shape);
    std::fill_n(outcome.results.back().mutable_data(), outcome.results.back().bytes(),
                std::byte{0x5a});
  }
  for (Tensor& t : outcome.results) dst.push_back(t.mutable_data());
  for (int64_t row = kernel.rows; row-- > 0;)
    outcome.code |= kernel.run(src.data(), dst.data(), row, row + 1);
  return outcome;
}

// Of sums in another order, relative to the precision of what is written.
double rounding(const Tensor& t) {
  return t.type() == DType::f32 || t.type() == DType::f64 ? 2e-5 : 2e-2;
}

TEST(TileKernel, computes_every_record_as_the_interpreter_does) {
  int done = 0;
  for (const ops::OpDef& def : ops::registry().all()) {
    if (!def.meaning) continue;
    for (size_t s = 0; s < def.samples.size(); ++s) {
      SCOPED_TRACE(fmt::format("{} sample {}", def.name, s));
      ops::InputTypes types;
      for (const ir::ValueType& type : def.samples[s].inputs) types.push_back(&type);
      const ir::Meaning meaning = ops::instantiate(def, types, def.samples[s].attrs);
      if (meaning.outputs.size() != 1) continue;
      tile::Program program;
      try {
        program = tile::lower(meaning, def.name);
      } catch (const UserError&) {
        continue;  // what tiles do not express; tile_test counts them
      }
      Rng rng(s + 1);
      std::vector<Tensor> inputs;
      for (const ir::ValueType& type : meaning.inputs)
        if (!type.opaque) inputs.push_back(random_tensor(type, rng));
      const int64_t size = std::array<int64_t, 3>{0, 3, 2}[s % 3];
      tile::Schedule schedule;
      for (const tile::Axis& a : program.axes)
        if (size) schedule.blocks[a.name] = size;
      std::vector<Tensor> expected;
      try {
        expected = tile::interpret(program, schedule, inputs);
      } catch (const UserError&) {
        EXPECT_EQ(run(program, schedule, inputs).code, 1);
        continue;
      }
      const Outcome found = run(program, schedule, inputs);
      EXPECT_EQ(found.code, 0);
      EXPECT_EQ(difference(expected[0], found.results[0], rounding(found.results[0])), "")
          << "blocks of " << size << "\n"
          << tile::print(program);
      ++done;
    }
  }
  EXPECT_GT(done, 200);
}

Tensor ramp(Shape shape) {
  Tensor t(DType::f32, std::move(shape));
  for (int64_t k = 0; k < t.size(); ++k) t.set_float(k, std::sin(static_cast<double>(k)));
  return t;
}

// Variables along loops, sums over what is replaced meanwhile, scatters, and gathers.
TEST(TileKernel, keeps_variables_along_loops) {
  const tile::File file = tile::parse(
      "program p(x: f32[R, C]) -> (y: f32[R, C], z: f32[C, R])\n"
      "grid i < R\n"
      "for j < C {\n"
      "  var t[i, j]: f32 = x[i, C - 1 - j] * 2.0\n"
      "  t = t / (1.0 + sum(j: t * t)) + f32(program_id(i)) * 0.0\n"
      "  y[i, j] = t\n"
      "  z[C - 1 - j, i | j > 2] = t\n"
      "  z[C - 1 - j, i | j <= 2] = -t\n"
      "}\n"
      "schedule i = 3, j = 21");
  for (int64_t c : {1, 5, 16, 42, 50}) {
    const Tensor x = ramp({7, c});
    const tile::Program p = tile::bind(file.program, {{"R", 7}, {"C", c}});
    const std::vector<Tensor> expected = tile::interpret(p, file.schedule, std::array{x});
    const Outcome found = run(p, file.schedule, std::array{x});
    EXPECT_EQ(found.code, 0);
    for (size_t k = 0; k < 2; ++k)
      EXPECT_EQ(difference(expected[k], found.results[k], rounding(found.results[k])), "") << c;
  }
}

TEST(TileKernel, gives_the_grid_the_lanes_where_memory_favours_it) {
  const tile::File file = tile::parse(
      "program p(x: f32[R, C], w: f32[R]) -> (y: f32[C])\n"
      "grid j < C\n"
      "var s[j]: f32 = 0.0\n"
      "for i < R { s = max(s, sum(i: x[i, j] * w[i])) + sum(i: w[i]) }\n"
      "y[j] = s\n"
      "schedule j = 37, i = 5");
  const Tensor x = ramp({23, 101}), w = ramp({23});
  const tile::Program p = tile::bind(file.program, {{"R", 23}, {"C", 101}});
  const std::vector<Tensor> expected = tile::interpret(p, file.schedule, std::array{x, w});
  const Outcome found = run(p, file.schedule, std::array{x, w});
  EXPECT_EQ(difference(expected[0], found.results[0], rounding(found.results[0])), "");
}

TEST(TileKernel, reports_places_outside_and_leaves_memory_alone) {
  const auto code = [](const std::string& body, int64_t n) {
    const tile::File file = tile::parse("program p(x: f32[N]) -> (y: f32[N])\ngrid i < N\n" + body);
    return run(tile::bind(file.program, {{"N", n}}), {}, std::array{ramp({n})}).code;
  };
  for (int64_t n : {1, 16, 19}) {
    EXPECT_EQ(code("y[i] = x[i + 1]", n), 1);
    EXPECT_EQ(code("y[i] = x[i - 1]", n), 1);
    EXPECT_EQ(code("y[i + 1000000000] = x[i]", n), 1);
    EXPECT_EQ(code("y[i] = x[i + 1 | i + 1 < N]", n), 0);
    EXPECT_EQ(code("y[i] = x[i - 1 | 1 <= i]", n), 0);
    EXPECT_EQ(code("y[i] = x[i64(x[i]) + 5 | x[i] > 2.0]", n), 0);
  }
}

TEST(TileKernel, says_what_it_does_not_compile) {
  const auto error = [](const std::string& text) -> std::string {
    const tile::File file = tile::parse(text);
    try {
      run(tile::bind(file.program, {{"N", 300000}}), file.schedule, {});
    } catch (const UserError& e) {
      EXPECT_EQ(e.kind(), ErrorKind::unsupported);
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(error("program p(x: f32[N]) -> (y: f32[N])\ngrid i < N\ny[i] = sum(i: x[i])"),
            "p: a reduction along 'i', an axis of the grid, is not compiled: its value would "
            "depend on the schedule");
  EXPECT_TRUE(error("program p(x: f32[N]) -> (y: f32[1])\ngrid i < 1\nvar s[i]: f32 = 0.0\n"
                    "for j < N { var t[j]: f32 = x[j] s = s + sum(j: t * t) }\ny[i] = s")
                  .starts_with("p: variable 't' takes 1200000 bytes of a thread's stack"));
}

}  // namespace
}  // namespace tessera::codegen
