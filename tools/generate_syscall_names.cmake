# SPDX-License-Identifier: Apache-2.0 OR MIT
# Writes one initializer [number] = "name" for each system call that the
# compiler's headers know. Called with -DCOMPILER=... -DOUTPUT=...
execute_process(
  COMMAND ${CMAKE_COMMAND} -E echo "#include <asm/unistd.h>"
  COMMAND ${COMPILER} -E -dM -x c -
  OUTPUT_VARIABLE macros
  COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "#define __NR_[a-z0-9_]+ [0-9]+" definitions "${macros}")
set(lines "")
foreach(definition IN LISTS definitions)
  string(REGEX REPLACE "#define __NR_([a-z0-9_]+) ([0-9]+)" "[\\2] = \"\\1\",\n" line "${definition}")
  string(APPEND lines "${line}")
endforeach()
if(NOT lines)
  message(FATAL_ERROR "no system call numbers in <asm/unistd.h>")
endif()
file(WRITE "${OUTPUT}" "/* SPDX-License-Identifier: Apache-2.0 OR MIT */\n${lines}")
