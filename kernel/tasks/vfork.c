/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/vfork.h"

#include "tasks/process.h"
#include "tasks/task.h"

void vfork_set_parent(struct process *process, struct task *parent)
{
    process->vfork_parent = parent;
    parent->vfork_child = process;
}

void vfork_forget(struct process *process)
{
    if (process->vfork_parent)
        process->vfork_parent->vfork_child = NULL;
    process->vfork_parent = NULL;
}

void vfork_release_parent(struct process *process)
{
    struct task *parent = process->vfork_parent;

    vfork_forget(process);
    if (parent)
        task_wake(parent, WAKE_READY);
}
