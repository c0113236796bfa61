// SPDX-License-Identifier: Apache-2.0
// A note of the loaded ELF object: NT_GNU_BUILD_ID.
#include "base/build_id.h"

#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstring>

namespace tessera {
namespace {

// The digits of the first build id among a segment's notes.
std::string id_in_notes(const char* at, size_t bytes) {
  const auto round_up = [](size_t n) { return (n + 3) / 4 * 4; };
  ElfW(Nhdr) note{};
  while (bytes >= sizeof note) {
    std::memcpy(&note, at, sizeof note);
    const size_t name = round_up(note.n_namesz), description = round_up(note.n_descsz);
    if (sizeof note + name + description > bytes) return {};
    const char* const text = at + sizeof note;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(text, "GNU", 4) == 0) {
      constexpr const char* digits = "0123456789abcdef";
      std::string id;
      for (size_t k = 0; k < note.n_descsz; ++k) {
        const auto byte = static_cast<uint8_t>(text[name + k]);
        id += {digits[byte >> 4], digits[byte & 15]};
      }
      return id;
    }
    at += sizeof note + name + description;
    bytes -= sizeof note + name + description;
  }
  return {};
}

// Called for every loaded object; stops at the one that holds this code.
int visit(dl_phdr_info* object, size_t /*bytes*/, void* result) {
  const auto own = reinterpret_cast<uintptr_t>(&build_id);
  bool holds = false;
  std::string id;
  for (int k = 0; k < object->dlpi_phnum; ++k) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[k];
    const uintptr_t start = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD) holds |= own >= start && own < start + segment.p_memsz;
    if (segment.p_type == PT_NOTE && id.empty())
      id = id_in_notes(reinterpret_cast<const char*>(start), segment.p_memsz);
  }
  if (holds) *static_cast<std::string*>(result) = id;
  return holds ? 1 : 0;
}

}  // namespace

const std::string& build_id() {
  static const std::string id = [] {
    std::string found;
    dl_iterate_phdr(visit, &found);
    return found;
  }();
  return id;
}

}  // namespace tessera
