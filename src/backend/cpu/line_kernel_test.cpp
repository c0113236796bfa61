// SPDX-License-Identifier: Apache-2.0
// Random chains a few lines at a time against their convolutions one after the other: the same
// bits.
#include "backend/cpu/line_kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <optional>

#include "backend/cpu/line_plan.h"
#include "backend/cpu/target.h"
#include "base/rng.h"

namespace tessera::backend::cpu {
namespace {

using codegen::LibraryRequest;
using codegen::LineRequest;
using codegen::PostOp;

codegen::View channels_last(const Shape& s) {
  return {DType::f32, s, {s[1] * s[2] * s[3], 1, s[1] * s[3], s[1]}};
}

Tensor random_tensor(const Shape& shape, Rng& rng, bool has_rare) {
  constexpr float rare[] = {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(), -0.0F};
  Tensor t(DType::f32, shape);
  for (int64_t i = 0; i < t.size(); ++i)
    t.mutable_as<float>()[i] = has_rare && rng.integer(0, 999) == 0
                                   ? rare[rng.integer(0, 2)]
                                   : static_cast<float>(rng.normal());
  return t;
}

// A chain with its tensors: what it reads from outside, and what each member makes.
struct Chain {
  LineRequest request;
  std::deque<Tensor> tensors;
  std::vector<std::vector<const Tensor*>> sources;  ///< by member; null where a member makes it
  std::vector<Tensor> results;
};

// One more convolution that reads the last result, or the chain's input.
bool extend(Chain& chain, Rng& rng, int threads) {
  const bool is_first = chain.results.empty();
  const Shape x = is_first ? chain.tensors[0].shape() : chain.results.back().shape();
  const bool is_depthwise = rng.integer(0, 1) != 0 && x[1] >= 16;
  const int64_t kernel = is_depthwise ? rng.integer(1, 5) : rng.integer(0, 2) == 0 ? 2 : 1;
  const int64_t channels = is_depthwise ? x[1] : rng.integer(8, 40);
  const std::vector<int64_t> strides{rng.integer(1, 2), rng.integer(1, 2)},
      dilations{rng.integer(1, 2), 1},
      pads{rng.integer(0, 2), rng.integer(0, 2), rng.integer(0, 2), rng.integer(0, 2)};
  Shape y{x[0], channels, 0, 0};
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t room = x[axis + 2] + pads[axis] + pads[axis + 2] - (kernel - 1) * dilations[axis];
    if (room < 1) return false;
    y[axis + 2] = (room - 1) / strides[axis] + 1;
  }
  LineRequest::Member m;
  LibraryRequest& r = m.request;
  r.op = "conv";
  r.attrs = {{"strides", strides}, {"dilations", dilations}, {"pads", pads}};
  if (is_depthwise) r.attrs.emplace("group", channels);
  r.threads = threads;
  r.generated_only = r.own_products = true;
  const Shape weights{channels, is_depthwise ? 1 : x[1], kernel, kernel};
  const Tensor& w = chain.tensors.emplace_back(random_tensor(weights, rng, false));
  const Tensor& bias = chain.tensors.emplace_back(random_tensor({channels}, rng, false));
  r.src = {channels_last(x),
           {DType::f32, weights, codegen::dense_strides(weights)},
           {DType::f32, {channels}, {1}}};
  r.constants = {nullptr, &w, nullptr};
  m.made_by = {static_cast<int>(chain.results.size()) - 1, -1, -1};
  std::vector<const Tensor*> from{is_first ? &chain.tensors[0] : nullptr, &w, &bias};
  r.dst = channels_last(y);
  // A residual connection, from a member where one has the shape.
  int other = -2;
  for (size_t k = 0; k < chain.results.size(); ++k)
    if (chain.results[k].shape() == y) other = static_cast<int>(k);
  if (other == -2 && rng.integer(0, 2) == 0) other = -1;
  if (other > -2) {
    r.post.push_back({.kind = PostOp::Kind::add, .operand = 3});
    r.src.push_back(channels_last(y));
    r.constants.push_back(nullptr);
    m.made_by.push_back(other);
    from.push_back(other < 0 ? &chain.tensors.emplace_back(random_tensor(y, rng, true)) : nullptr);
  }
  if (rng.integer(0, 1)) r.post.push_back({.kind = PostOp::Kind::relu});
  else if (rng.integer(0, 1)) r.post.push_back({.kind = PostOp::Kind::swish});
  if (!fits_lines(r, codegen::host_vector_unit())) return false;
  chain.request.members.push_back(std::move(m));
  chain.sources.push_back(std::move(from));
  chain.results.emplace_back(DType::f32, y);
  return true;
}

void run(const runtime::Kernel& kernel, const std::vector<const std::byte*>& src, Tensor& dst,
         int threads) {
  Tensor scratch(DType::u8, {static_cast<int64_t>(kernel.scratch_bytes()) + 64});
  std::byte* out[] = {dst.mutable_data()};
  kernel.run({src.data(), out, scratch.mutable_data(), threads});
}

bool same_bits(const Tensor& a, const Tensor& b) {
  for (int64_t i = 0; i < a.size(); ++i) {
    const float x = a.as<float>()[i], y = b.as<float>()[i];
    if (!(std::isnan(x) && std::isnan(y)) && std::memcmp(&x, &y, 4) != 0) return false;
  }
  return true;
}

TEST(LineKernel, gives_the_bits_of_its_convolutions) {
  Rng rng(11);
  int chains = 0, several_steps = 0, strips = 0;
  for (int round = 0; round < 50; ++round) {
    const int threads = static_cast<int>(rng.integer(1, 3));
    Chain chain;
    // Wide images whose pixels are apart by whole lines of the cache have tiles in strips.
    const bool is_wide = round >= 40;
    const int64_t channels = is_wide ? 64 : rng.integer(3, 40),
                  width = is_wide ? rng.integer(70, 90) : rng.integer(12, 40);
    chain.tensors.push_back(random_tensor({rng.integer(1, 2), channels, rng.integer(5, 30), width},
                                          rng, round % 2 == 1));
    const auto count = static_cast<size_t>(rng.integer(2, 5));
    for (int tries = 0; chain.results.size() < count && tries < 20; ++tries)
      extend(chain, rng, threads);
    if (chain.results.size() < 2) continue;
    const auto target = make_target({.use_library = false});
    std::vector<std::shared_ptr<const runtime::Kernel>> kernels, whole;
    for (const auto& m : chain.request.members) kernels.push_back(target->make_library(m.request));
    for (int64_t bytes = int64_t{1} << 22; bytes > 0; bytes /= 2) {
      chain.request.near_bytes = bytes;
      auto kernel = target->make_lines(chain.request);
      if (!kernel) break;
      whole.push_back(std::move(kernel));
    }
    ASSERT_FALSE(whole.empty());
    target->make_loops({});
    std::vector<const std::byte*> outside;
    for (size_t m = 0; m < kernels.size(); ++m) {
      std::vector<const std::byte*> src;
      for (size_t k = 0; k < chain.sources[m].size(); ++k) {
        const int from = chain.request.members[m].made_by[k];
        const Tensor* given = chain.sources[m][k];
        src.push_back(given ? given->data() : chain.results[size_t(from)].data());
        if (given) outside.push_back(given->data());
      }
      ASSERT_TRUE(kernels[m]);
      run(*kernels[m], src, chain.results[m], threads);
      strips += kernels[m]->implementation().find("strips") != std::string::npos;
    }
    for (const auto& kernel : whole) {
      Tensor found(DType::f32, chain.results.back().shape());
      run(*kernel, outside, found, threads);
      EXPECT_TRUE(same_bits(found, chain.results.back()))
          << "round " << round << ": " << kernel->implementation();
      ++chains;
    }
    several_steps += whole.size() > 2;
  }
  EXPECT_GT(chains, 100);
  EXPECT_GT(several_steps, 10);
  EXPECT_GT(strips, 3);
}

// A window as memory: which line lies at each place.
using Window = std::vector<std::optional<int64_t>>;

struct Replay {
  const std::vector<LineMember>& members;
  const LinePlan& plan;
  std::vector<Window> windows;
  std::vector<int64_t> starts;
  std::vector<bool> stored;  ///< lines of the last member
  int64_t computed = 0;

  void run(const LineStep& s) {
    const LineMember& m = members[s.member];
    const bool is_last = s.member + 1 == members.size();
    ASSERT_LT(s.first, s.end);
    ASSERT_LE(s.end, m.lines);
    computed += s.end - s.first;
    if (!is_last) {
      Window& w = windows[s.member];
      for (int64_t k = 0; k < s.kept; ++k) w.at(size_t(k)) = w.at(size_t(s.from + k));
      starts[s.member] = s.window;
    }
    for (int64_t line = s.first; line < s.end; ++line) {
      for (const auto& link : m.links)
        for (int64_t k = 0; k < link.span; ++k) {
          const int64_t at = line * link.stride - link.before + k;
          if (at < 0 || at >= members[link.from].lines) continue;
          const int64_t place = at - starts[link.from];
          ASSERT_GE(place, 0);
          ASSERT_EQ(windows[link.from].at(size_t(place)), at);
        }
      if (is_last) {
        ASSERT_FALSE(stored[size_t(line)]);
        stored[size_t(line)] = true;
      } else {
        windows[s.member].at(size_t(line - s.window)) = line;
      }
    }
  }
};

TEST(LinePlan, computes_every_line_after_what_it_needs) {
  Rng rng(3);
  int64_t computed = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<LineMember> members{{rng.integer(1, 40), 64 * rng.integer(1, 3), {}}};
    const auto count = static_cast<size_t>(rng.integer(2, 6));
    while (members.size() < count) {
      const size_t before = members.size() - 1;
      const int64_t lines = members[before].lines, stride = rng.integer(1, 3),
                    span = rng.integer(1, 7), top = rng.integer(0, 3), bottom = rng.integer(0, 3);
      const int64_t result = (lines + top + bottom - span) / stride + 1;
      if (lines + top + bottom < span) continue;
      LineMember next{result, 64, {{before, stride, top, span}}};
      for (size_t other = 0; other < before; ++other)  // a residual connection
        if (members[other].lines == result && rng.integer(0, 1)) next.links.push_back({other});
      members.push_back(next);
    }
    const LinePlan plan = plan_lines(members, rng.integer(1, 4), rng.integer(1, 9));
    Replay replay{members, plan, {}, std::vector<int64_t>(count, 0), {}, 0};
    replay.stored.assign(size_t(members.back().lines), false);
    for (const auto& band : plan.bands) {
      replay.windows.clear();
      for (int64_t lines : plan.windows) replay.windows.emplace_back(size_t(lines));
      for (const LineStep& s : band) ASSERT_NO_FATAL_FAILURE(replay.run(s)) << "round " << round;
    }
    for (bool is_stored : replay.stored) ASSERT_TRUE(is_stored);
    computed += replay.computed;
  }
  EXPECT_GT(computed, 10000);
}

TEST(LinePlan, keeps_what_a_window_of_three_lines_needs) {
  const std::vector<LineMember> chain{{100, 64, {}}, {100, 64, {{0, 1, 1, 3}}}};
  const LinePlan plan = plan_lines(chain, 1, 1);
  EXPECT_EQ(plan.windows, (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(plan.computed, (std::vector<int64_t>{100, 100}));
  EXPECT_EQ(plan_lines(chain, 2, 50).computed, (std::vector<int64_t>{102, 100}));
}

}  // namespace
}  // namespace tessera::backend::cpu
