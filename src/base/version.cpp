// SPDX-License-Identifier: Apache-2.0
// Which Tessera this is; the build passes the number from CMakeLists.txt.
#include "base/version.h"

namespace tessera {

std::string_view version() { return TESSERA_VERSION; }

}  // namespace tessera
