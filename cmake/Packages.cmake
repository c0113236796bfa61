# SPDX-License-Identifier: Apache-2.0
# Libraries from outside that only some modules use, found when the first of those has a source.
# tessera_packages(OUT names...) sets OUT to the targets to link; their headers come as SYSTEM.

function(tessera_packages out)
  set(targets "")
  foreach(name IN LISTS ARGN)
    if(NOT TARGET tessera_pkg_${name})
      add_library(tessera_pkg_${name} INTERFACE)
      cmake_language(CALL tessera_find_${name} tessera_pkg_${name})
    endif()
    list(APPEND targets tessera_pkg_${name})
  endforeach()
  set(${out} ${targets} PARENT_SCOPE)
endfunction()

# protobuf classes from src/<module>/<file>, generated into the build folder and compiled without
# the project's warnings; included as "<module>/<stem>.pb.h".
function(tessera_proto target module file)
  find_package(Protobuf REQUIRED)
  get_filename_component(stem ${file} NAME_WE)
  set(generated ${CMAKE_BINARY_DIR}/gen/${module}/${stem}.pb)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/gen/${module})
  add_custom_command(
    OUTPUT ${generated}.cc ${generated}.h
    COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR}/src
            --cpp_out=${CMAKE_BINARY_DIR}/gen ${module}/${file}
    DEPENDS ${CMAKE_SOURCE_DIR}/src/${module}/${file}
    VERBATIM)
  add_library(${target} STATIC ${generated}.cc)
  target_include_directories(${target} SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/gen)
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf)
endfunction()

function(tessera_find_xxhash target)
  find_path(XXHASH_INCLUDE xxhash.h REQUIRED)
  # Header only: define XXH_INLINE_ALL before including <xxhash.h>.
  target_include_directories(${target} SYSTEM INTERFACE ${XXHASH_INCLUDE})
endfunction()

function(tessera_find_llvm target)
  # Debian's version file wants the exact minor version, and its exports want zlib's target.
  find_package(LLVM 19.1 REQUIRED CONFIG PATHS /usr/lib/llvm-19/lib/cmake/llvm)
  # LLVM_DEFINITIONS (__STDC_*_MACROS) are left out: C++20 needs none, and the precompiled header
  # could not be used with them.
  target_include_directories(${target} SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
  if(TARGET LLVM)
    target_link_libraries(${target} INTERFACE LLVM)
  else()
    llvm_map_components_to_libnames(libs orcjit native passes)
    target_link_libraries(${target} INTERFACE ${libs})
  endif()
endfunction()

function(tessera_find_dnnl target)
  find_package(dnnl REQUIRED CONFIG)
  target_link_libraries(${target} INTERFACE DNNL::dnnl)
endfunction()

function(tessera_find_cli11 target)
  find_package(CLI11 REQUIRED)
  target_link_libraries(${target} INTERFACE CLI11::CLI11)
endfunction()

function(tessera_find_nlohmann_json target)
  find_package(nlohmann_json REQUIRED)
  target_link_libraries(${target} INTERFACE nlohmann_json::nlohmann_json)
endfunction()

function(tessera_find_zlib target)
  find_package(ZLIB REQUIRED)
  target_link_libraries(${target} INTERFACE ZLIB::ZLIB)
endfunction()

function(tessera_find_z3 target)
  find_path(Z3_INCLUDE z3++.h REQUIRED)
  find_library(Z3_LIBRARY z3 REQUIRED)
  target_include_directories(${target} SYSTEM INTERFACE ${Z3_INCLUDE})
  target_link_libraries(${target} INTERFACE ${Z3_LIBRARY})
endfunction()
