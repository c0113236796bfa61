// SPDX-License-Identifier: Apache-2.0
// 3×3 convolutions by Winograd's algorithm (codegen/winograd.h).
#pragma once

#include <functional>
#include <memory>

#include "backend/cpu/contraction_form.h"
#include "backend/cpu/contraction_kernels.h"
#include "codegen/winograd.h"

namespace tessera::backend::cpu {

/// The cheapest form for the request's convolution, by a model of arithmetic and of the weights'
/// bytes, which are `points` / 9 times those of the convolution; nothing where the direct form is
/// about as fast, or the convolution is none of 3×3 with stride 1 and constant weights.
std::optional<codegen::WinogradProblem> winograd_form(const codegen::LibraryRequest& request,
                                                      const ContractionForm& direct);

/// `compile` makes code, which `code` owns; what packs the weights joins `packings`; `direct` makes
/// the kernel that takes over when a result is not finite (it is called when that happens first).
/// The kernel's operands are those of the request.
std::shared_ptr<const runtime::Kernel> make_winograd(
    const codegen::LibraryRequest& request, const codegen::WinogradProblem& problem,
    std::vector<int> operands, codegen::VectorUnit unit, std::shared_ptr<codegen::Jit> code,
    const std::function<Code(const std::string& key, codegen::EmittedKernel)>& compile,
    Packings& packings, std::function<std::shared_ptr<const runtime::Kernel>()> direct);

}  // namespace tessera::backend::cpu
