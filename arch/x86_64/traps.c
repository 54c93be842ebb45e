/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Instructions that can be made to fault: CPUID and RDTSC. */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "x86_64.h"

int x86_stub_trap_cpuid(void)
{
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) ? -errno : 0;
}

int x86_stub_trap_tsc(void)
{
    return prctl(PR_SET_TSC, PR_TSC_SIGSEGV) ? -errno : 0;
}

bool x86_can_trap_cpuid(void)
{
    /* Setting what is set already says whether the processor has the switch. */
    long now = syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0);

    return now >= 0 && !syscall(SYS_arch_prctl, ARCH_SET_CPUID, now);
}

bool x86_can_trap_tsc(void)
{
    int mode;

    return !prctl(PR_GET_TSC, &mode);
}
