// SPDX-License-Identifier: Apache-2.0
// Reads programs in the text language (`.tsr`) as graphs. The language is described in
// docs/language.md.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace tessera::lang {

/// The graph that a program describes. `file_name` opens error messages; weights kept in files
/// beside the program are looked for in its folder. Functions are inlined and repetitions
/// unrolled. Sizes named in `bind` are those numbers instead of symbols. Throws UserError
/// "file:line:column: message (hint: …)".
ir::Graph parse_program(std::string_view text, const std::string& file_name,
                        const std::map<std::string, int64_t>& bind = {});

/// Reads a file; throws UserError(missing_resource) when there is none.
ir::Graph parse_file(const std::string& path, const std::map<std::string, int64_t>& bind = {});

}  // namespace tessera::lang
