# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Enables CUDA for the project's own tests and benchmarks, and sets WINDOWKV_HAS_NVCC. The library leaves the
# language to its users: enabled in a subdirectory, it would not reach the parent.
set(WINDOWKV_HAS_NVCC OFF)
if(WINDOWKV_SANITIZE)
  message(STATUS "windowkv: nvcc's parts are not built with sanitizers")
  return()
elseif(NOT TARGET windowkv::cuda)
  message(STATUS "windowkv: no CUDA toolkit is used: CUDA parts are not built")
  return()
elseif(NOT WINDOWKV_BUILD_TESTS AND NOT WINDOWKV_BUILD_BENCHMARKS)
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_COMPILER)
  if(NOT DEFINED ENV{CUDACXX} AND CUDAToolkit_NVCC_EXECUTABLE)
    set(ENV{CUDACXX} ${CUDAToolkit_NVCC_EXECUTABLE}) # it may not be on the PATH
  endif()
  if(CMAKE_CUDA_HOST_COMPILER)
    set(ENV{CUDAHOSTCXX} ${CMAKE_CUDA_HOST_COMPILER}) # what check_language() knows it by
  endif()
  include(CheckLanguage)
  check_language(CUDA) # so that an nvcc that does not work is no error, unless CUDA was asked for
endif()
if(CMAKE_CUDA_COMPILER)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES 90)
  endif()
  enable_language(CUDA)
  set(WINDOWKV_HAS_NVCC ON)
  message(STATUS "windowkv: CUDA parts are built by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
elseif(WINDOWKV_CUDA STREQUAL "ON")
  message(FATAL_ERROR "windowkv: WINDOWKV_CUDA is ON, but no nvcc works here: set CMAKE_CUDA_COMPILER, and "
                      "CMAKE_CUDA_HOST_COMPILER if nvcc refuses the default compiler")
else()
  message(STATUS "windowkv: no working nvcc found: what it compiles is not built")
endif()
