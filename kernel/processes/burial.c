/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "processes/burial.h"

#include <stdlib.h>

#include "memory/address_space.h"
#include "memory/futex_word.h"
#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "processes/process_files.h"
#include "signals/signals.h"
#include "tasks/identity_words.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"
#include "tasks/vfork.h"
#include "time/cpu_usage.h"
#include "time/interval_timers.h"

static void give_back(struct process *process)
{
    vfork_release_parent(process);
    interval_timers_delete(process, true);
    files_release(process);
    address_space_release(process->sandbox, process->space);
    process->space = NULL;
    free(process->executable);
    process->executable = NULL;
}

void process_retire(struct process *process)
{
    struct sandbox *sandbox = process->sandbox;
    struct process **link = &sandbox->processes;

    give_back(process);
    while (process->first_child)
        process_leave_parent(process->first_child);
    process_leave_parent(process);
    while (*link && *link != process)
        link = &(*link)->next;
    if (*link)
        *link = process->next;
    if (sandbox->init == process)
        sandbox->init = NULL;
    process->next_retired = sandbox->retired;
    sandbox->retired = process;
}

void processes_free_retired(struct sandbox *sandbox)
{
    struct process *process;

    while ((process = sandbox->retired)) {
        sandbox->retired = process->next_retired;
        sandbox->population--;
        credentials_release(&process->credentials);
        free(process);
    }
}

static bool parent_wants_no_zombies(struct process *parent)
{
    const struct signal_action *action = signal_action_of(&parent->signals, SIGCHLD);

    return action->handler == (uint64_t)(uintptr_t)SIG_IGN || (action->flags & SA_NOCLDWAIT);
}

/* Sends the exit signal and lets a wait of the parent go on. */
static void tell_parent(struct process *process)
{
    siginfo_t info;

    for (struct task *task = process->parent->tasks; task; task = task->next_in_process)
        if (task->wait.for_child)
            task_wake(task, WAKE_READY);
    if (!process->exit_signal)
        return;
    process_child_info(process, &info);
    info.si_signo = process->exit_signal;
    signal_queue_process(process->parent, &info);
}

/* A zombie and whoever is its parent now: it stays for a wait of the parent, unless nobody will. */
static void announce_zombie(struct process *process)
{
    if (process->parent)
        tell_parent(process);
    if (!process->parent || parent_wants_no_zombies(process->parent))
        process_retire(process);
}

/* The nearest above it that asked for such children, else the first one. NULL: none is left. */
static struct process *heir_of(const struct process *process)
{
    struct process *heir = process->parent;

    while (heir && !(heir->adopts_orphans && !heir->ending && !heir->ended))
        heir = heir->parent;
    if (!heir)
        heir = process->sandbox->init;
    return heir && heir != process && !heir->ended ? heir : NULL;
}

/* Somebody takes over, and as on Linux hears of their ends by SIGCHLD, whatever their parent asked for. */
static void orphan_children(struct process *process)
{
    struct process *heir = heir_of(process);
    struct process *child;

    while ((child = process->first_child)) {
        process_leave_parent(child);
        if (heir)
            process_adopt(heir, child);
        identity_words_tell_all(child);
        child->exit_signal = SIGCHLD;
        if (child->parent_end_signal && !child->ended)
            signal_send_process(child, child->parent_end_signal);
        if (child->ended)
            announce_zombie(child);
    }
}

/* The last task is gone: gives everything back, and tells the parent. */
static void become_zombie(struct process *process)
{
    struct sandbox *sandbox = process->sandbox;

    process->ended = true;
    cpu_usage_keep(process);
    give_back(process);
    orphan_children(process);
    if (process == sandbox->init)
        sandbox->exit_status = process->wait_status;
    else
        announce_zombie(process);
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

/* What the end of a thread means for others. Whom that ends in turn comes behind it on the list. */
static void bury(struct task *task)
{
    struct process *process = task->process;

    futex_release_robust_list(task);
    clear_child_tid(task);
    task_leave_process(task);
    tell_exec_task(process);
    if (process->tasks)
        return;
    if (!process->ending)
        process->wait_status = task->wait_status;
    become_zombie(process);
}

void tasks_bury(struct sandbox *sandbox)
{
    struct task *task;

    while ((task = sandbox->ended_first)) {
        sandbox->ended_first = task->next_ended;
        if (!sandbox->ended_first)
            sandbox->ended_last = NULL;
        bury(task);
        task_free(task);
    }
    processes_free_retired(sandbox);
}
