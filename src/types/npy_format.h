// SPDX-License-Identifier: Apache-2.0
// The .npy format (NumPy Enhancement Proposal 1, versions 1 to 3), in memory. Internal to npz.h.
#pragma once

#include <string>
#include <string_view>

#include "types/tensor.h"

namespace tessera {

/// Decodes one array. `where` opens error messages (file and member).
Tensor decode_npy(std::string_view bytes, const std::string& where);

/// Everything of the file but the data: magic, version and padded header. bf16 is described as u2.
std::string npy_header(const Tensor& tensor);

}  // namespace tessera
