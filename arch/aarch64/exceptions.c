/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "aarch64.h"

/* Exceptions have no numbers here that the signal and its code would not say. */
struct arch_exception a64_derive_exception(const tg_regs *regs, const siginfo_t *info, uint32_t access,
                                           const struct arch_guest *guest)
{
    (void)regs, (void)info, (void)access, (void)guest;
    return (struct arch_exception){0};
}
