// SPDX-License-Identifier: Apache-2.0
// From a finished draft to a program: kernels are made, constants collected, memory assigned.
#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/check.h"
#include "ops/attr_reader.h"
#include "ops/counts.h"
#include "ops/registry.h"
#include "plan/layout.h"
#include "plan/memory.h"
#include "plan/opaque_kernel.h"
#include "plan/passes.h"
#include "plan/request.h"
#include "runtime/copy_kernel.h"
#include "runtime/scan_kernel.h"

namespace tessera::plan {
namespace {

using runtime::Operand;

class Emitter {
 public:
  Emitter(Draft draft, codegen::Target& target, const CompileOptions& options,
          KernelChoices* choices, const std::function<void()>& settled)
      : d_(std::move(draft)),
        target_(target),
        options_(options),
        choices_(choices),
        settled_(settled) {
    if (choices_) choices_->clear();
  }

  runtime::Program run() {
    std::erase_if(d_.steps, [](const Step& s) { return s.dead; });
    place_outputs();
    make_kernels();
    find_blocks();
    program_.arena_bytes = place(blocks_);
    for (size_t k = 0; k < d_.steps.size(); ++k) launch(k);
    return std::move(program_);
  }

 private:
  // Output k of the program is computed in place where a step makes it in the right form; inputs,
  // constants, aliases and values that are already another output are copied.
  void place_outputs() {
    std::vector<bool> computed(d_.values.size(), false);
    for (const Step& s : d_.steps)
      for (ValueId v : s.dst) computed[v] = true;
    for (uint32_t k = 0; k < d_.outputs.size(); ++k) {
      ValueId v = d_.outputs[k];
      if (!computed[v] || d_.values[v].alias || output_of_.contains(v)) {
        TESSERA_CHECK(d_.values[v].alias || lies_in_order(d_, v, {}));
        Step copy;
        copy.kind = Step::Kind::copy;
        copy.src = {v};
        copy.names = {"copy"};
        copy.nodes = {""};
        v = d_.add_value(d_.values[v].dtype, d_.values[v].shape);
        copy.dst = {v};
        d_.steps.push_back(std::move(copy));
      }
      output_of_.emplace(v, k);
    }
  }

  void make_kernels() {
    kernels_.resize(d_.steps.size());
    std::vector<ir::Meaning> meanings;
    std::vector<size_t> loops;
    for (size_t k = 0; k < d_.steps.size(); ++k) {
      Step& s = d_.steps[k];
      switch (s.kind) {
        case Step::Kind::loops:
          count_loops(s);
          loops.push_back(k);
          meanings.push_back(std::move(s.meaning));
          break;
        case Step::Kind::library:
        case Step::Kind::direct:
          count_library(d_, s);
          kernels_[k] = make_library(s, k);
          break;
        case Step::Kind::lines: kernels_[k] = s.made; break;
        case Step::Kind::scan: kernels_[k] = make_scan(s); break;
        case Step::Kind::opaque: kernels_[k] = make_opaque_kernel(d_, s); break;
        case Step::Kind::copy:
          kernels_[k] = std::make_shared<runtime::CopyKernel>(d_.values[s.dst[0]].bytes());
          break;
      }
    }
    settled_();
    forget_packed();
    // After the library kernels, so that a refusal does not waste generated code.
    const auto made = target_.make_loops(std::move(meanings));
    for (size_t n = 0; n < loops.size(); ++n) kernels_[loops[n]] = made[n];
  }

  // Constants that no kernel reads from the plan go when the target has packed them.
  void forget_packed() {
    std::set<ValueId> read;
    for (size_t k = 0; k < d_.steps.size(); ++k) {
      const Step& s = d_.steps[k];
      for (size_t number = 0; number < s.src.size(); ++number)
        if (s.src[number] != no_value && (!kernels_[k] || kernels_[k]->reads(number)))
          read.insert(d_.root(s.src[number]));
    }
    for (ValueId v = 0; v < d_.values.size(); ++v)
      if (d_.values[v].constant && !read.contains(v)) d_.values[v].constant = Tensor();
  }

  static void count_loops(Step& s) {
    const ops::Counts counts = ops::count(s.meaning);
    s.flops = counts.flops + counts.transcendental;
    s.bytes = counts.bytes_read + counts.bytes_written;
  }

  std::shared_ptr<const runtime::Kernel> make_library(const Step& s, size_t launch) {
    std::deque<Tensor> constants;
    codegen::LibraryRequest request = library_request(d_, s, options_, constants);
    if (!choices_) request.precision = precision_of(s, launch, options_);
    if (request.precision != codegen::Precision::f32 || is_rounded(request)) {
      if (auto kernel = target_.make_library(request)) return kernel;
      if (request.precision == codegen::Precision::bf16_amx) {  // the same numbers without AMX
        request.precision = codegen::Precision::bf16;
        if (auto kernel = target_.make_library(request)) return kernel;
      }
      if (is_rounded(request)) throw LibraryRefusal{rounded_values};
      request.precision = codegen::Precision::f32;
    }
    auto kernel = target_.make_library(request);
    for (const codegen::Precision precision : codegen::reduced_precisions) {
      if (!choices_ || !kernel || s.integers) break;
      request.precision = precision;
      if (auto other = target_.make_library(request)) (*choices_)[launch][precision] = other;
    }
    if (!kernel && s.integers) throw LibraryRefusal{integers_name(*s.integers)};
    if (!kernel) {
      using Kind = codegen::PostOp::Kind;
      const bool gelu = std::any_of(s.post.begin(), s.post.end(), [](const codegen::PostOp& p) {
        return p.kind == Kind::gelu || p.kind == Kind::gelu_tanh;
      });
      throw LibraryRefusal{gelu ? "gelu" : s.op, !s.post.empty()};
    }
    return kernel;
  }

  std::shared_ptr<const runtime::Kernel> make_scan(const Step& s) {
    const ops::AttrReader attrs(ops::registry().get("scan"), s.attrs);
    const auto states = static_cast<size_t>(attrs.integer("states"));
    const auto scans = static_cast<size_t>(attrs.integer("scans"));
    runtime::ScanKernel::Signature signature;
    signature.length = *attrs.dims("length").at(0).constant();
    signature.reverse = attrs.flag("reverse");
    const auto step_bytes = [&](ValueId v) {
      return d_.values[v].bytes() / static_cast<size_t>(std::max<int64_t>(signature.length, 1));
    };
    for (size_t k = 0; k < states; ++k)
      signature.state_bytes.push_back(d_.values[s.src[k]].bytes());
    for (size_t k = states; k < states + scans; ++k)
      signature.sequence_bytes.push_back(step_bytes(s.src[k]));
    signature.invariants = s.src.size() - states - scans;
    for (size_t k = states; k < s.dst.size(); ++k)
      signature.result_bytes.push_back(step_bytes(s.dst[k]));
    CompileOptions inside = options_;
    inside.reduced.clear();
    return std::make_shared<runtime::ScanKernel>(
        compile_program(*s.regions[0], target_, inside, nullptr), std::move(signature));
  }

  // The root of a value if it lies in the arena.
  std::optional<ValueId> in_arena(ValueId v) const {
    if (v == no_value) return std::nullopt;
    const ValueId root = d_.root(v);
    if (d_.values[root].constant || d_.values[root].input >= 0 || output_of_.contains(root))
      return std::nullopt;
    return root;
  }

  void find_blocks() {
    std::map<ValueId, size_t> last;
    for (size_t k = 0; k < d_.steps.size(); ++k)
      for (const auto* list : {&d_.steps[k].dst, &d_.steps[k].src})
        for (ValueId v : *list)
          if (const auto root = in_arena(v)) last[*root] = k;
    for (size_t k = 0; k < d_.steps.size(); ++k) {
      const Step& s = d_.steps[k];
      for (ValueId v : s.dst)
        if (const auto root = in_arena(v); root && !block_of_.contains(*root)) {
          const size_t block = reused_block(s, *root, k, last);
          block_of_[*root] = block;
          blocks_[block].last = std::max(blocks_[block].last, last[*root]);
        }
      scratch_.push_back(blocks_.size());
      blocks_.push_back({scratch_bytes(k), k, k, 0});
    }
  }

  // Enough for every kernel that the launch may have.
  size_t scratch_bytes(size_t k) const {
    size_t most = kernels_[k]->scratch_bytes();
    if (choices_ && choices_->contains(k))
      for (const auto& [precision, kernel] : choices_->at(k))
        most = std::max(most, kernel->scratch_bytes());
    return most;
  }

  // The block of a source that step `k` reads in place and nobody needs after it, or a new one.
  size_t reused_block(const Step& s, ValueId dst, size_t k, const std::map<ValueId, size_t>& last) {
    for (ValueId v : s.in_place) {
      const auto root = in_arena(v);
      if (!root || last.at(*root) != k || d_.values[*root].bytes() != d_.values[dst].bytes())
        continue;
      const size_t block = block_of_.at(*root);
      if (blocks_[block].last == k) return block;
    }
    blocks_.push_back({d_.values[dst].bytes(), k, k, 0});
    return blocks_.size() - 1;
  }

  Operand operand(ValueId v) {
    if (v == no_value) return {};
    const ValueId root = d_.root(v);
    const Value& value = d_.values[root];
    Operand o;
    if (d_.values[v].alias)
      o.offset = static_cast<size_t>(d_.values[v].alias->offset) * size_of(value.dtype);
    if (value.constant) {
      o.space = Operand::Space::constant;
      const auto [at, inserted] =
          constant_of_.emplace(root, static_cast<uint32_t>(program_.constants.size()));
      if (inserted) {
        value.constant->data();  // what has to be copied is copied now, not in the first run
        program_.constants.push_back(*value.constant);
      }
      o.index = at->second;
    } else if (value.input >= 0) {
      o.space = Operand::Space::input;
      o.index = static_cast<uint32_t>(value.input);
    } else if (const auto output = output_of_.find(root); output != output_of_.end()) {
      o.space = Operand::Space::output;
      o.index = output->second;
    } else {
      o.space = Operand::Space::arena;
      o.offset += blocks_[block_of_.at(root)].offset;
    }
    return o;
  }

  void launch(size_t k) {
    const Step& s = d_.steps[k];
    runtime::Launch launch;
    launch.kernel = kernels_[k];
    for (size_t number = 0; number < s.src.size(); ++number) {
      const ValueId v = s.src[number];
      const bool is_constant = v != no_value && d_.values[d_.root(v)].constant;
      if (is_constant) launch.constant_bytes += static_cast<double>(d_.values[v].bytes());
      const bool is_dropped = is_constant && !kernels_[k]->reads(number);
      launch.src.push_back(is_dropped ? Operand{} : operand(v));
    }
    for (ValueId v : s.dst) launch.dst.push_back(operand(v));
    launch.scratch = blocks_[scratch_[k]].offset;
    launch.name = name_of(s);
    for (const std::string& node : s.nodes)
      if (!node.empty() && (launch.nodes.empty() || launch.nodes.back() != node))
        launch.nodes.push_back(node);
    launch.flops = s.flops;
    launch.bytes = s.bytes;
    launch.constant_bytes = std::min(launch.constant_bytes, s.bytes);
    program_.launches.push_back(std::move(launch));
  }

  Draft d_;
  codegen::Target& target_;
  const CompileOptions& options_;
  KernelChoices* choices_;
  const std::function<void()>& settled_;
  runtime::Program program_;
  std::vector<std::shared_ptr<const runtime::Kernel>> kernels_;
  std::vector<Block> blocks_;
  std::vector<size_t> scratch_;  ///< block per step
  std::map<ValueId, size_t> block_of_;
  std::map<ValueId, uint32_t> output_of_, constant_of_;
};

}  // namespace

runtime::Program emit(Draft draft, codegen::Target& target, const CompileOptions& options,
                      KernelChoices* choices, const std::function<void()>& settled) {
  return Emitter(std::move(draft), target, options, choices, settled).run();
}

}  // namespace tessera::plan
