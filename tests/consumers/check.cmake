# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Called by the tests in CMakeLists.txt, which lists the variables.
file(REMOVE_RECURSE ${work})
if(consumer MATCHES "^find_package")
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${binary} --prefix ${work}/prefix
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()

set(cuda "")
if(consumer MATCHES "_cuda$")
  set(cuda -D CMAKE_CUDA_COMPILER=${nvcc} -D CMAKE_CUDA_ARCHITECTURES=90)
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${consumer} -B ${work}/build -G ${generator}
                        -D CMAKE_CXX_COMPILER=${compiler} -D CMAKE_PREFIX_PATH=${work}/prefix
                        -D WINDOWKV_SOURCE_DIR=${source} -D WINDOWKV_VERSION=${version} ${cuda}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${work}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${work}/build/consumer OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
if(NOT output STREQUAL "windowkv ${version}\n")
  message(FATAL_ERROR "The consumer prints '${output}' instead of 'windowkv ${version}'")
endif()

# Users of other build systems get the flags from pkg-config, where there is one.
find_program(pkg_config pkg-config)
if(consumer STREQUAL "find_package" AND pkg_config)
  set(ENV{PKG_CONFIG_PATH} ${work}/prefix/share/pkgconfig)
  execute_process(COMMAND ${pkg_config} --cflags windowkv OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND ${flags})
  execute_process(COMMAND ${compiler} -std=c++17 -fsyntax-only ${flags} ${CMAKE_CURRENT_LIST_DIR}/main.cpp
                  COMMAND_ERROR_IS_FATAL ANY)
endif()
