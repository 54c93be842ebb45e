/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The memory of stubs, without their help. */
#ifndef CORE_PTRACE_GUEST_MEMORY_H
#define CORE_PTRACE_GUEST_MEMORY_H

#include "core/ptrace/ptrace_types.h"

/* /proc/THREAD/mem. The descriptor or -errno. */
int guest_memory_open(pid_t thread, int flags);
ssize_t ptrace_subprocess_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts);
/* How many bytes of it can be read. */
size_t ptrace_read_guest(struct ptrace_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);
/* The thread has no address space any more: it has ended. */
bool guest_memory_is_gone(pid_t thread);

#endif
