// SPDX-License-Identifier: Apache-2.0
// The functions of the condition language: one row each in term_functions.cpp.
#pragma once

#include "rules/bindings.h"

namespace tessera::rules {

/// Nothing if the function is undefined for these arguments. Throws UserError for an unknown name.
std::optional<TermValue> call_function(const std::string& name, std::vector<TermValue>& args,
                                       const WorkGraph& graph);
/// True if the function exists (checked when rules are read).
bool is_function(const std::string& name);

}  // namespace tessera::rules
