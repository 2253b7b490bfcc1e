# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Called by the tests in CMakeLists.txt, which lists the variables.
list(GET headers 0 name)
string(MAKE_C_IDENTIFIER ${name} name)
list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>\n")
string(JOIN "" text ${headers})
file(WRITE ${work}/lines_${name}.cpp "${text}")
list(TRANSFORM include PREPEND -I)
execute_process(COMMAND ${compiler} -std=c++17 -E -P ${include} -o ${work}/lines_${name}.ii ${work}/lines_${name}.cpp
                COMMAND_ERROR_IS_FATAL ANY)
file(READ ${work}/lines_${name}.ii text)
string(REGEX MATCHALL "\n" lines "${text}")
list(LENGTH lines lines)
file(REMOVE ${work}/lines_${name}.ii)
message("${lines} lines, at most ${most}")
if(lines GREATER most OR lines LESS 100)
  message(FATAL_ERROR "not what is allowed")
endif()
