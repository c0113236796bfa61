// SPDX-License-Identifier: Apache-2.0
// States alternate between two copies in the scratch; the first step reads the sources and the last
// one writes the destinations, so that nothing is copied.
#include "runtime/scan_kernel.h"

#include <cstring>

#include "base/check.h"

namespace tessera::runtime {
namespace {

constexpr size_t max_operands = 256;

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

ScanKernel::ScanKernel(Program body, Signature signature)
    : body_(std::move(body)), s_(std::move(signature)) {
  for (size_t bytes : s_.state_bytes) {
    state_offsets_.push_back(states_bytes_);
    states_bytes_ += aligned(bytes);
  }
  body_.arena_bytes = aligned(body_.arena_bytes);
  scratch_bytes_ = body_.arena_bytes + 2 * states_bytes_;
  TESSERA_CHECK(s_.state_bytes.size() + s_.sequence_bytes.size() + s_.invariants <= max_operands &&
                s_.state_bytes.size() + s_.result_bytes.size() <= max_operands);
}

void ScanKernel::run(const KernelArgs& args) const {
  const size_t states = s_.state_bytes.size(), sequences = s_.sequence_bytes.size();
  if (s_.length == 0)
    for (size_t k = 0; k < states; ++k)
      if (s_.state_bytes[k]) std::memcpy(args.dst[k], args.src[k], s_.state_bytes[k]);
  const std::byte* inputs[max_operands];
  std::byte* outputs[max_operands];
  std::byte* const copies[2] = {args.scratch + body_.arena_bytes,
                                args.scratch + body_.arena_bytes + states_bytes_};
  for (size_t k = 0; k < s_.invariants; ++k)
    inputs[states + sequences + k] = args.src[states + sequences + k];
  for (int64_t step = 0; step < s_.length; ++step) {
    const auto at = static_cast<size_t>(s_.reverse ? s_.length - 1 - step : step);
    for (size_t k = 0; k < states; ++k) {
      inputs[k] = step == 0 ? args.src[k] : copies[(step + 1) % 2] + state_offsets_[k];
      outputs[k] = step + 1 == s_.length ? args.dst[k] : copies[step % 2] + state_offsets_[k];
    }
    for (size_t k = 0; k < sequences; ++k)
      inputs[states + k] = args.src[states + k] + at * s_.sequence_bytes[k];
    for (size_t k = 0; k < s_.result_bytes.size(); ++k)
      outputs[states + k] = args.dst[states + k] + at * s_.result_bytes[k];
    body_.execute(args.scratch, inputs, outputs, args.threads);
  }
}

std::string ScanKernel::implementation() const {
  return fmt::format("scan of {} steps, {} kernels each", s_.length, body_.launches.size());
}

}  // namespace tessera::runtime
