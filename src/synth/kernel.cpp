// SPDX-License-Identifier: Apache-2.0
// Runs lowered kernels.
#include "synth/kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera::synth {
namespace {

constexpr double unbounded = std::numeric_limits<double>::infinity();

inline uint64_t element(const uint64_t* const* bases, uint32_t ref) {
  return bases[ref >> 24][ref & 0xffffff];
}

}  // namespace

double Kernel::run(std::span<const Operand> inputs, uint64_t seed, uint64_t* out,
                   std::vector<Number>& scratch) const {
  const uint64_t* bases[max_inputs + 2] = {};
  for (size_t k = 0; k < inputs.size(); ++k) bases[k] = inputs[k].data;
  bases[constant_space] = residues_.data();
  switch (kind_) {
    case Kind::move:
      for (int64_t i = 0; i < size_; ++i) out[i] = element(bases, moves_[i]);
      break;
    case Kind::sum:
      for (int64_t i = 0; i < size_; ++i) {
        Wide total = 0;
        for (uint32_t k = begins_[i]; k < begins_[i + 1]; ++k) total += element(bases, moves_[k]);
        out[i] = field_reduce(total);
      }
      break;
    case Kind::products:
      for (int64_t i = 0; i < size_; ++i) {
        Wide total = 0;
        for (uint32_t k = begins_[i]; k < begins_[i + 1];) {
          // 60 products of less than 2^122 leave room for what is carried over.
          const uint32_t end = std::min(begins_[i + 1], k + 60);
          for (; k < end; ++k)
            total +=
                static_cast<Wide>(element(bases, products_[k].a)) * element(bases, products_[k].b);
          total = field_reduce_sum(total);
        }
        out[i] = static_cast<uint64_t>(total);
      }
      break;
    case Kind::program: return run_program(bases, inputs, seed, out, scratch);
  }
  const auto bound = [&](Ref space) { return space == constant_space ? 1.0 : inputs[space].bound; };
  double total = 0;
  for (const Weight& w : weights_) total += w.total * bound(w.a) * bound(w.b);
  return total < whole_limit ? total : unbounded;
}

double Kernel::run_program(const uint64_t* const* bases, std::span<const Operand> inputs,
                           uint64_t seed, uint64_t* out, std::vector<Number>& scratch) const {
  scratch.resize(std::max(scratch.size(), program_.size()));
  const auto number = [&](Ref ref) -> Number {
    const Ref space = ref >> 24, offset = ref & 0xffffff;
    if (space == temporary_space) return scratch[offset];
    if (space == constant_space) return constants_[offset];
    return {bases[space][offset], inputs[space].bound < whole_limit};
  };
  const auto sum_of = [&](const std::vector<Product>& products, uint32_t begin, uint32_t end) {
    Number total;
    for (uint32_t k = begin; k < end; ++k) {
      const Number a = number(products[k].a), b = number(products[k].b);
      const Number p = b.residue == 1 ? a : apply_number(ir::Prim::mul, a, b, seed);
      total = k == begin ? p : apply_number(ir::Prim::add, total, p, seed);
    }
    return total;
  };
  for (size_t k = 0; k < program_.size(); ++k) {
    const Instruction& i = program_[k];
    scratch[k] = i.products ? sum_of(inner_, i.a, i.b)
                            : apply_number(i.prim, number(i.a), number(i.b), seed);
  }
  double largest = 0;
  for (int64_t i = 0; i < size_; ++i) {
    const Number n = sum_of(products_, begins_[i], begins_[i + 1]);
    out[i] = n.residue;
    const double size = std::abs(static_cast<double>(field_to_integer(n.residue)));
    largest = n.whole ? std::max(largest, size) : unbounded;
  }
  return largest;
}

}  // namespace tessera::synth
