/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A sandbox: one platform, one queue, and all guest processes in it, driven
 * by one loop on one thread. Nothing here needs a lock.
 */
#ifndef TRAPGATE_KERNEL_SANDBOX_STATE_H
#define TRAPGATE_KERNEL_SANDBOX_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

#include "syscall_handler.h"
#include "tasks/shown_clocks.h"
#include "tasks/timer_heap.h"

struct address_space;
struct fd_poller;
struct process;
struct task;

struct sandbox_options {
    uint32_t backend;             /* TG_BACKEND_* */
    uint64_t platform_flags;      /* TG_OPEN_* */
    const char *root;             /* folder of the host that the guest sees as / */
    const char *cwd;              /* as the guest sees it */
    const char *const *arguments; /* NULL-terminated; the first is the program's path or name */
    const char *const *environment;
    bool standard_files[3]; /* whether the guest gets the embedder's descriptor 0, 1, 2: it was open at the start */
    bool measure;           /* take the time of every handler */
    bool answers;           /* the library may answer calls by itself (identity_words.h), and nothing here sees them;
                               an answer may turn out to be -EFAULT after on_exit (last_write.h) */
    /* Called before and after every call, when not NULL: for trace. */
    void (*on_enter)(struct task *task, uint64_t nr, const uint64_t args[6]);
    void (*on_exit)(struct task *task, uint64_t nr, int64_t result);
    char *message; /* where a failure's sentence goes */
    size_t message_capacity;
};

struct sandbox_counters {
    struct syscall_counter calls[SYSCALL_NR_MAX];
    uint64_t other_calls; /* numbers from SYSCALL_NR_MAX on, and calls through compat entries */
    uint64_t unknown_calls;
    uint64_t faults;
    uint64_t exceptions;
    uint64_t signals;
    uint64_t interrupts;
    uint64_t waits; /* calls that had to wait */
    uint64_t wall_ns;
};

#define EVENTS_AT_ONCE 64

#define FUTEX_BUCKETS 256

/* Processes and tasks together: as many of each as Linux lets a user have by default, give or take. */
#define POPULATION_MAX 65536

struct futex_bucket {
    struct task *first;
    struct task *last;
};

struct sandbox {
    tg_platform *platform;
    tg_queue *queue;
    tg_info info;
    struct sandbox_options options;
    struct syscall_table table;
    struct sandbox_counters counters;

    struct process *processes; /* all of them, zombies too */
    struct process *init;      /* the first one: the sandbox ends with it */
    size_t running;            /* tasks that are submitted */
    int64_t refused_since;     /* since when the host lets none of them run; 0: it does */
    struct task *ready_first, *ready_last;
    struct task *ended_first, *ended_last; /* to be buried by the loop; linked by next_ended */
    struct process *retired;               /* to be freed then; linked by next_retired */
    struct address_space *left_spaces;     /* of nobody, to be destroyed by the loop; linked by next_left */
    struct task *fd_waiters;
    size_t fd_waiter_count;
    size_t waited_fds, waited_fds_max; /* of all of them together; more than that poll(2) refuses */
    uint64_t fd_waiters_generation;    /* changes with the list */
    struct timer_heap timers;
    struct guest_clocks clocks;
    struct futex_bucket futexes[FUTEX_BUCKETS];
    struct fd_poller *poller;
    uint64_t watched_generation; /* of the list that the poller has */
    uint64_t looked_generation;  /* of the list that the loop looks at itself */
    uint32_t looks_in_vain;      /* at that list */
    struct pollfd *poll_fds;     /* scratch: what all tasks wait for */
    size_t poll_capacity;
    tg_event *events;

    unsigned char *fpstate; /* scratch for signal frames: info.fpstate_size bytes and four more */

    int root_fd; /* O_PATH; the file side opens everything below it */
    int32_t next_id;
    bool ids_come_round;    /* they started again from 1: a number may be taken */
    size_t population;      /* processes, zombies too, and tasks */
    uint64_t next_space_id; /* of address spaces: never used twice */
    int32_t exit_status;    /* wait status of the first process */
    bool met_reserved;      /* why the last program that could not be loaded could not */
};

#endif
