/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a thread has asked for of the scheduler. It is kept and told, and nothing
 * else comes of it: whose turn it is, and where, is decided by the host and by
 * the library, among stubs that are all alike.
 */
#ifndef TRAPGATE_KERNEL_SCHEDULING_STATE_H
#define TRAPGATE_KERNEL_SCHEDULING_STATE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct scheduling {
    int nice;           /* -20 to 19 */
    int policy;         /* SCHED_* */
    int priority;       /* of SCHED_FIFO and SCHED_RR: 1 to 99 */
    bool reset_on_fork; /* SCHED_RESET_ON_FORK */
    bool pinned;        /* to the processors of the set; else to those of the embedder */
    cpu_set_t processors;
};

static inline struct scheduling scheduling_of_child(const struct scheduling *parent)
{
    struct scheduling child = *parent;

    if (!parent->reset_on_fork)
        return child;
    child.policy = SCHED_OTHER;
    child.priority = 0;
    child.reset_on_fork = false;
    child.nice = parent->nice < 0 ? 0 : parent->nice;
    return child;
}

#endif
