// SPDX-License-Identifier: Apache-2.0
// Contractions as kernels of the runtime: constant operands packed, tasks shared among threads.
#include "backend/cpu/contraction_kernels.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "backend/cpu/activation_pairs.h"
#include "backend/cpu/contraction_form.h"
#include "backend/cpu/line_kernel.h"
#include "backend/cpu/pair_kernel.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/winograd_kernel.h"
#include "base/check.h"
#include "base/processors.h"
#include "codegen/loop_kernel.h"
#include "ops/meaning_text.h"
#include "runtime/aligned_buffer.h"

namespace tessera::backend::cpu {
namespace {

using codegen::Contraction;
using codegen::ContractionSchedule;
using codegen::LibraryRequest;

constexpr size_t most_operands = 14;
// Weights of a few rows that neither fit the second-level cache nor have to come from memory: what
// the last run read last is still in that cache, so every other run begins there.
constexpr double second_level = 512e3, third_level = 16e6;

class TileKernel : public runtime::Kernel {
 public:
  TileKernel(std::shared_ptr<codegen::Jit> jit, Code code, const Contraction& c,
             const ContractionSchedule& s, std::vector<int> operands, int a, int b)
      : jit_(std::move(jit)), code_(std::move(code)), operands_(std::move(operands)), a_(a), b_(b) {
    implementation_ = "tiles " + s.to_string();
    const double bytes = 4.0 * static_cast<double>(c.reduction() * c.column.extent);
    useful_threads_ = useful_threads(product_nanoseconds(c.flops(), bytes));
    turns_ = c.packed && c.batch.empty() && c.row_count() <= s.rows && bytes > second_level &&
             bytes < third_level;
  }

  void set_packed(runtime::AlignedBuffer packed) { packed_ = std::move(packed); }
  void set_name(std::string name) { implementation_ = std::move(name); }

  void run(const runtime::KernelArgs& args) const override {
    TESSERA_CHECK(code_->run, "a kernel is run before it is finished");
    const std::byte* src[most_operands + 2] = {
        args.src[a_], packed_ ? reinterpret_cast<const std::byte*>(packed_.get()) : args.src[b_]};
    for (size_t k = 0; k < operands_.size(); ++k) src[k + 2] = args.src[operands_[k]];
    const int threads = std::min(args.threads, useful_threads_);
    if (turns_ && (runs_.fetch_add(1, std::memory_order_relaxed) & 1) != 0) {
      const auto back = [&](int64_t begin, int64_t end) {
        while (end-- > begin) code_->run(src, args.dst, end, end + 1);
      };
      return parallel_for(threads, code_->rows, back, true);
    }
    const auto work = [&](int64_t begin, int64_t end) { code_->run(src, args.dst, begin, end); };
    parallel_for(threads, code_->rows, work);
  }

  bool reads(size_t number) const override { return static_cast<int>(number) != b_ || !packed_; }
  std::string implementation() const override { return implementation_; }

 private:
  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  Code code_;
  std::vector<int> operands_;
  int a_ = 0, b_ = 1;  // sources
  runtime::AlignedBuffer packed_;
  std::string implementation_;
  int useful_threads_ = 1;
  bool turns_ = false;  ///< every other run visits the weights backward
  mutable std::atomic<uint32_t> runs_{0};
};

void append(std::string& key, const Contraction::Axis& axis) {
  key += fmt::format("{}:{},{},{}", axis.extent, axis.a, axis.b, axis.dst);
  for (int64_t stride : axis.operands) key += fmt::format(",{}", stride);
  key += ';';
}

}  // namespace

std::string key_of(const Contraction& c, const ContractionSchedule& s) {
  std::string key = s.to_string() + (!c.pairs ? "" : c.has_units() ? " i16" : " bf16");
  key += fmt::format(" {} {} {} {} {}|", s.lanes, c.packed, c.group, c.a_offset, c.rounds);
  for (const auto* axes : {&c.batch, &c.rows, &c.reduce}) {
    for (const Contraction::Axis& axis : *axes) append(key, axis);
    key += '|';
  }
  append(key, c.column);
  for (const Contraction::Window& w : c.windows)
    key +=
        fmt::format("w{},{},{},{},{},{};", w.row, w.tap, w.stride, w.dilation, w.offset, w.extent);
  if (c.epilogue) key += ops::print_meaning(*c.epilogue, "epilogue");
  return key;
}

namespace {

std::shared_ptr<TileKernel> tile_kernel(std::shared_ptr<codegen::Jit> jit, Code code,
                                        const ContractionForm& form, const ContractionSchedule& s,
                                        const Tensor* weights, Packings& packings) {
  const Contraction& c = form.contraction;
  auto kernel = std::make_shared<TileKernel>(std::move(jit), std::move(code), c, s, form.operands,
                                             form.a, form.b);
  if (c.packed) {
    runtime::AlignedBuffer packed = runtime::allocate_aligned(packed_elements(c, s));
    packings.push_back([c, s, from = *weights, to = packed.get(), keep = kernel] {
      pack_b(c, s, codegen::loose_floats(from), to);
    });
    kernel->set_packed(std::move(packed));
  }
  return kernel;
}

// Makes the plain kernel in f32, later. The form and the weights are copied: they outlive the
// request.
std::function<std::shared_ptr<const runtime::Kernel>()> direct_kernel(const ContractionForm& form,
                                                                      const Tensor& weights,
                                                                      codegen::VectorUnit unit) {
  return [=] {
    const ContractionSchedule s = choose_schedule(form.contraction, unit);
    const codegen::EmittedKernel emitted = contraction_kernel(form.contraction, s);
    const auto jit = std::make_shared<codegen::Jit>();  // of its own: runs may overlap
    const auto code =
        std::make_shared<codegen::LoopKernel>(jit->compile({}, std::span(&emitted, 1))[0]);
    Packings packings;
    auto kernel = tile_kernel(jit, code, form, s, &weights, packings);
    for (const auto& pack : packings) pack();
    return kernel;
  };
}

}  // namespace

// Where generated kernels measured faster than oneDNN's (tools/product_bench).
bool has_tiles(const Contraction& c, codegen::VectorUnit unit) {
  if (c.group > 0) return c.column.extent >= unit.lanes;
  const int64_t columns = c.batch.empty() ? 2 * c.column.extent : c.column.extent;
  return c.packed && columns >= unit.lanes && (c.reduce.size() == 1 || c.reduce.back().extent >= 8);
}

ContractionKernels::ContractionKernels(std::shared_ptr<DiskCache> cache)
    : jit_(std::make_shared<codegen::Jit>(codegen::JitOptions{.cache = std::move(cache)})),
      unit_(codegen::host_vector_unit()) {}
ContractionKernels::~ContractionKernels() = default;

Code ContractionKernels::compile(const std::string& key, codegen::EmittedKernel kernel) {
  const auto [at, inserted] = codes_.emplace(key, nullptr);
  if (inserted) {
    at->second = std::make_shared<codegen::LoopKernel>();
    pending_.emplace_back(at->second, std::move(kernel));
  }
  return at->second;
}

void ContractionKernels::finish() {
  std::vector<codegen::EmittedKernel> emitted;
  for (auto& [code, kernel] : pending_) emitted.push_back(std::move(kernel));
  const std::vector<codegen::LoopKernel> compiled = jit_->compile({}, emitted);
  for (size_t k = 0; k < compiled.size(); ++k) *pending_[k].first = compiled[k];
  pending_.clear();
  pack_all();
}

void ContractionKernels::pack_all() {
  std::mutex mutex;
  std::exception_ptr error;
  parallel_for(usable_processors(), static_cast<int64_t>(packings_.size()),
               [&](int64_t begin, int64_t end) {
                 for (int64_t k = begin; k < end; ++k) try {
                     const auto pack = std::move(packings_[static_cast<size_t>(k)]);
                     pack();
                   } catch (...) {
                     const std::lock_guard lock(mutex);
                     error = std::current_exception();
                   }
               });
  packings_.clear();
  if (error) std::rethrow_exception(error);
}

std::shared_ptr<const runtime::Kernel> ContractionKernels::make(const LibraryRequest& r,
                                                                bool only) {
  if (is_rounded(r) && !takes_rounded(r)) return nullptr;
  if (r.precision == codegen::Precision::bf16_amx)
    return make_amx(
        r, {unit_, jit_, [&](const auto& key, auto k) { return compile(key, std::move(k)); }, {}});
  if (r.precision == codegen::Precision::bf16 && !r.constants[1])
    return make_activation_pairs(
        r, {unit_, jit_, [&](const auto& key, auto k) { return compile(key, std::move(k)); }, {}});
  std::optional<ContractionForm> form = contraction_form(unrounded(r));
  if (!form || form->contraction.reduction() == 0) return nullptr;
  if (form->operands.size() > most_operands) return nullptr;
  form->contraction.rounds = r.dst.dtype == DType::bf16;
  const auto compile_later = [&](const std::string& key, codegen::EmittedKernel k) {
    return compile(key, std::move(k));
  };
  const auto winograd = [&]() -> std::shared_ptr<const runtime::Kernel> {
    const auto problem = r.own_products ? std::nullopt : winograd_form(r, *form);
    if (!problem) return nullptr;
    return make_winograd(r, *problem, form->operands, unit_, jit_, compile_later, packings_,
                         direct_kernel(*form, *r.constants[1], unit_));
  };
  if (r.precision != codegen::Precision::f32) {
    if (!form->contraction.packed) return nullptr;
    const bool integers = r.precision == codegen::Precision::i16 && unit_.has_i16;
    if (auto kernel = integers && has_tiles(form->contraction, unit_) ? winograd() : nullptr)
      return kernel;
    return make_pairs(r,
                      {unit_, jit_, compile_later, direct_kernel(*form, *r.constants[1], unit_)});
  }
  join_groups(form->contraction, unit_.lanes);
  if (!only && !has_tiles(form->contraction, unit_)) return nullptr;
  if (auto kernel = winograd()) return kernel;
  const ContractionSchedule s = choose_schedule(form->contraction, unit_);
  const Code code = compile(key_of(form->contraction, s), contraction_kernel(form->contraction, s));
  return tile_kernel(jit_, code, *form, s, r.constants[1], packings_);
}

// (Winograd's algorithm stores f32.)
bool ContractionKernels::takes_rounded(const LibraryRequest& r) const {
  using codegen::Precision;
  if (!unit_.has_bf16 || unit_.lanes != 16 || r.integers || !r.constants[1]) return false;
  if (r.precision == Precision::bf16_amx) return false;
  if (r.src[0].dtype == DType::bf16 && (r.precision != Precision::bf16 || !lies_rounded(r)))
    return false;
  const LibraryRequest plain = unrounded(r);
  const std::optional<ContractionForm> form = contraction_form(plain);
  if (!form || form->contraction.reduction() == 0 || form->operands.size() > most_operands ||
      form->contraction.group > 0 || !has_tiles(form->contraction, unit_))
    return false;
  const bool may_transform = r.precision == Precision::f32 || r.precision == Precision::i16;
  return !may_transform || r.own_products || !winograd_form(plain, *form);
}

bool ContractionKernels::has_lines(const LibraryRequest& r) const { return fits_lines(r, unit_); }

double ContractionKernels::gain_of_lines(const codegen::LineRequest& r) const {
  return cpu::gain_of_lines(r, unit_);
}

std::shared_ptr<const runtime::Kernel> ContractionKernels::make_lines(
    const codegen::LineRequest& r) {
  const auto compile_later = [&](const std::string& key, codegen::EmittedKernel k) {
    return compile(key, std::move(k));
  };
  return make_line_kernel(r, {unit_, jit_, compile_later, packings_});
}

// A product by the register block of the user's schedule, where that fits the registers.
std::shared_ptr<const runtime::Kernel> ContractionKernels::make_product(const LibraryRequest& r) {
  std::optional<ProgramForm> found = program_form(r);
  if (!found || found->form.operands.size() > most_operands) return nullptr;
  ContractionForm& form = found->form;
  join_groups(form.contraction, unit_.lanes);
  ContractionSchedule s = choose_schedule(form.contraction, unit_);
  const int64_t vectors = (found->columns + unit_.lanes - 1) / unit_.lanes;
  if (form.contraction.group == 0 && found->rows > 0 && vectors > 0 &&
      (found->rows + 1) * vectors + 1 <= unit_.registers) {
    s.rows = static_cast<int>(found->rows);
    s.vectors = static_cast<int>(vectors);
  }
  const Code code = compile(key_of(form.contraction, s), contraction_kernel(form.contraction, s));
  auto kernel =
      tile_kernel(jit_, code, form, s, r.constants[static_cast<size_t>(form.b)], packings_);
  kernel->set_name("program " + r.kernel->program.name);
  return kernel;
}

}  // namespace tessera::backend::cpu
