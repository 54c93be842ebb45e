/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/* The highest number that Linux gives (PID_MAX_LIMIT). */
#define ID_MAX 4194304

void process_adopt(struct process *parent, struct process *child)
{
    child->parent = parent;
    if (!parent)
        return;
    child->next_sibling = parent->first_child;
    parent->first_child = child;
}

void process_leave_parent(struct process *child)
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
    credentials_copy(&process->credentials, &parent->credentials);
    process->dumpable = parent->dumpable;
    process->personality = parent->personality;
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
            credentials_release(&process->credentials);
            free(process);
            return -ENOMEM;
        }
    }
    process_adopt(parent, process);
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
