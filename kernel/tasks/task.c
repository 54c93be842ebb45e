/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/task.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "tasks/identity_words.h"
#include "tasks/sandbox_state.h"
#include "tasks/vfork.h"

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

void task_leave_process(struct task *task)
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

void task_free(struct task *task)
{
    task->sandbox->population--;
    tg_context_destroy(task->context);
    free(task->wait.fds);
    read_log_free(&task->reads);
    free(task);
}

int task_create(struct process *process, int32_t tid, struct task **out)
{
    struct task *task;
    int err;

    *out = NULL;
    if (process->sandbox->population >= POPULATION_MAX)
        return -EAGAIN;
    task = calloc(1, sizeof(*task));
    if (!task)
        return -ENOMEM;
    task->process = process;
    task->sandbox = process->sandbox;
    task->sandbox->population++;
    task->tid = tid;
    task->wait.deadline = DEADLINE_NEVER;
    task->wait.timer.expire = wait_expired;
    err = create_context(task);
    if (err) {
        task_free(task);
        return err;
    }
    append(process, task);
    identity_words_tell(task);
    *out = task;
    return 0;
}

/* Nothing but the process's list leads to the task after this. */
static void detach(struct task *task)
{
    task_leave_lists(task);
    if (task->vfork_child)
        vfork_forget(task->vfork_child);
    if (task->process->exec_task == task)
        task->process->exec_task = NULL;
}

void task_abandon(struct task *task)
{
    detach(task);
    task_leave_process(task);
    task_free(task);
}

void task_interrupt(struct task *task)
{
    if (task->interrupt_sent)
        return;
    task->interrupt_sent = true;
    task->sandbox->counters.interrupts++;
    tg_context_interrupt(task->context);
}

void task_end(struct task *task, int wait_status)
{
    struct sandbox *sandbox = task->sandbox;

    if (task->state == TASK_ENDED)
        return;
    detach(task);
    task->state = TASK_ENDED;
    task->wait_status = wait_status;
    task->next_ended = NULL;
    if (sandbox->ended_last)
        sandbox->ended_last->next_ended = task;
    else
        sandbox->ended_first = task;
    sandbox->ended_last = task;
}

struct task *task_find(struct sandbox *sandbox, int32_t tid)
{
    for (struct process *process = sandbox->processes; process; process = process->next)
        for (struct task *task = process->tasks; task; task = task->next_in_process)
            if (task->tid == tid && task->state != TASK_ENDED)
                return task;
    return NULL;
}
