// SPDX-License-Identifier: Apache-2.0
// The kernels around the tiles.
#include "backend/cpu/pair_kernel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>

#include "backend/cpu/parallel.h"
#include "backend/cpu/row_rounding.h"
#include "base/check.h"
#include "codegen/loop_kernel.h"
#include "runtime/aligned_buffer.h"

namespace tessera::backend::cpu {
namespace {

using codegen::Contraction;
using codegen::ContractionSchedule;
using codegen::LibraryRequest;
using Kind = Contraction::Pairs::Kind;

constexpr size_t most_operands = 14;

// Where tiles that share rows follow each other, rows are rounded block by block, each block before
// its tiles run, so that they are still in the first caches. Threads take the blocks of whole
// slots, which have a place for one block each.
struct RowBlocks {
  RowBlocks() = default;
  static constexpr int64_t block_bytes = 24 << 10;  // half of a first-level cache

  // None where the tiles' rows are not the rounded ones, one after the other. REQUIRES: each sum
  // runs over one row.
  RowBlocks(const Contraction& c, const ContractionSchedule& s, const RowRounding& rounding,
            int threads) {
    const int64_t row = rounding.row_elements(), rows = rounding.rows();
    if (s.columns_outer || !c.batch.empty() || c.rows.size() != 1 || 2 * c.rows[0].a != row ||
        c.rows[0].extent != rows || rows == 0)
      return;
    const codegen::ContractionTiles t = cut_tiles(c, s);
    const auto tiles = static_cast<int64_t>(t.inner.size());
    const int64_t together = std::max<int64_t>(block_bytes / (2 * row * s.rows), 1);
    for (int64_t tile = 0; tile < tiles; tile += together) {
      first_tile.push_back(tile);
      first_row.push_back(t.inner[static_cast<size_t>(tile)].first);
      if (first_row.size() > 1) most = std::max(most, first_row.back() - *(first_row.end() - 2));
    }
    first_tile.push_back(tiles);
    most = std::max(most, rows - first_row.back());
    first_row.push_back(rows);
    panels = t.panels;
    slots = threads == 1 ? 1 : std::min<int64_t>(count(), 4 * int64_t{threads});
  }
  int64_t count() const { return static_cast<int64_t>(first_tile.size()) - 1; }

  std::vector<int64_t> first_tile, first_row;  // of each block, and behind the last
  int64_t panels = 1, slots = 0, most = 0;     // most rows of a block
};

class PairKernel : public runtime::Kernel {
 public:
  PairKernel(const KernelShop& shop, Code code, const Contraction& c, const ContractionSchedule& s,
             RowRounding rounding, bool by_row, std::vector<int> operands, int threads)
      : jit_(shop.jit),
        code_(std::move(code)),
        rounding_(std::move(rounding)),
        operands_(std::move(operands)),
        useful_threads_(threads_for(c, threads)),
        blocks_(by_row ? RowBlocks(c, s, rounding_, useful_threads_) : RowBlocks()),
        by_row_(by_row) {
    implementation_ = (c.has_units() ? "i16 tiles " : "bf16 tiles ") + s.to_string();
  }

  void set_packed(runtime::AlignedBuffer packed) { packed_ = std::move(packed); }

  bool reads(size_t number) const override { return number != 1; }
  std::string implementation() const override { return implementation_; }

 protected:
  int threads(const runtime::KernelArgs& args) const {
    return std::min(args.threads, useful_threads_);
  }

  // The tiles over rounded rows, with more operands at the end.
  void run_tiles(const runtime::KernelArgs& args, const std::byte* rounded,
                 std::initializer_list<const float*> more) const {
    const Sources sources(*this, args, more);
    parallel_for(threads(args), code_->rows, [&](int64_t begin, int64_t end) {
      sources.run(*code_, rounded, args.dst, begin, end);
    });
  }

  // Whether run_blocks() takes the place of rounding and run_tiles().
  bool has_blocks() const { return blocks_.slots > 0; }
  // `round(to, begin, end)` rounds rows, of which row 0 would lie at `to`.
  template <typename F>
  void run_blocks(const runtime::KernelArgs& args, std::initializer_list<const float*> more,
                  F round) const {
    const Sources sources(*this, args, more);
    const RowBlocks& b = blocks_;
    const auto row_bytes = static_cast<ptrdiff_t>(rounding_.row_elements() * 2);
    parallel_for(threads(args), b.slots, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot)
        for (int64_t k = b.count() * slot / b.slots; k < b.count() * (slot + 1) / b.slots; ++k) {
          const auto n = static_cast<size_t>(k);
          std::byte* rows = args.scratch + (slot * b.most - b.first_row[n]) * row_bytes;
          round(reinterpret_cast<uint16_t*>(rows), b.first_row[n], b.first_row[n + 1]);
          sources.run(*code_, rows, args.dst, b.first_tile[n] * b.panels,
                      b.first_tile[n + 1] * b.panels);
        }
    });
  }

  // Whether each sum runs over one row.
  bool by_row() const { return by_row_; }
  const RowRounding& rounding() const { return rounding_; }
  // For the rounded rows.
  size_t rounded_bytes() const {
    if (!has_blocks()) return rounding_.bytes();
    return static_cast<size_t>(blocks_.slots * blocks_.most * rounding_.row_elements()) * 2;
  }

 private:
  // What the tiles read besides the rounded rows.
  struct Sources {
    Sources(const PairKernel& kernel, const runtime::KernelArgs& args,
            std::initializer_list<const float*> more) {
      TESSERA_CHECK(kernel.code_->run, "a kernel is run before it is finished");
      src[1] = reinterpret_cast<const std::byte*>(kernel.packed_.get());
      size_t next = 2;
      for (const int source : kernel.operands_) src[next++] = args.src[source];
      for (const float* p : more) src[next++] = reinterpret_cast<const std::byte*>(p);
    }
    void run(const codegen::LoopKernel& code, const std::byte* rounded, std::byte* const* dst,
             int64_t begin, int64_t end) const {
      auto own = src;
      own[0] = rounded;
      code.run(own.data(), dst, begin, end);
    }
    std::array<const std::byte*, most_operands + 4> src{};
  };

  static int threads_for(const Contraction& c, int threads) {
    const double bytes = 4.0 * static_cast<double>(c.reduction() * c.column.extent);
    return std::min(threads, useful_threads(product_nanoseconds(c.flops() / 2, bytes)));
  }

  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  Code code_;
  RowRounding rounding_;
  std::vector<int> operands_;
  runtime::AlignedBuffer packed_;
  std::string implementation_;
  int useful_threads_;
  RowBlocks blocks_;
  bool by_row_;
};

class Bf16Kernel : public PairKernel {
 public:
  using PairKernel::PairKernel;
  bool is_stored = false;  ///< the first source is rounded

  void run(const runtime::KernelArgs& args) const override {
    if (is_stored) return run_tiles(args, args.src[0], {});
    const auto round = [&](uint16_t* to, int64_t begin, int64_t end) {
      rounding().round(reinterpret_cast<const float*>(args.src[0]), to, begin, end);
    };
    if (has_blocks()) return run_blocks(args, {}, round);
    parallel_for(threads(args), rounding().rows(), [&](int64_t begin, int64_t end) {
      round(reinterpret_cast<uint16_t*>(args.scratch), begin, end);
    });
    run_tiles(args, args.scratch, {});
  }
  size_t scratch_bytes() const override { return is_stored ? 0 : rounded_bytes(); }
};

// Every row has its own unit where sums run over one row each, else
// all have the largest.
class IntegerKernel : public PairKernel {
 public:
  using PairKernel::PairKernel;
  std::vector<float> column_units;
  std::function<std::shared_ptr<const runtime::Kernel>()> make_direct;

  size_t scratch_bytes() const override {
    return units_offset() + static_cast<size_t>(rounding().rows()) * sizeof(float);
  }

  void run(const runtime::KernelArgs& args) const override {
    const auto* from = reinterpret_cast<const float*>(args.src[0]);
    auto* to = reinterpret_cast<uint16_t*>(args.scratch);
    auto* units = reinterpret_cast<float*>(args.scratch + units_offset());
    std::atomic<bool> finite{true};
    const auto round = [&](uint16_t* rows, int64_t begin, int64_t end) {
      if (!rounding().to_integers(from, rows, units, begin, end)) finite = false;
    };
    const int64_t rows = rounding().rows();
    if (has_blocks()) {
      run_blocks(args, {units, column_units.data()}, round);
      if (finite) return;
    } else if (by_row()) {
      parallel_for(threads(args), rows, [&](int64_t begin, int64_t end) { round(to, begin, end); });
    } else {
      units[0] = measure(args, units);
      finite = !std::isnan(units[0]);
      if (finite)
        parallel_for(threads(args), rows, [&](int64_t begin, int64_t end) {
          rounding().divide(from, to, begin, end, units[0]);
        });
    }
    if (finite) return run_tiles(args, args.scratch, {units, column_units.data()});
    std::call_once(made_, [&] { direct_ = make_direct(); });
    direct_->run({args.src, args.dst, nullptr, args.threads});
  }

 private:
  // The largest unit of all rows, or NaN; `units` has room for one a row.
  float measure(const runtime::KernelArgs& args, float* units) const {
    const int64_t rows = rounding().rows(), parts = std::min<int64_t>(rows, 64);
    parallel_for(threads(args), parts, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part)
        units[part] = rounding().measure(reinterpret_cast<const float*>(args.src[0]),
                                         rows * part / parts, rows * (part + 1) / parts);
    });
    if (std::any_of(units, units + parts, [](float u) { return std::isnan(u); })) return NAN;
    return *std::max_element(units, units + parts);
  }
  size_t units_offset() const { return (rounded_bytes() + 63) / 64 * 64; }

  mutable std::once_flag made_;
  mutable std::shared_ptr<const runtime::Kernel> direct_;
};

runtime::AlignedBuffer pack(const Contraction& c, const ContractionSchedule& s,
                            const Tensor& weights, const float* units) {
  const int64_t count = codegen::packed_elements(c, s);
  runtime::AlignedBuffer packed = count > 0 ? runtime::allocate_aligned(count) : nullptr;
  pack_b(c, s, codegen::loose_floats(weights), packed.get(), units);
  return packed;
}

// Whether each sum runs over one row of the first operand.
bool is_row_by_row(const Contraction& c, int64_t row) {
  const auto whole = [&](const Contraction::Axis& axis) { return axis.a % row == 0; };
  return c.reduce.size() == 1 && c.a_offset == 0 &&
         std::all_of(c.batch.begin(), c.batch.end(), whole) &&
         std::all_of(c.rows.begin(), c.rows.end(), whole);
}

// A convolution of a few channels, which pairs double: two instead of one, four instead of three.
bool is_first_layer(const Contraction& c, codegen::VectorUnit unit) {
  return c.packed && c.batch.empty() && c.column.extent >= unit.lanes;
}

RowRounding rounding_of(const LibraryRequest& r) {
  return {r.src[0], r.op == "conv" ? 1 : r.src[0].shape.size() - 1};
}

}  // namespace

LibraryRequest unrounded(LibraryRequest r) {
  if (!is_rounded(r)) return r;
  r.dst.dtype = r.src[0].dtype = DType::f32;
  return r;
}

bool lies_rounded(const LibraryRequest& r) {
  const codegen::View& v = r.src[0];
  if (v.shape.empty()) return false;
  const RowRounding rounding = rounding_of(r);
  const size_t inner = r.op == "conv" ? 1 : v.shape.size() - 1;
  if (rounding.row_elements() != v.shape[inner]) return false;
  for (size_t axis = 0; axis < v.shape.size(); ++axis)
    if (v.shape[axis] != 1 && v.strides[axis] != rounding.strides()[axis]) return false;
  return true;
}

std::shared_ptr<const runtime::Kernel> make_pairs(const LibraryRequest& r, const KernelShop& shop) {
  const bool is_short = r.precision == codegen::Precision::i16_short;
  const bool integers = is_short || r.precision == codegen::Precision::i16;
  if (!(integers ? shop.unit.has_i16 : shop.unit.has_bf16)) return nullptr;
  if (!r.constants[1] || r.src[0].shape.empty() || (r.op != "matmul" && r.op != "conv"))
    return nullptr;
  const bool is_stored = r.src[0].dtype == DType::bf16;
  if (is_stored && (integers || !lies_rounded(r))) return nullptr;
  LibraryRequest rounded = unrounded(r);
  RowRounding rounding = rounding_of(r);
  if (integers && !rounding.is_dense() && !rounding.has_planes()) return nullptr;
  rounded.src[0].strides = rounding.strides();
  std::optional<ContractionForm> form = contraction_form(rounded);
  if (!form || form->contraction.reduction() == 0 || form->operands.size() > most_operands)
    return nullptr;
  if (!has_tiles(form->contraction, shop.unit) && !is_first_layer(form->contraction, shop.unit))
    return nullptr;
  form->contraction.rounds = r.dst.dtype == DType::bf16;
  const int64_t row = rounding.row_elements();
  const bool by_row = rounding.is_dense() && is_row_by_row(form->contraction, row);
  const std::optional<Contraction> c =
      pair_up(form->contraction, integers ? Kind::i16 : Kind::bf16, by_row ? row : 0,
              is_short ? codegen::short_pairs : codegen::usual_pairs);
  if (!c || (is_short && c->pairs->parts == 1)) return nullptr;
  const ContractionSchedule s = choose_schedule(*c, shop.unit);
  const auto code = [&] { return shop.compile(key_of(*c, s), contraction_kernel(*c, s)); };
  if (!integers) {
    auto kernel = std::make_shared<Bf16Kernel>(shop, code(), *c, s, rounding, by_row && !is_stored,
                                               form->operands, r.threads);
    kernel->is_stored = is_stored;
    kernel->set_packed(pack(*c, s, *r.constants[1], nullptr));
    return kernel;
  }
  // Rows of the first operand, pixels, that one sum of integers runs over.
  const bool many = !by_row && r.op == "conv" && !c->pairs->chunked;
  const int64_t taps = many ? form->contraction.reduction() / r.src[1].shape[1] : 1;
  rounding.set_sums(c->pairs->parts > 1 ? 2 * c->chunk() : row, std::max<int64_t>(taps, 1));
  std::vector<float> units = codegen::column_units(*c, codegen::loose_floats(*r.constants[1]));
  if (!std::all_of(units.begin(), units.end(), [](float u) { return std::isfinite(u); }))
    return nullptr;
  auto kernel = std::make_shared<IntegerKernel>(shop, code(), *c, s, rounding, by_row,
                                                form->operands, r.threads);
  kernel->set_packed(pack(*c, s, *r.constants[1], units.data()));
  units.resize(units.size() + static_cast<size_t>(shop.unit.lanes));  // vectors of them are read
  kernel->column_units = std::move(units);
  kernel->make_direct = shop.direct;
  return kernel;
}

}  // namespace tessera::backend::cpu
