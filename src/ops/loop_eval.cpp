// SPDX-License-Identifier: Apache-2.0
// The quick reference evaluator: runs lane programs of the same meanings as the tree walker, over
// blocks of output elements that threads take one after another.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "ops/evaluate.h"
#include "ops/loop_kernels.h"
#include "ops/loop_program.h"
#include "ops/move_eval.h"

namespace tessera::ops {
namespace {

using lanes::Slot;
using Op = Instruction::Op;

// An input as 8-byte slots: doubles or int64.
struct Source {
  Tensor tensor;
  const int64_t* data = nullptr;
  int64_t size = 0;
};

Source widened(const Tensor& tensor) {
  Source source;
  if (tensor.size() == 0) return source;
  const DType type = is_float(tensor.type())       ? DType::f64
                     : tensor.type() == DType::u64 ? DType::u64
                                                   : DType::i64;
  source.tensor = tensor.converted(type);
  source.data = source.tensor.as<int64_t>();
  source.size = source.tensor.size();
  return source;
}

// Which output elements make one block: `count` consecutive ones.
struct Blocks {
  int64_t size = 0, lanes = 1, row = 0;  // row: 0, or the extent of the last axis, cut into tiles
  int64_t count() const {
    return row ? size / row * ((row + lanes - 1) / lanes) : (size + lanes - 1) / lanes;
  }
  // With rows, the same tile of every row comes first: what the tile reads stays in the cache.
  std::pair<int64_t, int64_t> range(int64_t block) const {
    if (!row) return {block * lanes, std::min(size, (block + 1) * lanes)};
    const int64_t rows = size / row, tile = block / rows, start = block % rows * row;
    return {start + tile * lanes, start + std::min(row, (tile + 1) * lanes)};
  }
};

class Runner {
 public:
  Runner(const LoopProgram& program, std::span<const Source> sources, const Shape& shape)
      : program_(program),
        sources_(sources),
        shape_(shape),
        slots_(program.registers),
        storage_(program.registers * static_cast<size_t>(lanes::block)),
        summaries_(program.registers) {
    for (const auto& [r, bits] : program.constants) {
      *own(r) = bits;
      slots_[r] = {own(r), true};
    }
  }

  /// The elements [first, last); the result is a slot. Returns the first poisoned lane or -1.
  int64_t run(int64_t first, int64_t last) {
    n_ = last - first;
    for (const auto& [r, axis] : program_.axes) set_axis(r, axis, first);
    execute(program_.code);
    if (program_.poison == no_register) return -1;
    const Slot poison = slots_[program_.poison];
    for (int64_t i = 0; i < (poison.uniform ? 1 : n_); ++i)
      if (static_cast<const int64_t*>(poison.data)[i]) return i;
    return -1;
  }
  Slot result() const { return slots_[program_.result]; }

 private:
  struct Summary {
    int64_t low = 0, high = 0;
    bool contiguous = false;
  };

  int64_t* own(Register r) { return storage_.data() + r * static_cast<size_t>(lanes::block); }
  int64_t uniform(Register r) const {
    return r == no_register ? 0 : *static_cast<const int64_t*>(slots_[r].data);
  }
  Slot slot(Register r) const { return r == no_register ? Slot{} : slots_[r]; }

  void set_axis(Register r, uint32_t axis, int64_t first) {
    int64_t inner = 1;
    for (size_t k = axis + 1; k < shape_.size(); ++k) inner *= shape_[k];
    int64_t index = first / inner % shape_[axis], left = inner - first % inner;
    slots_[r] = {own(r), left >= n_};
    const int64_t count = left >= n_ ? 1 : n_;
    for (int64_t i = 0; i < count; ++i) {
      own(r)[i] = index;
      if (--left == 0) {
        left = inner;
        if (++index == shape_[axis]) index = 0;
      }
    }
  }

  void execute(const std::vector<Instruction>& code) {
    for (const Instruction& in : code) {
      switch (in.op) {
        case Op::primitive: {
          const Slot a = slot(in.args[0]), b = slot(in.args[1]);
          const int64_t n = begin(in, a.uniform && b.uniform);
          lanes::apply(in.prim, in.type, own(in.dst), a, b, n);
          if (in.rounds) lanes::round_f32(own(in.dst), n);
          break;
        }
        case Op::select: select(in); break;
        case Op::cast: {
          const Slot a = slot(in.args[0]);
          lanes::convert(in.type, in.to, own(in.dst), a, begin(in, a.uniform));
          break;
        }
        case Op::sum: sum(in); break;
        case Op::not_negative: not_negative(in); break;
        case Op::load: load(in); break;
        case Op::outside: outside(in); break;
        case Op::reduce: reduce(program_.loops[in.detail], in); break;
      }
    }
  }

  // Points the result at its own storage; the number of slots to write.
  int64_t begin(const Instruction& in, bool is_uniform) {
    slots_[in.dst] = {own(in.dst), is_uniform};
    return is_uniform ? 1 : n_;
  }

  void select(const Instruction& in) {
    const Slot c = slot(in.args[0]), a = slot(in.args[1]), b = slot(in.args[2]);
    if (c.uniform) {
      slots_[in.dst] = *static_cast<const int64_t*>(c.data) ? a : b;
      return;
    }
    lanes::select(own(in.dst), c, a, b, begin(in, false));
  }

  void sum(const Instruction& in) {
    const LaneSum& sum = program_.sums[in.detail];
    const bool is_uniform = std::all_of(sum.terms.begin(), sum.terms.end(),
                                        [&](const auto& t) { return slots_[t.first].uniform; });
    const int64_t n = begin(in, is_uniform);
    int64_t* dst = own(in.dst);
    lanes::fill(dst, sum.constant, n);
    for (const auto& [r, coefficient] : sum.terms)
      lanes::add_scaled(dst, slots_[r], coefficient, n);
    if (!in.summarize) return;
    Summary& s = summaries_[in.dst];
    lanes::summarize(dst, n, s.low, s.high, s.contiguous);
    if (s.low == s.high) slots_[in.dst].uniform = true;
  }

  void not_negative(const Instruction& in) {
    const int64_t limit = -(uniform(in.args[1]) + program_.sums[in.detail].constant);
    const Register r = in.args[0];
    if (r == no_register || summaries_[r].low >= limit || summaries_[r].high < limit) {
      begin(in, true);
      *own(in.dst) = r == no_register ? 0 >= limit : summaries_[r].low >= limit;
      return;
    }
    lanes::at_least(own(in.dst), static_cast<const int64_t*>(slots_[r].data), limit,
                    begin(in, false));
  }

  void load(const Instruction& in) {
    const LaneLoad& load = program_.loads[in.detail];
    const Source& source = sources_[load.input];
    const int64_t offset = static_cast<int64_t>(static_cast<uint64_t>(load.constant) +
                                                static_cast<uint64_t>(uniform(load.uniform)));
    const Slot lane = slot(load.lanes);
    Summary s = load.lanes == no_register ? Summary{} : summaries_[load.lanes];
    const __int128 low = static_cast<__int128>(offset) + s.low;
    const __int128 high = static_cast<__int128>(offset) + s.high;
    const bool is_inside = low >= 0 && high < source.size;
    if (is_inside && (lane.uniform || s.contiguous)) {
      slots_[in.dst] = {source.data + offset + s.low, lane.uniform};
      return;
    }
    const int64_t zero = 0;
    const auto* at = load.lanes == no_register ? &zero : static_cast<const int64_t*>(lane.data);
    const int64_t n = begin(in, lane.uniform);
    lanes::gather(own(in.dst), source.data, source.size, at, offset, is_inside, n);
  }

  void outside(const Instruction& in) {
    const BoundsCheck& check = program_.checks[in.detail];
    const bool is_uniform = std::all_of(check.indices.begin(), check.indices.end(),
                                        [&](const auto& i) { return slots_[i.first].uniform; });
    const int64_t n = begin(in, is_uniform);
    lanes::fill(own(in.dst), 0, n);
    for (const auto& [r, extent] : check.indices)
      lanes::mark_outside(own(in.dst), slots_[r], extent, n);
  }

  void reduce(const ReduceLoop& loop, const Instruction& in) {
    const Slot extent = slots_[loop.extent];
    const auto* extents = static_cast<const int64_t*>(extent.data);
    const int64_t trips = extent.uniform ? *extents : *std::max_element(extents, extents + n_);
    const ir::Scalar start = ir::identity(loop.reduction, loop.type);
    int64_t* total = own(loop.total);
    int64_t bits = start.integer;
    if (is_float(loop.type)) std::memcpy(&bits, &start.real, sizeof bits);
    // The total has all lanes, unless there is nothing to add.
    lanes::fill(total, bits, begin(in, trips <= 0));
    if (loop.any_poison != no_register) {
      lanes::fill(own(loop.any_poison), 0, n_);
      slots_[loop.any_poison] = {own(loop.any_poison), false};
    }
    std::vector<int64_t> active, next;
    if (!extent.uniform) active.resize(n_), next.resize(n_);
    for (int64_t i = 0; i < trips; ++i) {
      *own(loop.variable) = i;
      slots_[loop.variable] = {own(loop.variable), true};
      execute(loop.code);
      if (extent.uniform) {
        combine(loop, in, total, total);
      } else {
        lanes::at_least(active.data(), extents, i + 1, n_);
        combine(loop, in, total, next.data());
        for (int64_t k = 0; k < n_; ++k)
          if (active[k]) total[k] = next[k];
      }
      if (loop.any_poison == no_register) continue;
      const Slot poison = slots_[loop.poison];
      int64_t* any = own(loop.any_poison);
      for (int64_t k = 0; k < n_; ++k)
        any[k] |= static_cast<const int64_t*>(poison.data)[poison.uniform ? 0 : k] &
                  (extent.uniform ? 1 : active[k]);
    }
  }

  // dst = total combined with this iteration's value; dst may be the total.
  void combine(const ReduceLoop& loop, const Instruction& in, int64_t* total, int64_t* dst) {
    const Slot value = slots_[loop.value];
    if (loop.factor != no_register) {
      if (dst != total) std::copy(total, total + n_, dst);
      lanes::multiply_add(reinterpret_cast<double*>(dst), value, slots_[loop.factor], n_);
      return;
    }
    lanes::apply(ir::combiner(loop.reduction), loop.type, dst, {total, false}, value, n_);
    if (in.rounds) lanes::round_f32(dst, n_);
  }

  const LoopProgram& program_;
  std::span<const Source> sources_;
  const Shape& shape_;
  int64_t n_ = 0;
  std::vector<Slot> slots_;
  std::vector<int64_t> storage_;
  std::vector<Summary> summaries_;
};

void store(Tensor& result, int64_t first, int64_t n, Slot value) {
  const int64_t step = value.uniform ? 0 : 1;
  if (result.type() == DType::f64) {
    const auto* x = static_cast<const double*>(value.data);
    for (int64_t i = 0; i < n; ++i) result.mutable_as<double>()[first + i] = x[i * step];
  } else if (is_float(result.type())) {
    const auto* x = static_cast<const double*>(value.data);
    for (int64_t i = 0; i < n; ++i) result.set_float(first + i, x[i * step]);
  } else {
    const auto* x = static_cast<const int64_t*>(value.data);
    for (int64_t i = 0; i < n; ++i) result.set_integer(first + i, x[i * step]);
  }
}

// Runs every block; the first poisoned element, or -1.
int64_t run_blocks(const LoopProgram& program, std::span<const Source> sources, Tensor& result,
                   const Blocks& blocks, int threads) {
  std::atomic<int64_t> next{0}, poisoned{INT64_MAX};
  std::mutex mutex;
  std::exception_ptr error;
  const auto run_all = [&] {
    Runner runner(program, sources, result.shape());
    for (int64_t block; (block = next.fetch_add(1)) < blocks.count();) {
      const auto [first, last] = blocks.range(block);
      const int64_t lane = runner.run(first, last);
      if (lane < 0) {
        store(result, first, last - first, runner.result());
        continue;
      }
      for (int64_t known = poisoned; first + lane < known;)
        if (poisoned.compare_exchange_weak(known, first + lane)) break;
    }
  };
  const auto work = [&] {
    try {
      run_all();
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  for (int t = 1; t < threads; ++t) helpers.emplace_back(work);
  work();
  for (std::thread& t : helpers) t.join();
  if (error) std::rethrow_exception(error);
  return poisoned == INT64_MAX ? -1 : poisoned.load();
}

Tensor evaluate_output(const ir::Meaning& meaning, size_t k, std::span<const Tensor> inputs,
                       std::span<const Source> sources, bool wide, int threads) {
  const ir::ValueType type = meaning.output_type(k);
  Tensor result(evaluated_type(type.dtype, wide), type.concrete_shape());
  if (result.size() == 0) return result;
  std::vector<Shape> shapes;
  for (const Tensor& t : inputs) shapes.push_back(t.shape());
  const LoopProgram program = compile_loops(meaning, k, shapes, wide);
  const double work = program.work_per_lane * static_cast<double>(result.size());
  if (work < 1e5) threads = 1;
  Blocks blocks{.size = result.size()};
  const int64_t last = result.rank() ? result.shape().back() : 1;
  blocks.lanes = std::clamp<int64_t>(result.size() / (4 * threads), 16, lanes::block);
  if (program.reduces && last >= 2 * lanes::block) {
    blocks.row = last;
    blocks.lanes = lanes::block;
  }
  const int64_t poisoned = run_blocks(program, sources, result, blocks,
                                      static_cast<int>(std::min<int64_t>(threads, blocks.count())));
  if (poisoned >= 0) {
    tree_evaluate_element(meaning, k, inputs, wide, poisoned);  // throws with the index
    TESSERA_CHECK(false, "element {} reads outside its input", poisoned);
  }
  return result;
}

}  // namespace

std::vector<Tensor> loop_evaluate(const ir::Meaning& meaning, std::span<const Tensor> inputs,
                                  bool wide, int threads) {
  std::vector<Source> sources;
  std::vector<Tensor> results;
  for (size_t k = 0; k < meaning.outputs.size(); ++k) {
    const bool is_held = !wide || !is_float(meaning.output_type(k).dtype);
    if (auto moved = is_held ? move_evaluate(meaning, k, inputs) : std::nullopt) {
      results.push_back(std::move(*moved));
      continue;
    }
    if (sources.empty())
      for (const Tensor& t : inputs) sources.push_back(widened(t));
    results.push_back(evaluate_output(meaning, k, inputs, sources, wide, std::max(1, threads)));
  }
  return results;
}

}  // namespace tessera::ops
