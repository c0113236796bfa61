# SPDX-License-Identifier: Apache-2.0
# Language, warnings, sanitizers, linker, compiler cache and the precompiled header.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

option(TESSERA_WERROR "Warnings are errors (CI turns this on)" OFF)
option(TESSERA_FUZZERS "Build tests/fuzz/*_fuzz.cpp with libFuzzer (clang only)" OFF)
set(TESSERA_SANITIZE "" CACHE STRING "Value of -fsanitize=, empty for none")

# -O2 with line tables; NDEBUG stays undefined: checks and asserts are on in every preset.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(TESSERA_DCHECKS=1) # hot-loop checks (TESSERA_DCHECK)
endif()

# Debug information and __FILE__ name sources relative to the project, wherever that lies; ccache
# passes paths relative to the build folder, which __FILE__ should not show either.
file(RELATIVE_PATH to_source ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})
add_compile_options(-pthread -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.
                    -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/= -fmacro-prefix-map=${to_source}=)

# Flags for the project's own sources (generated code gets none of them). The -Wno- ones misfire
# in g++ 12: on designated initialisers, on std::string at -O2 and on code inlined from templates.
set(TESSERA_WARNINGS -Wall -Wextra -Werror=switch -Werror=return-type -Wnon-virtual-dtor
                     -Woverloaded-virtual -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND TESSERA_WARNINGS -Wno-restrict -Wno-maybe-uninitialized -Wno-array-bounds
                               -Wno-stringop-overflow -Wno-stringop-overread
                               -Wno-dangling-pointer -Wno-free-nonheap-object)
else()
  list(APPEND TESSERA_WARNINGS -Wno-missing-designated-field-initializers
                               -Wno-unknown-warning-option)
endif()
if(TESSERA_WERROR)
  list(APPEND TESSERA_WARNINGS -Werror)
endif()

if(TESSERA_SANITIZE)
  add_compile_options(-fsanitize=${TESSERA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TESSERA_SANITIZE})
  if(TESSERA_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

find_program(TESSERA_MOLD mold)
if(TESSERA_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# One cache for every checkout on a machine: paths are rewritten relative to the source folder,
# and the sloppiness is what precompiled headers need (ccache manual, "Precompiled headers").
find_program(TESSERA_CCACHE ccache)
if(TESSERA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${TESSERA_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

# What is precompiled (tessera_pch in Module.cmake).
option(TESSERA_PCH "Precompile the standard headers" ON)
set(TESSERA_PCH_HEADERS
    <algorithm> <array> <cstdint> <functional> <map> <memory> <optional> <span> <string>
    <string_view> <unordered_map> <variant> <vector> <fmt/core.h>)
