// SPDX-License-Identifier: Apache-2.0
// Results of a long computation on disk as they come, so that one that was stopped need not compute
// them again.
#pragma once

#include <string>

namespace tessera {

/// A file of texts, each with its length, so that one that was cut off is seen and left out. It
/// counts for one `head` (whatever the results depend on) only; with another it is begun anew.
class Journal {
 public:
  /// REQUIRES: `head` has no line break.
  Journal(std::string path, const std::string& head);
  /// All texts, one after the other.
  const std::string& texts() const { return texts_; }
  /// Throws UserError(missing_resource) where it cannot be written.
  void add(const std::string& text);

 private:
  std::string path_, texts_;
};

/// Of the program that runs: results in a journal may depend on it.
std::string program_hash();

}  // namespace tessera
