// SPDX-License-Identifier: Apache-2.0
// What other compilers rewrite, as small programs before and after:
//
//   row xla add-zero
//   input x: f32[3, 4]
//   < output y = x + 0
//   > output y = x
//
// Lines that start with "<" belong to the left program, with ">" to the right one, all others to
// both. A row that cannot be written says why: `missing PRIMITIVE`. "#" starts a comment.
#pragma once

#include <string>
#include <vector>

#include "corpus/derive.h"

namespace tessera::corpus {

struct InventoryRow {
  std::string source, name;
  std::string left, right;  ///< programs; empty where something is missing
  std::string missing;
  std::string place;  ///< FILE:LINE
};

/// Reads `*.rows` of a folder in order of their names. Throws UserError naming file and line.
std::vector<InventoryRow> read_inventory(const std::string& folder);

/// Derives one row. Throws UserError naming the row if a program is wrong.
Derived derive(const InventoryRow& row, const rules::RuleSet& rules,
               const DeriveOptions& options = {});

/// The page docs/rule_inventory.md: for every row its rules, or what is missing.
std::string inventory_page(const std::vector<InventoryRow>& rows,
                           const std::vector<Derived>& derived);

}  // namespace tessera::corpus
