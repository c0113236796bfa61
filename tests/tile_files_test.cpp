// SPDX-License-Identifier: Apache-2.0
// Every examples/tile/*.tile computes what its reference says, at its own block sizes and at
// others.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/rng.h"
#include "lang/parse.h"
#include "ops/evaluate.h"
#include "tile/program.h"

namespace tessera {
namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string compare(const tile::File& file, const std::map<std::string, int64_t>& sizes,
                    const tile::Schedule& schedule) {
  const ir::Graph reference =
      lang::parse_program(file.references[0].text, file.program.name, sizes);
  Rng rng(5);
  std::vector<Tensor> inputs;
  for (ir::NodeId id : reference.inputs()) {
    const ir::ValueType& type = reference.node(id).outputs[0];
    inputs.emplace_back(type.dtype, type.concrete_shape());
    for (int64_t k = 0; k < inputs.back().size(); ++k) inputs.back().set_float(k, rng.normal());
  }
  const std::vector<Tensor> expected = ops::evaluate(reference, inputs);
  const std::vector<Tensor> found =
      tile::interpret(tile::bind(file.program, sizes), schedule, inputs);
  if (found.size() != expected.size()) return "another number of results";
  for (size_t k = 0; k < found.size(); ++k) {
    if (found[k].shape() != expected[k].shape()) return "another shape";
    for (int64_t n = 0; n < found[k].size(); ++n) {
      const double e = expected[k].float_at(n), f = found[k].float_at(n);
      if (!(std::fabs(e - f) <= 1e-12 * std::max(1.0, std::fabs(e))))
        return fmt::format("element {}: {}, expected {}", n, f, e);
    }
  }
  return {};
}

// The sizes that the program has.
std::map<std::string, int64_t> those_of(const tile::Program& program,
                                        std::map<std::string, int64_t> sizes) {
  std::map<std::string, sym::Expr> names;
  for (const tile::Param& param : program.params)
    for (const sym::Expr& d : param.shape) d.collect_symbols(names);
  std::erase_if(sizes, [&](const auto& size) { return !names.contains(size.first); });
  return sizes;
}

TEST(TileFiles, compute_what_their_references_say) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("examples/tile")) {
    if (entry.path().extension() != ".tile") continue;
    SCOPED_TRACE(entry.path().string());
    const tile::File file = tile::parse(read_text(entry.path()), entry.path().filename().string());
    bool odd = false;
    for (const auto& [axis, size] : file.schedule.blocks) odd |= (size & (size - 1)) != 0;
    EXPECT_TRUE(odd) << "a block size that is no power of two";
    ASSERT_FALSE(file.references.empty());
    const std::map<std::string, int64_t> all_sizes[] = {
        {{"R", 13}, {"C", 205}, {"M", 17}, {"K", 83}, {"N", 101}},
        {{"R", 1}, {"C", 1}, {"M", 1}, {"K", 1}, {"N", 1}},
        {{"R", 6}, {"C", 96}, {"M", 28}, {"K", 40}, {"N", 96}}};
    for (const auto& every : all_sizes) {
      const auto some = those_of(file.program, every);
      EXPECT_EQ(compare(file, some, file.schedule), "");
      EXPECT_EQ(compare(file, some, {}), "");
      tile::Schedule small = file.schedule;
      for (auto& [axis, size] : small.blocks) size = 3;
      EXPECT_EQ(compare(file, some, small), "");
    }
    ++files;
  }
  EXPECT_GE(files, 5);
}

}  // namespace
}  // namespace tessera
