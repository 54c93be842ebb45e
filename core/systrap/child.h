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

#include "core/systrap/systrap_types.h"

/* The process exists, and is the subprocess's. */
void child_set(struct systrap_subprocess *subprocess, pid_t pid);
/* A descriptor of it, or -errno. */
int child_open(const struct systrap_subprocess *subprocess);

/* False: the host refuses each way there is. */
bool child_kill(struct systrap_subprocess *subprocess);
/* Any thread, any signal handler. */
void child_kick(struct systrap_subprocess *subprocess, pid_t thread);
/* False: that thread of it has ended. 0: its first one, the syscall thread. True also when the host does not say. */
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
 * What it ended with: TG_DEAD_* and a status. Where the host refuses to tell,
 * the descriptor says whether it has ended; then it is taken for killed. The
 * caller has keeper_lock, or is the one who buries it.
 */
enum child_state child_look(struct systrap_subprocess *subprocess, int32_t *reason, int32_t *status);
/* Until it has ended, but not for ever: the host may have refused the kill, or put off a death. True: it has. */
bool child_wait(struct systrap_subprocess *subprocess, int64_t until_ns);
/* It has ended. keeper_lock is held. */
void child_reap(struct systrap_subprocess *subprocess);

/*
 * A number that a guest may have made up. If it is that of a child in the
 * group, which is that of an unreaped process, and has ended, it is reaped.
 * False: not yet. keeper_lock is held: whatever is reaped is reaped under it.
 */
bool child_reap_stranger(pid_t pid, pid_t group);

#endif
