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

/* The highest number that Linux gives (PID_MAX_LIMIT). */
#define ID_MAX 4194304

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

static bool id_is_taken(const struct sandbox *sandbox, int32_t id)
{
    for (const struct process *process = sandbox->processes; process; process = process->next) {
        if (process->pid == id || process->pgid == id || process->sid == id)
            return true;
        for (const struct task *task = process->tasks; task; task = task->next_in_process)
            if (task->tid == id)
                return true;
    }
    return false;
}

int32_t process_new_id(struct sandbox *sandbox)
{
    int32_t id;

    do {
        id = sandbox->next_id;
        sandbox->next_id = id < ID_MAX ? id + 1 : 1;
        sandbox->ids_come_round = sandbox->ids_come_round || sandbox->next_id == 1;
    } while (sandbox->ids_come_round && id_is_taken(sandbox, id));
    return id;
}

int process_create(struct sandbox *sandbox, struct process *parent, struct process **out)
{
    struct process *process;

    *out = NULL;
    if (sandbox->population >= POPULATION_MAX)
        return -EAGAIN;
    process = calloc(1, sizeof(*process));
    if (!process)
        return -ENOMEM;
    process->sandbox = sandbox;
    process->pid = process_new_id(sandbox);
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
    sandbox->population++;
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

void process_retire(struct process *process)
{
    struct sandbox *sandbox = process->sandbox;
    struct process **link = &sandbox->processes;

    give_back(process);
    while (process->first_child)
        leave_parent(process->first_child);
    leave_parent(process);
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
        free(process);
    }
}

void process_end(struct process *process, int wait_status)
{
    if (process->ending || process->ended)
        return;
    process->ending = true;
    process->wait_status = wait_status;
    for (struct task *task = process->tasks; task; task = task->next_in_process) {
        if (task->state == TASK_RUNNING) {
            task->must_end = true;
            task_interrupt(task);
        } else {
            task_end(task, wait_status);
        }
    }
}

static bool parent_wants_no_zombies(struct process *parent)
{
    const struct signal_action *action = signal_action_of(&parent->signals, SIGCHLD);

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

/* The first process takes over; as on Linux it hears of their ends by SIGCHLD, whatever their parent asked for. */
static void orphan_children(struct process *process)
{
    struct process *heir = process->sandbox->init;
    struct process *child;

    while ((child = process->first_child)) {
        leave_parent(child);
        if (heir && heir != process && !heir->ended)
            adopt(heir, child);
        child->exit_signal = SIGCHLD;
        if (child->ended)
            announce_zombie(child);
    }
}

void process_become_zombie(struct process *process)
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

void process_set_vfork_parent(struct process *process, struct task *parent)
{
    process->vfork_parent = parent;
    parent->vfork_child = process;
}

void process_forget_vfork(struct process *process)
{
    if (process->vfork_parent)
        process->vfork_parent->vfork_child = NULL;
    process->vfork_parent = NULL;
}

void process_release_vfork_parent(struct process *process)
{
    struct task *parent = process->vfork_parent;

    process_forget_vfork(process);
    if (parent)
        task_wake(parent, WAKE_READY);
}
