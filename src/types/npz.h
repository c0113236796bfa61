// SPDX-License-Identifier: Apache-2.0
// NumPy's array files: .npy (one array) and .npz (a zip archive of .npy members).
//
// Read: stored and deflated members, zip64; f2 f4 f8, signed and unsigned integers of 1 to 8 bytes
// and bool, little-endian, C and Fortran order. Refused with UserError(unsupported): Python
// objects, strings, complex and structured types, big-endian data. Written: stored members. A bf16
// tensor NAME is stored as uint16 under "NAME:bf16", and read back as bf16.
#pragma once

#include <map>
#include <string>

#include "types/tensor.h"

namespace tessera {

/// Reads one array. Throws UserError naming the file and what is wrong with it; memory stays
/// within a small multiple of what the file can hold.
Tensor read_npy(const std::string& path);

/// Reads every array of an archive by its name (without ".npy").
std::map<std::string, Tensor> read_npz(const std::string& path);

/// Writes all tensors; the file appears whole or not at all.
void write_npz(const std::string& path, const std::map<std::string, Tensor>& tensors);

}  // namespace tessera
