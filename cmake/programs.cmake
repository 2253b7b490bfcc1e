# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# What the repository's own programs share. The library itself sets no flags.
find_package(Threads REQUIRED)

add_library(windowkv_build_flags INTERFACE)
if(NOT MSVC)
  target_compile_options(windowkv_build_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                                                        $<$<BOOL:${WINDOWKV_WERROR}>:-Werror>)
  foreach(sanitizer IN LISTS WINDOWKV_SANITIZE)
    target_compile_options(windowkv_build_flags INTERFACE -fsanitize=${sanitizer} -fno-sanitize-recover=all
                                                          -fno-omit-frame-pointer)
    target_link_options(windowkv_build_flags INTERFACE -fsanitize=${sanitizer})
  endforeach()
endif()

# windowkv_add_program(<name> <source>...)
function(windowkv_add_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE windowkv::windowkv windowkv_build_flags Threads::Threads)
endfunction()

# windowkv_glob(<variable> <pattern>): the sources that match; complains when there are none.
function(windowkv_glob variable pattern)
  file(GLOB sources CONFIGURE_DEPENDS ${pattern})
  if(NOT sources)
    message(WARNING "windowkv: no sources match ${CMAKE_CURRENT_SOURCE_DIR}/${pattern}")
  endif()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
