# SPDX-License-Identifier: Apache-2.0 OR MIT
# Warnings, hardening and sanitizers of every target but the stub blob.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(Threads REQUIRED)
include(CheckSymbolExists)
check_symbol_exists(__GLIBC__ features.h TG_GLIBC)

add_library(trapgate_options INTERFACE)
target_compile_definitions(trapgate_options INTERFACE _GNU_SOURCE)
target_compile_options(trapgate_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef
  -fno-strict-aliasing -fvisibility=hidden)
if(NOT TG_GLIBC)
  target_compile_options(trapgate_options INTERFACE
    "$<$<COMPILE_LANGUAGE:C>:SHELL:-include \"${CMAKE_CURRENT_LIST_DIR}/other_libc.h\">")
endif()
target_link_libraries(trapgate_options INTERFACE Threads::Threads)
if(TG_SANITIZE)
  target_compile_options(trapgate_options INTERFACE
    -fsanitize=${TG_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(trapgate_options INTERFACE -fsanitize=${TG_SANITIZE})
endif()
