/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A stub process by its number, and nowhere else in this backend.
 *
 * A number means a process until that is reaped; then it may be anybody's. So
 * a stub that has died stays a zombie, and is reaped by keeper_bury() alone:
 * when its subprocess is destroyed, its door is shut and nobody is inside any
 * more, and after whoever is in one of these functions has come out. Its
 * threads are named together with it: a number that is no thread of that
 * process any more is nobody's.
 *
 * Other files may name a stub by tg_subprocess.pid while they are inside its
 * door (subprocess_enter()).
 */
#ifndef CORE_SYSTRAP_CHILD_H
#define CORE_SYSTRAP_CHILD_H

#include <sched.h>

#include "core/systrap/systrap_types.h"

/* The process exists, and is the subprocess's. */
void child_set(struct systrap_subprocess *subprocess, pid_t pid);
/* A pidfd of the process, or -errno. */
int child_open(const struct systrap_subprocess *subprocess);

/* Kills the process. False: the host has refused each call that could. */
bool child_kill(struct systrap_subprocess *subprocess);
/* Kicks one of its threads. Any thread and any signal handler may call it. */
void child_kick(struct systrap_subprocess *subprocess, pid_t thread);
/* Which processors its syscall thread may run on. 0 or -errno. */
int child_place(struct systrap_subprocess *subprocess, const cpu_set_t *cpus);
/* False: that thread of the process has ended; 0: the syscall thread. True also when the host does not say. */
bool child_has_thread(struct systrap_subprocess *subprocess, pid_t thread);
/* Somebody has stopped it by a signal. False also when the host does not say. */
bool child_is_stopped(struct systrap_subprocess *subprocess);
/* The processor time of all its threads so far. False: the host does not say. */
bool child_run_time(struct systrap_subprocess *subprocess, int64_t *ns);

enum child_state {
    CHILD_LIVES,
    CHILD_ENDED, /* and is there to be reaped */
    CHILD_TAKEN, /* somebody else has waited for it: its number is not ours any more, and is not used again */
};

/*
 * Whether the process has ended, and of what: TG_DEAD_* and a status. Where the
 * host refuses to tell, the pidfd says whether it has ended, and it is taken for
 * killed. The caller has keeper_lock, or is the one who buries it.
 */
enum child_state child_look(struct systrap_subprocess *subprocess, int32_t *reason, int32_t *status);
/* Waits for the process to end, but no longer than that: the host may have refused the kill. True: it has ended. */
bool child_wait(struct systrap_subprocess *subprocess, int64_t until_ns);
/* Reaps the process, which has ended. keeper_lock is held. */
void child_reap(struct systrap_subprocess *subprocess);

/*
 * Reaps a process whose number a guest may have made up: only if that is the
 * number of a child of this process, in a process group whose leader nobody has
 * reaped, so that the group is the platform's. False: that child has not ended
 * yet. keeper_lock is held: whatever is reaped is reaped under it.
 */
bool child_reap_stranger(pid_t pid, pid_t group);
/*
 * A child of this process that has ended in that group, and is there to be
 * reaped; 0: there is none. Nobody has reaped the group's leader. keeper_lock is
 * held.
 */
pid_t child_ended_in(pid_t group);

#endif
