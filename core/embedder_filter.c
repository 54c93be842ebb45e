/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/embedder_filter.h"
#include "core/filter_program.h"

/* What the library does for every backend. */
static const int calls[] = {
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(sched_yield),
    SCMP_SYS(getpid),
    SCMP_SYS(kill),
    SCMP_SYS(tgkill),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    /* tg_queue_fd() */
    SCMP_SYS(eventfd2),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(exit),
    /* the C library's memory; it counts processors in /sys or /proc, or asks */
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(openat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fstat),
};

int embedder_filter_allow(const struct tg_platform *platform, void *filter)
{
    const struct backend_ops *ops = platform->ops;
    int err = filter_allow_calls(filter, calls, sizeof(calls) / sizeof(calls[0]));

    return err ? err : filter_allow_calls(filter, ops->host_calls, ops->host_call_count);
}
