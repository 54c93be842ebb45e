/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch_cpu.h"
#include "core/stub_process.h"

#ifndef SYS_mseal
#define SYS_mseal 462 /* Linux 6.10, the same number everywhere */
#endif
#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#define PERSONALITY_UNCHANGED 0xffffffff
#define RSEQ_UNREGISTER       1
#define LAST_SIGNAL           64
#define KERNEL_SIGSET_SIZE    8

/* glibc's registration for restartable sequences, where there is one. */
/* NOLINTBEGIN(cert-dcl51-cpp): the names are glibc's */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
/* NOLINTEND(cert-dcl51-cpp) */

int stub_process_reset_signals(void)
{
    /* The kernel's struct sigaction; the handler comes first, the rest is no flags and no mask. */
    const uint64_t action[4] = {(uint64_t)(uintptr_t)SIG_DFL};
    const uint64_t blocked = ~UINT64_C(0);

    for (int i = 1; i <= LAST_SIGNAL; i++) {
        if (i != SIGKILL && i != SIGSTOP && syscall(SYS_rt_sigaction, i, action, NULL, KERNEL_SIGSET_SIZE))
            return -errno;
    }
    return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, KERNEL_SIGSET_SIZE) ? -errno : 0;
}

int stub_process_reset_scheduling(void)
{
    const struct sched_param none = {0};
    long policy = syscall(SYS_sched_getscheduler, 0);

    if (policy >= 0 && policy != SCHED_FIFO && policy != SCHED_RR && policy != SCHED_DEADLINE)
        return 0;
    /* Where the policy cannot be known it is most likely this one. */
    return syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none) && policy >= 0 ? -errno : 0;
}

int stub_process_reset_personality(void)
{
    long now = syscall(SYS_personality, (unsigned long)PERSONALITY_UNCHANGED);

    if (now < 0 || !(now & READ_IMPLIES_EXEC))
        return 0;
    return syscall(SYS_personality, (unsigned long)(now & ~READ_IMPLIES_EXEC)) < 0 ? -errno : 0;
}

void stub_process_drop_capabilities(void)
{
    const struct __user_cap_header_struct mine = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    syscall(SYS_capset, &mine, none);
}

#ifdef SYS_rseq
static int unregister_of_glibc(void)
{
    uint32_t size;

    if (!&__rseq_offset || !&__rseq_size || !__rseq_size)
        return 0;
    /* What was registered is a multiple of 32; which one depends on the version of glibc and the kernel. */
    for (size = 32; size <= 512; size += 32) {
        if (!syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, size, RSEQ_UNREGISTER,
                     tgi_arch.rseq_signature))
            return 0;
    }
    return -errno;
}

/*
 * Another library may have registered an area of its own where glibc has none.
 * Nobody tells its address, but while there is one the kernel takes no second.
 */
static int refuse_another(void)
{
    static char area[32] __attribute__((aligned(32)));

    if (!syscall(SYS_rseq, area, sizeof(area), 0, tgi_arch.rseq_signature))
        return syscall(SYS_rseq, area, sizeof(area), RSEQ_UNREGISTER, tgi_arch.rseq_signature) ? -errno : 0;
    /* A host that knows or allows no such call has let nobody make it. */
    return errno == EINVAL || errno == EBUSY ? -EBUSY : 0;
}

int stub_process_unregister_rseq(void)
{
    int err = unregister_of_glibc();

    return err ? err : refuse_another();
}
#else
int stub_process_unregister_rseq(void)
{
    return 0;
}
#endif

int stub_process_map(uint64_t addr, uint64_t length, uint64_t protection, uint64_t flags, int64_t file, uint64_t offset)
{
    long at = syscall(SYS_mmap, addr, length, protection, flags, file, offset);

    if (at == -1)
        return -errno;
    return (uint64_t)at == addr ? 0 : -EEXIST;
}

int stub_process_protect(uint64_t start, uint64_t end, uint64_t protection)
{
    return syscall(SYS_mprotect, start, end - start, protection) ? -errno : 0;
}

void stub_process_seal(uint64_t start, uint64_t end)
{
    syscall(SYS_mseal, start, end - start, 0);
}

/* Volatile, so that no compiler makes a call of memcpy() of it. */
void stub_process_copy(uint64_t to, const uint8_t *from, const uint8_t *from_end)
{
    volatile uint8_t *byte = (volatile uint8_t *)(uintptr_t)to;

    while (from < from_end)
        *byte++ = *from++;
}

int stub_process_random(void *out, size_t size)
{
    ssize_t got = getrandom(out, size, 0);

    if (got == (ssize_t)size)
        return 0;
    return got < 0 ? -errno : -EIO;
}
