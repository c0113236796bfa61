// SPDX-License-Identifier: Apache-2.0
// Library steps of a draft as requests to the target.
#pragma once

#include <deque>

#include "codegen/target.h"
#include "plan/compile.h"
#include "plan/draft.h"

namespace tessera::plan {

/// Where a value lies; an empty view for none.
codegen::View view_of(const Draft& draft, ValueId v);

/// Sets the step's predicted operations and bytes.
void count_library(const Draft& draft, Step& step);

/// The request of a step that was counted, in f32. `made` owns tensors that had to be made for its
/// constants.
codegen::LibraryRequest library_request(const Draft& draft, const Step& step,
                                        const CompileOptions& options, std::deque<Tensor>& made);

/// The names of the operators of a step, as its launch has them.
std::string name_of(const Step& step);
/// The precision that the options give a launch.
codegen::Precision precision_of(const Step& step, size_t launch, const CompileOptions& options);

}  // namespace tessera::plan
