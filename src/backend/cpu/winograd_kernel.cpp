// SPDX-License-Identifier: Apache-2.0
// Blocks of squares are transformed, multiplied and transformed back while they are in the
// second-level cache; a thread takes whole blocks, or all threads share the steps of one. In i16
// the transformed inputs are rounded to integers, a unit for each square and point, before the
// products.
#include "backend/cpu/winograd_kernel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>

#include "backend/cpu/parallel.h"
#include "backend/cpu/row_rounding.h"
#include "base/check.h"
#include "codegen/loop_kernel.h"
#include "ops/attr_reader.h"
#include "ops/meaning_text.h"
#include "ops/registry.h"
#include "runtime/aligned_buffer.h"

namespace tessera::backend::cpu {
namespace {

using codegen::Contraction;
using codegen::ContractionSchedule;
using codegen::LibraryRequest;
using codegen::WinogradProblem;

// Cycles of one thread for the steps, and of memory for the weights, on a Zen 5 core: 64 operations
// a cycle at the efficiency that products and direct convolutions reach, about 8 bytes a cycle from
// memory, of which prefetching hides some 40 %; a vector of channels of one square takes `before`
// and `after` cycles in the transformations.
struct Cost {
  double before, after;
};
constexpr Cost cost2{90, 70}, cost4{230, 200};
constexpr double operations = 64, product_efficiency = 0.85, direct_efficiency = 0.95;
constexpr double byte_cycles = 0.6 / 8;
// Products of integers are so much faster than those of f32; a vector takes `rounding` cycles.
constexpr double integer_speed = 1.8, rounding = 4;
constexpr double worthwhile = 0.92;  // of the direct cost

double direct_cycles(const Contraction& c, int threads, bool integers) {
  const double weights = (integers ? 2.0 : 4.0) * static_cast<double>(c.reduction());
  return c.flops() / operations / direct_efficiency / threads / (integers ? integer_speed : 1) +
         weights * static_cast<double>(c.column.extent) * byte_cycles;
}

double winograd_cycles(const WinogradProblem& p, int threads, bool integers) {
  const auto squares = static_cast<double>(p.squares()), points = static_cast<double>(p.points());
  const auto in = static_cast<double>(p.channels), out = static_cast<double>(p.out_channels);
  const Cost& cost = p.tile == 2 ? cost2 : cost4;
  const double speed = operations * product_efficiency * (integers ? integer_speed : 1);
  const double products = 2 * points * squares * in * out / speed;
  const double before = cost.before + (integers ? points * rounding : 0);
  const double around = squares * (in * before + out * cost.after) / 16;
  return (products + around) / threads + (integers ? 2 : 4) * points * in * out * byte_cycles;
}

// Squares of one block, by what moves between the caches: every block reads the weights again, and
// what does not fit the second-level cache is written and read once more. Bytes a second: 60e9 from
// the third level, 30e9 from memory.
int64_t block_size(const WinogradProblem& p) {
  constexpr double second_level = 700e3, third_level = 20e6;
  const auto points = static_cast<double>(p.points());
  const double weights = 4 * points * static_cast<double>(p.channels * p.out_channels);
  const double square = 4 * points * static_cast<double>(p.channels + p.out_channels);
  const double all = square * static_cast<double>(p.squares());
  double best = HUGE_VAL;
  int64_t block = p.squares();
  for (int64_t blocks = 1; 8 * blocks <= std::max<int64_t>(p.squares(), 8); ++blocks) {
    const int64_t size = (p.squares() + blocks - 1) / blocks;
    double seconds = 0;
    if (weights > second_level / 2)
      seconds += static_cast<double>(blocks) * weights / (weights < third_level ? 60e9 : 30e9);
    if (square * static_cast<double>(size) > second_level) seconds += 2 * all / 50e9;
    if (seconds < best * 0.98) best = seconds, block = size;
  }
  return block;
}

// `row`: elements from one square's transformed input to the next.
Contraction products(const WinogradProblem& p, int64_t row) {
  Contraction c;
  c.batch = {{.extent = p.points(),
              .a = p.block * row,
              .b = p.channels * p.out_channels,
              .dst = p.block * p.out_channels}};
  c.rows = {{.extent = p.block, .a = row, .dst = p.out_channels}};
  c.reduce = {{.extent = p.channels, .a = 1, .b = p.out_channels}};
  c.column = {.extent = p.out_channels, .b = 1, .dst = 1};
  return c;
}

std::string key_of(const WinogradProblem& p, const std::string& step) {
  std::string key = fmt::format("winograd {} {} {} {},{} {} {},{} {} {},{} {},{},{} {},{},{} {}",
                                step, p.tile, p.images, p.height, p.width, p.channels, p.out_height,
                                p.out_width, p.out_channels, p.pad_top, p.pad_left, p.src[0],
                                p.src[1], p.src[2], p.dst[0], p.dst[1], p.dst[2], p.block);
  for (const auto& o : p.operands) key += fmt::format(" {},{},{},{}", o[0], o[1], o[2], o[3]);
  if (p.epilogue) key += ops::print_meaning(*p.epilogue, "epilogue");
  return key;
}

class WinogradKernel : public runtime::Kernel {
 public:
  WinogradKernel(const WinogradProblem& p, std::vector<int> operands, int threads,
                 std::function<std::shared_ptr<const runtime::Kernel>()> make_direct)
      : p_(p), operands_(std::move(operands)), make_direct_(std::move(make_direct)) {
    blocks_ = (p.squares() + p.block - 1) / p.block;
    parts_ = static_cast<int>(std::min<int64_t>(threads, blocks_));
    // A few blocks that do not divide evenly are shared, one after the other, instead.
    shared_ = threads > 1 && (blocks_ < threads || (blocks_ < 4 * threads && blocks_ % threads));
    if (shared_) parts_ = 1;
    v_floats_ = p.points() * p.block * p.channels;
    m_floats_ = p.points() * p.block * p.out_channels;
  }

  Code input, output, product;
  runtime::AlignedBuffer weights;
  std::shared_ptr<codegen::Jit> code;
  std::optional<RowRounding> integers;  ///< rounds transformed inputs
  std::vector<float> column_units;      ///< then those of the weights

  size_t scratch_bytes() const override {
    return static_cast<size_t>(parts_ * part_floats()) * sizeof(float);
  }
  bool reads(size_t number) const override { return number != 1; }
  std::string implementation() const override {
    return fmt::format("{}winograd F({},3) {} squares", integers ? "i16 " : "", p_.tile, p_.block);
  }

  void run(const runtime::KernelArgs& args) const override {
    std::atomic<bool> finite{true};
    const int threads = std::min(args.threads, shared_ ? args.threads : parts_);
    if (shared_) {
      for (int64_t block = 0; block < blocks_; ++block) run_block(args, block, 0, threads, finite);
    } else {
      parallel_for(threads, parts_, [&](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part)
          for (int64_t b = blocks_ * part / parts_; b < blocks_ * (part + 1) / parts_; ++b)
            run_block(args, b, part, 1, finite);
      });
    }
    if (finite) return;
    std::call_once(made_, [&] { direct_ = make_direct_(); });
    direct_->run({args.src, args.dst, nullptr, args.threads});
  }

 private:
  static int64_t lines(int64_t floats) { return (floats + 15) / 16 * 16; }
  int64_t rounded_floats() const {
    return integers ? lines(static_cast<int64_t>(integers->bytes()) / 4) : 0;
  }
  // Transformed inputs, sums, rounded inputs, and their units.
  int64_t part_floats() const {
    return v_floats_ + m_floats_ + rounded_floats() + (integers ? lines(integers->rows()) : 0);
  }

  template <typename F>
  static void share(int threads, int64_t first, int64_t last, F f) {
    if (threads == 1) return f(first, last);
    parallel_for(threads, last - first,
                 [&](int64_t begin, int64_t end) { f(first + begin, first + end); });
  }

  void run_block(const runtime::KernelArgs& args, int64_t block, int64_t part, int threads,
                 std::atomic<bool>& finite) const {
    auto* v = reinterpret_cast<float*>(args.scratch) + part * part_floats();
    float* m = v + v_floats_;
    const int64_t first = block * p_.block, last = std::min(first + p_.block, p_.squares());
    std::byte* v_zero = reinterpret_cast<std::byte*>(v - first * p_.channels);
    share(threads, first, last,
          [&](int64_t begin, int64_t end) { input->run(args.src, &v_zero, begin, end); });
    float* rounded = integers ? m + m_floats_ : v;
    float* units = rounded + rounded_floats();
    if (integers)
      share(threads, 0, p_.points(), [&](int64_t begin, int64_t end) {
        for (int64_t point = begin; point < end; ++point)
          if (!integers->to_integers(v, reinterpret_cast<uint16_t*>(rounded), units,
                                     point * p_.block, point * p_.block + last - first))
            finite = false;
      });
    share(threads, 0, product->rows, [&](int64_t begin, int64_t end) {
      const std::byte* src[] = {reinterpret_cast<const std::byte*>(rounded),
                                reinterpret_cast<const std::byte*>(weights.get()),
                                reinterpret_cast<const std::byte*>(units),
                                reinterpret_cast<const std::byte*>(column_units.data())};
      auto* dst = reinterpret_cast<std::byte*>(m);
      product->run(src, &dst, begin, end);
    });
    share(threads, first, last, [&](int64_t begin, int64_t end) {
      const std::byte* src[16] = {reinterpret_cast<const std::byte*>(m - first * p_.out_channels)};
      for (size_t k = 0; k < operands_.size(); ++k) src[k + 1] = args.src[operands_[k]];
      if (output->run(src, args.dst, begin, end)) finite = false;
    });
  }

  WinogradProblem p_;
  std::vector<int> operands_;
  std::function<std::shared_ptr<const runtime::Kernel>()> make_direct_;
  mutable std::once_flag made_;
  mutable std::shared_ptr<const runtime::Kernel> direct_;  // made when it is first needed
  int64_t blocks_ = 1, v_floats_ = 0, m_floats_ = 0;
  int parts_ = 1;
  bool shared_ = false;
};

}  // namespace

std::optional<WinogradProblem> winograd_form(const LibraryRequest& r,
                                             const ContractionForm& direct) {
  if (r.op != "conv" || r.dst.shape.size() != 4 || !r.constants[1]) return std::nullopt;
  const ops::AttrReader attrs(ops::registry().get("conv"), r.attrs);
  const auto all_one = [](const std::vector<int64_t>& v) {
    return std::all_of(v.begin(), v.end(), [](int64_t x) { return x == 1; });
  };
  const Shape &x = r.src[0].shape, &w = r.src[1].shape, &y = r.dst.shape;
  if (w[2] != 3 || w[3] != 3 || attrs.integer("group") != 1 ||
      !all_one(attrs.integers("strides")) || !all_one(attrs.integers("dilations")))
    return std::nullopt;
  const std::vector<int64_t>&xs = r.src[0].strides, &ys = r.dst.strides;
  if (xs[1] != 1 || ys[1] != 1) return std::nullopt;
  const std::vector<int64_t> pads = attrs.integers("pads");
  WinogradProblem p;
  p.images = x[0], p.channels = x[1], p.height = x[2], p.width = x[3];
  p.out_channels = y[1], p.out_height = y[2], p.out_width = y[3];
  if (!pads.empty()) p.pad_top = pads[0], p.pad_left = pads[1];
  p.src[0] = xs[0], p.src[1] = xs[2], p.src[2] = xs[3];
  p.dst[0] = ys[0], p.dst[1] = ys[2], p.dst[2] = ys[3];
  p.epilogue = direct.contraction.epilogue;
  for (int source : direct.operands) {
    if (source == 2) {
      p.operands.push_back({0, 0, 0, 1});
      continue;
    }
    const codegen::View& v = r.src[static_cast<size_t>(source)];
    std::array<int64_t, 4> full{};  // n, c, h, w
    for (size_t axis = 0; axis < v.shape.size(); ++axis)
      if (v.shape[axis] > 1) full[4 - v.shape.size() + axis] = v.strides[axis];
    if (full[1] > 1) return std::nullopt;
    p.operands.push_back({full[0], full[2], full[3], full[1]});
  }
  const bool integers = r.precision == codegen::Precision::i16;
  double best = direct_cycles(direct.contraction, r.threads, integers) * worthwhile;
  std::optional<WinogradProblem> chosen;
  for (int tile : {4, 2}) {
    p.tile = tile;
    const double cycles = winograd_cycles(p, r.threads, integers);
    if (cycles < best) best = cycles, chosen = p;
  }
  if (!chosen) return std::nullopt;
  chosen->block = block_size(*chosen);
  return chosen;
}

std::shared_ptr<const runtime::Kernel> make_winograd(
    const LibraryRequest& r, const WinogradProblem& p, std::vector<int> operands,
    codegen::VectorUnit unit, std::shared_ptr<codegen::Jit> code,
    const std::function<Code(const std::string&, codegen::EmittedKernel)>& compile,
    Packings& packings, std::function<std::shared_ptr<const runtime::Kernel>()> direct) {
  auto kernel =
      std::make_shared<WinogradKernel>(p, std::move(operands), r.threads, std::move(direct));
  kernel->code = std::move(code);
  kernel->input = compile(key_of(p, "input"), winograd_input(p, unit.lanes));
  kernel->output = compile(key_of(p, "output"), winograd_output(p, unit.lanes));
  Contraction c = products(p, p.channels);
  if (r.precision == codegen::Precision::i16) {
    const Shape rows{p.points() * p.block, p.channels};
    kernel->integers.emplace(codegen::View{DType::f32, rows, codegen::dense_strides(rows)},
                             size_t{1});
    const int64_t row = kernel->integers->row_elements();
    c = *pair_up(products(p, row), Contraction::Pairs::Kind::i16, row);
    kernel->integers->set_sums(c.pairs->parts > 1 ? 2 * c.chunk() : row, 1);
  }
  const ContractionSchedule s = choose_schedule(c, unit);
  kernel->product = compile(key_of(p, (c.pairs ? "i16 products " : "products ") + s.to_string()),
                            contraction_kernel(c, s));
  const std::vector<int64_t>& w = r.src[1].strides;
  kernel->weights = runtime::allocate_aligned(packed_elements(c, s));
  packings.push_back(
      [p, c, s, kernel, from = *r.constants[1], strides = std::array{w[0], w[1], w[2], w[3]}] {
        const std::vector<float> transformed =
            winograd_weights(p, codegen::loose_floats(from), strides);
        // Units that are no numbers make the sums so, and the result is computed directly.
        if (c.pairs) kernel->column_units = column_units(c, transformed.data());
        pack_b(c, s, transformed.data(), kernel->weights.get(),
               c.pairs ? kernel->column_units.data() : nullptr);
        kernel->column_units.resize(kernel->column_units.size() + 16);  // vectors of them are read
      });
  return kernel;
}

}  // namespace tessera::backend::cpu
