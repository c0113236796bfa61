// SPDX-License-Identifier: Apache-2.0
// Kernels that users write: tile programs in files, checked before anything uses them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/engine.h"

namespace tessera::api {

/// The `.tile` files of a folder, sorted by name, each checked. Throws UserError "file:line: …".
Kernels load_kernels(const std::string& folder, const Options& options);
/// One file.
std::shared_ptr<const tile::File> load_kernel(const std::string& path, const Options& options);
/// From text; `file` opens messages.
std::shared_ptr<const tile::File> read_kernel(const std::string& text, const std::string& file,
                                              const Options& options);

/// What people are told about a kernel.
struct KernelFacts {
  std::string name, signature, schedule;
  size_t references = 0;
};
KernelFacts facts_of(const tile::File& kernel);

/// The first reference by Tessera's own kernels and by this one, by turns. options.bind gives its
/// sizes.
PairTiming time_kernel(const std::shared_ptr<const tile::File>& kernel, const Options& options);

/// Only those kernels that were used.
Options with_chosen_kernels(Options options, const std::vector<KernelChoice>& choices);

/// Throws UserError "file:line: …" where the program does not compute what a reference says: as
/// interpreted in f64 at random sizes and block sizes, NaN and infinities included, and compiled
/// for the CPU, in the types of the program.
void check_kernel(const tile::File& kernel, const std::string& file, const Options& options);

}  // namespace tessera::api
