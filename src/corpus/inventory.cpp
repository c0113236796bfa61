// SPDX-License-Identifier: Apache-2.0
// Reads rows, derives them, writes the page.
#include "corpus/inventory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/check.h"
#include "lang/parse.h"

namespace tessera::corpus {
namespace {

namespace fs = std::filesystem;

// "input x, y: T" as one line for each.
std::vector<std::string> one_each(const std::string& line) {
  const size_t colon = line.find(':'), bracket = line.find('[');
  if (!line.starts_with("input ") || colon == std::string::npos || bracket < colon) return {line};
  std::vector<std::string> lines;
  std::istringstream names(line.substr(6, colon - 6));
  for (std::string name; std::getline(names >> std::ws, name, ',');)
    lines.push_back("input " + name + line.substr(colon));
  return lines;
}

void read_file(const fs::path& path, std::vector<InventoryRow>& rows) {
  std::ifstream file(path);
  TESSERA_USER_CHECK(file.good(), "cannot read {}", path.string());
  const size_t first = rows.size();
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string place = fmt::format("{}:{}", path.filename().string(), number);
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("row ")) {
      std::istringstream words(line.substr(4));
      InventoryRow row;
      words >> row.source >> row.name;
      TESSERA_USER_CHECK(!row.name.empty(), "{}: expected 'row SOURCE NAME'", place);
      row.place = place;
      rows.push_back(std::move(row));
      continue;
    }
    TESSERA_USER_CHECK(rows.size() > first, "{}: expected 'row'", place);
    InventoryRow& row = rows.back();
    const std::string rest = line.substr(std::min<size_t>(2, line.size()));
    if (line.starts_with("missing ")) row.missing = line.substr(8);
    else if (line[0] == '<') row.left += rest + "\n";
    else if (line[0] == '>') row.right += rest + "\n";
    else
      for (const std::string& l : one_each(line)) row.left += l + "\n", row.right += l + "\n";
  }
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& n : names) text += (text.empty() ? "" : ", ") + n;
  return text;
}

}  // namespace

std::vector<InventoryRow> read_inventory(const std::string& folder) {
  TESSERA_USER_CHECK(fs::is_directory(folder), "there is no folder {}", folder);
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".rows") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<InventoryRow> rows;
  for (const fs::path& path : paths) read_file(path, rows);
  for (const InventoryRow& row : rows)
    TESSERA_USER_CHECK(row.missing.empty() != row.left.empty(),
                       "{}: a row has two programs or something missing", row.place);
  return rows;
}

Derived derive(const InventoryRow& row, const rules::RuleSet& rules, const DeriveOptions& options) {
  TESSERA_USER_CHECK(row.missing.empty(), "{}: row {} has no programs", row.place, row.name);
  const ir::Graph left = lang::parse_program(row.left, row.place),
                  right = lang::parse_program(row.right, row.place);
  TESSERA_USER_CHECK(left.outputs().size() == right.outputs().size(), "{}: {} results become {}",
                     row.place, left.outputs().size(), right.outputs().size());
  for (size_t k = 0; k < left.outputs().size(); ++k) {
    const ir::ValueType &a = left.type(left.outputs()[k].value),
                        &b = right.type(right.outputs()[k].value);
    TESSERA_USER_CHECK(a == b, "{}: result {} is {} on the left, {} on the right", row.place, k,
                       a.to_string(), b.to_string());
  }
  return derive(left, right, rules, options);
}

std::string inventory_page(const std::vector<InventoryRow>& rows,
                           const std::vector<Derived>& derived) {
  struct Count {
    int rows = 0, derived = 0;
  };
  std::map<std::string, Count> counts;
  Count all;
  std::string table;
  for (size_t k = 0; k < rows.size(); ++k) {
    const InventoryRow& row = rows[k];
    for (Count* c : {&counts[row.source], &all}) {
      ++c->rows;
      c->derived += derived[k].found;
    }
    std::string how = row.missing.empty() ? "**not derived**" : "missing: " + row.missing;
    if (derived[k].found) {
      how = joined(derived[k].left);
      const std::string back = joined(derived[k].right);
      if (!back.empty()) how += (how.empty() ? "from the right: " : "; from the right: ") + back;
      if (how.empty()) how = "one graph (equal nodes, dead code, constants)";
    }
    table += fmt::format("| {} | {} | {} |\n", row.source, row.name, how);
  }
  std::string page =
      "# What other compilers rewrite\n\n"
      "Each row is a pair of small programs in `tests/inventory/*.rows`; a test derives one from "
      "the "
      "other by\nthe rules in force and fails if this page is out of date "
      "(`build/release/tools/rule_inventory` writes it).\n\n| source | rows | derived |\n"
      "|---|---|---|\n";
  for (const auto& [source, c] : counts)
    page += fmt::format("| {} | {} | {} |\n", source, c.rows, c.derived);
  page += fmt::format("| all | {} | {} ({:.0f} %) |\n", all.rows, all.derived,
                      all.rows ? 100.0 * all.derived / all.rows : 0);
  return page + "\n| source | row | rules |\n|---|---|---|\n" + table;
}

}  // namespace tessera::corpus
