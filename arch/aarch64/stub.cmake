# SPDX-License-Identifier: Apache-2.0 OR MIT
set(TG_ARCH_STUBS stub)
set(TG_STUB_FLAGS -mgeneral-regs-only -mbranch-protection=none -mno-outline-atomics)
