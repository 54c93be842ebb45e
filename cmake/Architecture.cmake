# SPDX-License-Identifier: Apache-2.0 OR MIT
# The selector: picks the folder of arch/ that is built. Nothing else asks.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(TG_ARCH x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(TG_ARCH aarch64)
else()
  message(FATAL_ERROR "Trapgate supports x86-64 and AArch64, not ${CMAKE_SYSTEM_PROCESSOR}")
endif()

# What core and stub include of it, and what stands for that where it has none.
set(TG_ARCH_INCLUDE "${PROJECT_SOURCE_DIR}/arch/${TG_ARCH}" "${PROJECT_SOURCE_DIR}/arch/absent")
