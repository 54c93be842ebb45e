/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest thread: one context of the library, and what Linux keeps for each
 * thread. The loop owns the state; handlers change it through the functions
 * below.
 */
#ifndef TRAPGATE_KERNEL_TASK_H
#define TRAPGATE_KERNEL_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

#include "syscall_handler.h"
#include "tasks/futex_queue.h"
#include "tasks/process.h"
#include "tasks/read_log.h"
#include "tasks/scheduling_state.h"
#include "tasks/signal_state.h"
#include "tasks/wait.h"

enum task_state {
    TASK_SERVED,  /* new, or its event is being handled at this moment */
    TASK_READY,   /* in line to be started or to go on with its call */
    TASK_RUNNING, /* submitted: its event is to come, its registers are out of reach */
    TASK_WAITING, /* in a system call that waits */
    TASK_ENDED,   /* gone for the guest; buried by the loop */
};

/* A place on one list of waiting tasks; see futex_queue.h. */
struct futex_waiter {
    struct task *next;
    struct task *prev;
    struct futex_key key;
    uint32_t bitset;
    bool queued;
};

/* The call that the task is in: kept so that it can be made again. */
struct call {
    uint64_t nr;
    uint64_t args[6];
};

struct task {
    tg_context *context;
    struct process *process;
    struct sandbox *sandbox;
    enum task_state state;
    enum wake_reason wake;
    int32_t tid;
    bool interrupt_sent;   /* tg_context_interrupt() was called since the last event */
    bool must_end;         /* ends as soon as it is not running any more */
    int64_t refused_since; /* since when the host does not let it run; 0: it does */
    int wait_status;       /* of the process, should this be its last task: see task_end() */

    struct call call;
    struct read_log reads; /* of that call */
    struct wait wait;
    struct futex_waiter futex;
    struct task_signals signals;

    uint64_t clear_child_tid; /* guest address, or 0 */
    uint64_t robust_list;     /* guest address, or 0 */
    char name[16];            /* PR_SET_NAME */
    struct scheduling scheduling;

    int64_t clone_result;        /* of a vfork that waits for the child's exec or end */
    struct process *vfork_child; /* that child; its vfork_parent is this task */

    /*
     * A task that ends or is abandoned leaves every list but its process's, and
     * whoever else points to it: task.c's detach() knows them all.
     */
    struct task *next_in_process;
    struct task *next_waiting, *prev_waiting; /* tasks that wait on descriptors */
    struct task *next_ready, *prev_ready;
    bool on_ready_list;
    struct task *next_ended;
};

/* A new task of the process with a context of its own, in no state to run yet. 0 or -errno. */
int task_create(struct process *process, int32_t tid, struct task **out);

/* Resets all registers, for a new program. 0 or -errno. */
int task_start(struct task *task, uint64_t entry, uint64_t stack_pointer);

/*
 * Ends one thread that is not running; the last one of a process ends it with
 * this wait status. It only marks the task and takes it off what could wake it,
 * so it may be called from inside any walk over tasks or processes: what the
 * end means for others comes with tasks_bury(): burial.h.
 */
void task_end(struct task *task, int wait_status);

/* Frees a task that was created but shall never start, or at the sandbox's end. */
void task_abandon(struct task *task);

/* For burial.c: takes it off its process's list; and frees it, when nothing leads to it any more. */
void task_leave_process(struct task *task);
void task_free(struct task *task);

/* Takes a task out of the guest as soon as possible: an INTERRUPTED event follows. */
void task_interrupt(struct task *task);

/* The task with this id that has not ended, or NULL. */
struct task *task_find(struct sandbox *sandbox, int32_t tid);

#endif
