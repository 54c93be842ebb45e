# SPDX-License-Identifier: Apache-2.0 OR MIT
# cmake -DBENCH=FILE -DNAMES=FILE -P check_names.cmake: the benchmarks are those that names.txt lists, in that order.
execute_process(COMMAND "${BENCH}" --list OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
file(READ "${NAMES}" expected)
if(NOT listed STREQUAL expected)
  message(FATAL_ERROR "Programs read the names of benchmarks; they differ from ${NAMES}:\n${listed}")
endif()
