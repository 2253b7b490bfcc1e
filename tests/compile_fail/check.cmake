# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# cmake -D compiler=... -D standard=17 -D flags=... -D include=... -D source=... -P check.cmake
function(fail reason)
  message("${reason}") # apart, as a fatal error would break the line
  message(FATAL_ERROR "${source} failed the check")
endfunction()

file(STRINGS ${source} expectations REGEX "^// expect: ")
if(NOT expectations)
  fail("The source names no expected text: it needs a line '// expect: text'")
endif()

set(ENV{LC_ALL} C)
execute_process(COMMAND ${compiler} -std=c++${standard} ${flags} -I ${include} ${source}
                RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  fail("The source compiles, but must not")
endif()
foreach(expectation IN LISTS expectations)
  string(REPLACE "// expect: " "" expectation "${expectation}")
  string(FIND "${output}" "${expectation}" position)
  if(position EQUAL -1)
    fail("The compiler does not say '${expectation}'. It says:\n${output}")
  endif()
endforeach()
