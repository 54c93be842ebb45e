# SPDX-License-Identifier: Apache-2.0 OR MIT
# cmake -DNM=nm -DELF=stub.elf -DSYMBOL=stub -DOUT=stub_offsets.h -P generate_offsets.cmake
execute_process(COMMAND "${NM}" "${ELF}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(TOUPPER "${SYMBOL}" prefix)
set(text "/* Generated from the symbols of a stub blob. */\n#ifndef ${prefix}_OFFSETS_H\n#define ${prefix}_OFFSETS_H\n\n")
string(REPLACE "\n" ";" lines "${symbols}")
foreach(line IN LISTS lines)
  if(line MATCHES "^([0-9a-f]+) [Tt] tg_${SYMBOL}_([a-z_]+)$")
    string(TOUPPER "${CMAKE_MATCH_2}" name)
    string(APPEND text "#define ${prefix}_OFFSET_${name} 0x${CMAKE_MATCH_1}\n")
  endif()
endforeach()
string(APPEND text "\n#endif\n")
file(WRITE "${OUT}" "${text}")
