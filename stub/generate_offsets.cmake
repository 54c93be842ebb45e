# SPDX-License-Identifier: Apache-2.0 OR MIT
# cmake -DNM=nm -DELF=stub.elf -DOUT=stub_offsets.h -P generate_offsets.cmake
execute_process(COMMAND "${NM}" "${ELF}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
set(text "/* Generated from the stub blob's symbols. */\n#ifndef STUB_OFFSETS_H\n#define STUB_OFFSETS_H\n\n")
string(REPLACE "\n" ";" lines "${symbols}")
foreach(line IN LISTS lines)
  if(line MATCHES "^([0-9a-f]+) T tg_stub_([a-z_]+)$")
    string(TOUPPER "${CMAKE_MATCH_2}" name)
    string(APPEND text "#define STUB_OFFSET_${name} 0x${CMAKE_MATCH_1}\n")
  endif()
endforeach()
string(APPEND text "\n#endif\n")
file(WRITE "${OUT}" "${text}")
