# SPDX-License-Identifier: Apache-2.0
# tessera_module(NAME [LIBS targets] [PKG packages] [PROTO file]): the static library
# tessera_<name> from src/<name>/*.cpp, and its tests. A `x_test.cpp` goes into <name>_tests, a
# `x_slow_test.cpp` into <name>_slow_tests. ctest labels say what a test needs: `null` nothing,
# `cpu` the CPU engine (LLVM) too, `slow` patience.
include(Packages)

# The module's target name: backend/cpu -> tessera_backend_cpu.
function(tessera_target module out)
  string(REPLACE "/" "_" name ${module})
  set(${out} tessera_${name} PARENT_SCOPE)
endfunction()

# The existing libraries among the given modules.
function(tessera_targets out)
  set(found "")
  foreach(module IN LISTS ARGN)
    tessera_target(${module} target)
    if(TARGET ${target})
      list(APPEND found ${target})
    endif()
  endforeach()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# A precompiled header: an object library whose header all users reuse (`libs` for its includes).
function(tessera_pch name libs)
  if(NOT TARGET ${name})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/gen/pch.cpp CONTENT "" @ONLY)
    add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/gen/pch.cpp)
    target_compile_options(${name} PRIVATE ${TESSERA_WARNINGS})
    target_link_libraries(${name} PRIVATE ${libs})
    target_precompile_headers(${name} PRIVATE ${ARGN})
  endif()
endfunction()

# What every target of the project gets: warnings, include folders, and the precompiled header:
# one for all the libraries and programs, one with gtest in it for all the tests (`TEST`).
function(tessera_common target)
  target_compile_options(${target} PRIVATE ${TESSERA_WARNINGS})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include
                                               ${CMAKE_BINARY_DIR}/gen)
  if(TESSERA_PCH AND "TEST" IN_LIST ARGN)
    tessera_pch(tessera_test_pch "fmt::fmt;GTest::gtest" ${TESSERA_PCH_HEADERS} <gtest/gtest.h>)
    target_precompile_headers(${target} REUSE_FROM tessera_test_pch)
  elseif(TESSERA_PCH)
    tessera_pch(tessera_pch fmt::fmt ${TESSERA_PCH_HEADERS})
    target_precompile_headers(${target} REUSE_FROM tessera_pch)
  endif()
endfunction()

# One gtest executable registered with ctest. It runs in the source folder, so tests name files by
# their path in the project (rules/arith.rules); TESSERA_BINARY_DIR tells where the build is.
function(tessera_test_executable name label)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  tessera_common(${name} TEST)
  target_link_libraries(${name} PRIVATE ${arg_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set(environment TESSERA_BINARY_DIR=${CMAKE_BINARY_DIR}
                  TESSERA_PYTHON=${CMAKE_SOURCE_DIR}/build/venv/bin/python3)
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 1200
                                          ENVIRONMENT "${environment}")
endfunction()

# The pair of executables, quick and slow, for a list of test sources.
function(tessera_tests name label)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  set(slow ${arg_SOURCES})
  list(FILTER slow INCLUDE REGEX "_slow_test\\.cpp$")
  list(FILTER arg_SOURCES EXCLUDE REGEX "_slow_test\\.cpp$")
  tessera_test_executable(${name}_tests ${label} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS})
  tessera_test_executable(${name}_slow_tests slow SOURCES ${slow} LIBS ${arg_LIBS})
endfunction()

function(tessera_module module)
  cmake_parse_arguments(arg "" "PROTO" "LIBS;PKG" ${ARGN})
  if(NOT module IN_LIST LAYERS)
    message(FATAL_ERROR "${module} is not in layers.txt")
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${module}/*.cpp)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$|/main\\.cpp$")
  if(NOT sources AND NOT tests)
    return()
  endif()

  tessera_target(${module} target)
  tessera_targets(deps ${LAYER_${module}})
  tessera_packages(packages ${arg_PKG})
  if(arg_PROTO)
    tessera_proto(${target}_proto ${module} ${arg_PROTO})
    list(APPEND packages ${target}_proto)
  endif()

  if(sources)
    add_library(${target} STATIC ${sources})
    tessera_common(${target})
    # PKG stays inside the module (LLVM headers are seen in codegen, amx and backend/cpu only); LIBS
    # are what the module's headers rely on, and travel upwards with them.
    target_link_libraries(${target} PUBLIC ${deps} ${arg_LIBS} PRIVATE ${packages})
  else() # headers and tests only
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${deps} ${arg_LIBS})
  endif()

  set(label null)
  if(module STREQUAL "codegen" OR "codegen" IN_LIST LAYER_${module})
    set(label cpu)
  endif()
  string(REPLACE "/" "_" name ${module})
  tessera_tests(${name} ${label} SOURCES ${tests} LIBS ${target} ${packages})
endfunction()

# An executable module (`cli`): a library as any other, and main.cpp, which becomes program `name`.
function(tessera_program module name)
  cmake_parse_arguments(arg "" "" "PKG" ${ARGN})
  tessera_module(${module} PKG ${arg_PKG})
  if(EXISTS ${CMAKE_SOURCE_DIR}/src/${module}/main.cpp)
    tessera_targets(deps ${module} ${LAYER_${module}})
    tessera_packages(packages ${arg_PKG})
    add_executable(${name} ${CMAKE_SOURCE_DIR}/src/${module}/main.cpp)
    tessera_common(${name})
    target_link_libraries(${name} PRIVATE ${deps} ${packages})
    install(TARGETS ${name})
  endif()
endfunction()
