// SPDX-License-Identifier: Apache-2.0
// Formats the message of a broken invariant.
#include "base/check.h"

namespace tessera {

void fail_check(const char* file, int line, const char* condition, const std::string& message) {
  throw InternalError(fmt::format("{}:{}: check failed: {}{}{}", file, line, condition,
                                  message.empty() ? "" : ": ", message));
}

}  // namespace tessera
