# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Makes the target windowkv_catch2 (with a main function) and catch_discover_tests().
# Version 3 is preferred; 2.13 is what Debian 12 packages.
find_package(Catch2 3 QUIET)
if(NOT Catch2_FOUND)
  find_package(Catch2 2.13 QUIET)
endif()
if(NOT Catch2_FOUND AND WINDOWKV_FETCH_DEPS)
  include(FetchContent)
  FetchContent_Declare(Catch2 GIT_REPOSITORY https://github.com/catchorg/Catch2.git
                       GIT_TAG fa43b77429ba76c462b1898d6cd2f2d7a9416b14) # v3.7.1
  FetchContent_MakeAvailable(Catch2)
  set(Catch2_DIR ${catch2_SOURCE_DIR}/extras)
endif()
if(NOT TARGET Catch2::Catch2)
  message(FATAL_ERROR "windowkv: the tests need Catch2 (3.x or 2.13), which was not found. Install it "
                      "(Debian, Ubuntu: apt-get install catch2; Fedora: dnf install catch2-devel; "
                      "macOS: brew install catch2), or allow the download with -DWINDOWKV_FETCH_DEPS=ON, "
                      "or leave the tests out with -DWINDOWKV_BUILD_TESTS=OFF.")
endif()

add_library(windowkv_catch2 INTERFACE)
if(TARGET Catch2::Catch2WithMain)
  target_link_libraries(windowkv_catch2 INTERFACE Catch2::Catch2WithMain)
else()
  # The header-only package of 2.13 brings no main function.
  set(catch2_main ${CMAKE_CURRENT_BINARY_DIR}/catch2_main.cpp)
  file(CONFIGURE OUTPUT ${catch2_main} CONTENT "#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n")
  target_sources(windowkv_catch2 INTERFACE ${catch2_main})
  target_link_libraries(windowkv_catch2 INTERFACE Catch2::Catch2)
endif()
include(${Catch2_DIR}/Catch.cmake)
