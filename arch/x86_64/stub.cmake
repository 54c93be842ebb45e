# SPDX-License-Identifier: Apache-2.0 OR MIT
set(TG_ARCH_STUBS stub systrap vdso)
set(TG_STUB_FLAGS -mgeneral-regs-only -fcf-protection=none)
