/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address_space.h"
#include "cpu_usage.h"
#include "files.h"
#include "interval_timers.h"
#include "sandbox.h"
#include "task.h"

static void adopt(struct process *parent, struct process *child)
{
    child->parent = parent;
    if (!parent)
        return;
    child->next_sibling = parent->first_child;
    parent->first_child = child;
}

static void leave_parent(struct process *child)
{
    struct process **link;

    if (!child->parent)
        return;
    for (link = &child->parent->first_child; *link; link = &(*link)->next_sibling)
        if (*link == child) {
            *link = child->next_sibling;
            break;
        }
    child->parent = NULL;
}

static void inherit(struct process *process, const struct process *parent)
{
    process->pgid = parent->pgid;
    process->sid = parent->sid;
    process->credentials = parent->credentials;
    process->dumpable = parent->dumpable;
    memcpy(process->limits, parent->limits, sizeof(process->limits));
    memcpy(process->signals.actions, parent->signals.actions, sizeof(process->signals.actions));
}

int process_create(struct sandbox *sandbox, struct process *parent, struct process **out)
{
    struct process *process = calloc(1, sizeof(*process));

    *out = NULL;
    if (!process)
        return -ENOMEM;
    process->sandbox = sandbox;
    process->pid = sandbox->next_id++;
    process->exit_signal = SIGCHLD;
    if (parent) {
        inherit(process, parent);
        if (parent->executable)
            process->executable = strdup(parent->executable);
        if (parent->executable && !process->executable) {
            free(process);
            return -ENOMEM;
        }
    }
    adopt(parent, process);
    process->next = sandbox->processes;
    sandbox->processes = process;
    *out = process;
    return 0;
}

struct process *process_find(struct sandbox *sandbox, int32_t pid)
{
    for (struct process *process = sandbox->processes; process; process = process->next)
        if (process->pid == pid)
            return process;
    return NULL;
}

static void give_back(struct process *process)
{
    process_release_vfork_parent(process);
    interval_timers_delete(process, true);
    files_release(process);
    address_space_release(process->space);
    process->space = NULL;
    free(process->executable);
    process->executable = NULL;
}

void process_destroy(struct process *process)
{
    struct process **link = &process->sandbox->processes;

    give_back(process);
    while (process->first_child)
        leave_parent(process->first_child);
    leave_parent(process);
    while (*link && *link != process)
        link = &(*link)->next;
    if (*link)
        *link = process->next;
    if (process->sandbox->init == process)
        process->sandbox->init = NULL;
    free(process);
}

void process_end(struct process *process, int wait_status)
{
    struct task *task, *next;

    if (process->ending || process->ended)
        return;
    process->ending = true;
    process->wait_status = wait_status;
    for (task = process->tasks; task; task = next) {
        next = task->next_in_process;
        if (task->state == TASK_RUNNING) {
            task->must_end = true;
            task_interrupt(task);
        } else {
            task_end(task, wait_status);
        }
    }
}

static void orphan_children(struct process *process)
{
    struct process *heir = process->sandbox->init;
    struct process *child;

    while ((child = process->first_child)) {
        leave_parent(child);
        if (heir && heir != process && !heir->ended)
            adopt(heir, child);
        if (child->ended && !child->parent)
            process_destroy(child);
        else if (child->ended)
            process_tell_parent(child);
    }
}

static bool parent_wants_no_zombies(const struct process *parent)
{
    const struct signal_action *action = &parent->signals.actions[SIGCHLD];

    return action->handler == (uint64_t)(uintptr_t)SIG_IGN || (action->flags & SA_NOCLDWAIT);
}

void process_child_info(const struct process *child, siginfo_t *info)
{
    bool killed = (child->wait_status & 0x7f) != 0;

    memset(info, 0, sizeof(*info));
    info->si_signo = SIGCHLD;
    info->si_code = killed ? CLD_KILLED : CLD_EXITED;
    info->si_pid = child->pid;
    info->si_uid = child->credentials.uid;
    info->si_status = killed ? child->wait_status & 0x7f : (child->wait_status >> 8) & 0xff;
}

void process_tell_parent(struct process *process)
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

void process_become_zombie(struct process *process)
{
    struct sandbox *sandbox = process->sandbox;

    process->ended = true;
    cpu_usage_keep(process);
    give_back(process);
    orphan_children(process);
    if (process == sandbox->init) {
        sandbox->exit_status = process->wait_status;
        return;
    }
    if (!process->parent) {
        process_destroy(process);
        return;
    }
    process_tell_parent(process);
    if (parent_wants_no_zombies(process->parent))
        process_destroy(process);
}

void process_release_vfork_parent(struct process *process)
{
    struct task *parent = process->vfork_parent;

    process->vfork_parent = NULL;
    if (parent)
        task_wake(parent, WAKE_READY);
}
