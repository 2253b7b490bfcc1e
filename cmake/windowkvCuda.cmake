# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# windowkv_use_cuda_headers(<target>): makes an interface target what .cuh headers need, after
# find_package(CUDAToolkit). Which runtime library is linked stays with the program: CUDA_RUNTIME_LIBRARY.
function(windowkv_use_cuda_headers target)
  target_link_libraries(${target} INTERFACE windowkv::windowkv)
  foreach(directory IN LISTS CUDAToolkit_INCLUDE_DIRS)
    target_include_directories(${target} SYSTEM INTERFACE ${directory})
    # CUDA 13 moved CUB and Thrust here; nvcc knows, other compilers do not.
    if(EXISTS ${directory}/cccl)
      target_include_directories(${target} SYSTEM INTERFACE ${directory}/cccl)
    endif()
  endforeach()
endfunction()
