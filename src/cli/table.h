// SPDX-License-Identifier: Apache-2.0
// Aligned columns for people.
#pragma once

#include <string>
#include <vector>

namespace tessera::cli {

using Row = std::vector<std::string>;

/// The first `left` columns to the left, the others to the right, two blanks between; trailing
/// blanks are cut. Every line ends with a newline.
std::string format_table(const std::vector<Row>& rows, size_t left = 1);

}  // namespace tessera::cli
