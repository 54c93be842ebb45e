/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The calls that a stub makes, by the C library's header, which has the numbers of each processor. */
#ifndef ARCH_NATIVE_SYSCALLS_H
#define ARCH_NATIVE_SYSCALLS_H

#include <sys/syscall.h>

/* Of a struct arch_syscalls. */
#define ARCH_NATIVE_SYSCALLS                                                                                           \
    {                                                                                                                  \
        .mmap = SYS_mmap, .munmap = SYS_munmap, .mprotect = SYS_mprotect, .mremap = SYS_mremap,                        \
        .madvise = SYS_madvise, .clone = SYS_clone, .membarrier = SYS_membarrier, .exit_group = SYS_exit_group,        \
        .pread64 = SYS_pread64, .pwrite64 = SYS_pwrite64, .getpid = SYS_getpid,                                        \
    }

#endif
