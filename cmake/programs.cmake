# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# What the repository's own programs share. The library itself sets no flags.
find_package(Threads REQUIRED)

add_library(windowkv_build_flags INTERFACE)
if(NOT MSVC)
  target_compile_options(
    windowkv_build_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wshadow>"
                                   $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${WINDOWKV_WERROR}>>:-Werror>)
  foreach(sanitizer IN LISTS WINDOWKV_SANITIZE)
    target_compile_options(windowkv_build_flags INTERFACE -fsanitize=${sanitizer} -fno-sanitize-recover=all
                                                          -fno-omit-frame-pointer)
    target_link_options(windowkv_build_flags INTERFACE -fsanitize=${sanitizer})
  endforeach()
endif()

# Not -Wpedantic: it dislikes the line directives of what nvcc hands to the host compiler.
set(windowkv_nvcc_warnings -Xcompiler=-Wall,-Wextra,-Wconversion,-Wshadow)
set(windowkv_nvcc_werror -Werror=all-warnings -Xcompiler=-Werror)
target_compile_options(
  windowkv_build_flags
  INTERFACE "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:${windowkv_nvcc_warnings}>"
            "$<$<AND:$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>,$<BOOL:${WINDOWKV_WERROR}>>:${windowkv_nvcc_werror}>")

# windowkv_add_program(<name> <source>...)
function(windowkv_add_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE windowkv::windowkv windowkv_build_flags Threads::Threads)
endfunction()

# windowkv_add_cuda_program(<name> <source>...): the same for .cu sources; where WINDOWKV_HAS_NVCC. The target
# windowkv_cuda_programs builds them all.
add_custom_target(windowkv_cuda_programs)
function(windowkv_add_cuda_program name)
  windowkv_add_program(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE windowkv::cuda)
  add_dependencies(windowkv_cuda_programs ${name})
  set_property(TARGET ${name} PROPERTY CUDA_STANDARD_REQUIRED ON)
  if(NOT CMAKE_CUDA_STANDARD)
    set_property(TARGET ${name} PROPERTY CUDA_STANDARD 17)
  endif()
endfunction()

# windowkv_glob(<variable> <pattern>): the sources that match; complains when there are none.
function(windowkv_glob variable pattern)
  file(GLOB sources CONFIGURE_DEPENDS ${pattern})
  if(NOT sources)
    message(WARNING "windowkv: no sources match ${CMAKE_CURRENT_SOURCE_DIR}/${pattern}")
  endif()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
