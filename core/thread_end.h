/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whether a thread of another process has ended. For one that is not its
 * process's first, its number does: when that is no thread's any more. The
 * first leaves a zombie that answers to its number as long as other threads
 * live, and that no descriptor tells.
 *
 * The kernel lends no lock to a thread that has ended. So it is asked for a
 * priority-inheriting lock (FUTEX_TRYLOCK_PI) that belongs to that thread, or
 * so says a word of ours: ESRCH is what a thread gets that has passed the
 * middle of exit(2), and no other, whether it runs, sleeps, is stopped, frozen
 * or traced. The answer depends on the kernel's own record of the thread and on
 * nothing that a guest can write; it needs no right over that process, no /proc,
 * and no call but futex(2).
 */
#ifndef CORE_THREAD_END_H
#define CORE_THREAD_END_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Of a process that nobody has reaped, or the number may be another's. False
 * also when the host does not say. Leaves errno as it was.
 */
bool thread_has_ended(pid_t tid);

#endif
