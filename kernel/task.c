/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "task.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "futex.h"
#include "guest_memory.h"
#include "sandbox.h"

/* Only the loop's thread runs contexts, and events lead straight to their task. */
static int set_up_context(struct task *task)
{
    int err = tg_context_set_flags(task->context, TG_CONTEXT_ONE_THREAD);

    if (!err)
        err = tg_context_set_user_data(task->context, (uint64_t)(uintptr_t)task);
    return err;
}

static int create_context(struct task *task)
{
    int err = tg_context_create(task->sandbox->platform, &task->context);

    return err ? err : set_up_context(task);
}

int task_start(struct task *task, uint64_t entry, uint64_t stack_pointer)
{
    int err = tg_context_start(task->context, entry, stack_pointer);

    return err ? err : set_up_context(task);
}

/* The first task stays first: it is the one that signals to the process go to. */
static void append(struct process *process, struct task *task)
{
    struct task **link = &process->tasks;

    while (*link)
        link = &(*link)->next_in_process;
    *link = task;
}

static void unlink_task(struct task *task)
{
    struct task **link = &task->process->tasks;

    while (*link && *link != task)
        link = &(*link)->next_in_process;
    if (*link)
        *link = task->next_in_process;
}

static void wait_expired(struct timer *timer)
{
    struct task *task = (struct task *)((char *)timer - offsetof(struct task, wait.timer));

    task_wake(task, WAKE_TIMEOUT);
}

int task_create(struct process *process, int32_t tid, struct task **out)
{
    struct task *task = calloc(1, sizeof(*task));
    int err;

    *out = NULL;
    if (!task)
        return -ENOMEM;
    task->process = process;
    task->sandbox = process->sandbox;
    task->tid = tid;
    task->wait.deadline = DEADLINE_NEVER;
    task->wait.timer.expire = wait_expired;
    err = create_context(task);
    if (err) {
        task_destroy(task);
        return err;
    }
    append(process, task);
    *out = task;
    return 0;
}

void task_destroy(struct task *task)
{
    tg_context_destroy(task->context);
    free(task->wait.fds);
    free(task);
}

void task_abandon(struct task *task)
{
    unlink_task(task);
    task_destroy(task);
}

void task_interrupt(struct task *task)
{
    if (task->interrupt_sent)
        return;
    task->interrupt_sent = true;
    task->sandbox->counters.interrupts++;
    tg_context_interrupt(task->context);
}

/* pthread_join waits for this word. */
static void clear_child_tid(struct task *task)
{
    uint64_t addr = task->clear_child_tid;

    if (!addr)
        return;
    task->clear_child_tid = 0;
    if (guest_write_u32(task_memory(task), addr, 0) == 0)
        futex_wake(task, addr, 1);
}

/* Called when the number of tasks went down: execve may wait for that. */
static void tell_exec_task(struct process *process)
{
    if (process->exec_task && process->tasks == process->exec_task && !process->exec_task->next_in_process)
        task_wake(process->exec_task, WAKE_READY);
}

void task_end(struct task *task, int wait_status)
{
    struct process *process = task->process;
    struct sandbox *sandbox = task->sandbox;

    if (task->state == TASK_ENDED)
        return;
    task_stop_waiting(task);
    task->state = TASK_ENDED;
    futex_release_robust_list(task);
    clear_child_tid(task);
    unlink_task(task);
    if (!task->on_ready_list) {
        task->next_ready = sandbox->ended;
        sandbox->ended = task;
    }
    if (process->exec_task == task)
        process->exec_task = NULL;
    tell_exec_task(process);
    if (process->tasks)
        return;
    if (!process->ending)
        process->wait_status = wait_status;
    process_become_zombie(process);
}

struct task *task_find(struct sandbox *sandbox, int32_t tid)
{
    for (struct process *process = sandbox->processes; process; process = process->next)
        for (struct task *task = process->tasks; task; task = task->next_in_process)
            if (task->tid == tid)
                return task;
    return NULL;
}
