// SPDX-License-Identifier: Apache-2.0
// Linux saves the 8 KB of tile registers only for processes that asked for them.
#include <sys/syscall.h>
#include <unistd.h>

#include "amx/kernel.h"

namespace tessera::amx {
namespace {

constexpr int request_permission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr int tile_data = 18;               // the component of the state

bool is_permitted() { return syscall(SYS_arch_prctl, request_permission, tile_data) == 0; }

}  // namespace

bool is_usable() {
  static const bool usable = codegen::host_vector_unit().has_amx && is_permitted();
  return usable;
}

}  // namespace tessera::amx
