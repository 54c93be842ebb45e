# SPDX-License-Identifier: Apache-2.0 OR MIT
# No stub is written yet, so no backend is offered.
set(TG_ARCH_STUBS)
set(TG_STUB_FLAGS -mgeneral-regs-only -mbranch-protection=none -mno-outline-atomics)
