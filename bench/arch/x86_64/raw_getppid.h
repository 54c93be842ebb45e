/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* raw_getppid.h - getppid by "mov $number, %eax; syscall", the pair of instructions that patching sandboxes look for.
 */
#ifndef TRAPGATE_BENCH_RAW_GETPPID_H
#define TRAPGATE_BENCH_RAW_GETPPID_H

static inline long raw_getppid(void)
{
    long result;

    __asm__ volatile("mov $110, %%eax\n\tsyscall" : "=a"(result) : : "rcx", "r11", "memory");
    return result;
}

#endif
