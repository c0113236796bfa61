// SPDX-License-Identifier: Apache-2.0
// docs/rules.md: every rule with its status.
#pragma once

#include <string>

namespace tessera::rules {

/// Markdown with the rules of both folders, written by hand and learned, one after the other: what
/// each says, whether it is proved, and how that was found; and the computed passes.
std::string rules_document(const std::string& written, const std::string& learned);

}  // namespace tessera::rules
