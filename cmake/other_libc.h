/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Read before every C file where the C library is not glibc (CompilerOptions.cmake): what the sources take from glibc
 * and others, musl for one, do not have.
 */
#ifndef TRAPGATE_OTHER_LIBC_H
#define TRAPGATE_OTHER_LIBC_H

#include <linux/prctl.h>
#include <malloc.h>
#include <pthread.h>

/* musl's <sys/prctl.h> says again what the kernel's header says, so that a file cannot include both. */
#define _SYS_PRCTL_H
int prctl(int option, ...);

/* glibc's first parameter of ptrace(2); elsewhere it is an int. */
enum __ptrace_request { TG_NO_PTRACE_REQUEST = -1 };

/* Others have one kind of lock only: a writer may then wait until readers leave a gap. */
#ifndef PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP
#define PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP 0
static inline int pthread_rwlockattr_setkind_np(pthread_rwlockattr_t *attr, int kind)
{
    (void)attr, (void)kind;
    return 0;
}
#endif

/* glibc's knob for the number of its heaps. */
#ifndef M_ARENA_MAX
#define M_ARENA_MAX (-8)
static inline int mallopt(int parameter, int value)
{
    (void)parameter, (void)value;
    return 1;
}
#endif

#endif
