/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a thread does between two looks at a word that another processor is about to change; for stub and library. */
#ifndef ARCH_X86_64_BETWEEN_LOOKS_H
#define ARCH_X86_64_BETWEEN_LOOKS_H

/*
 * Nothing, for some twenty nanoseconds. Looks without a break fill the processor with loads that all ask for the cache
 * line: who changes it waits longer for it, and the changed word throws the loads away. PAUSE takes three times as long
 * on some processors.
 */
static inline void x86_between_looks(void)
{
    __asm__ volatile("lfence; lfence; lfence; lfence; lfence; lfence; lfence; lfence" : : : "memory");
}

#endif
