/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* From a task to its memory. */
#ifndef TRAPGATE_KERNEL_TASK_MEMORY_H
#define TRAPGATE_KERNEL_TASK_MEMORY_H

#include <trapgate/trapgate.h>

#include "memory/address_space.h"
#include "tasks/task.h"

/* Where the task's memory is copied to and from: for guest_copy.h. */
static inline tg_subprocess *task_memory(const struct task *task)
{
    return task->process->space->subprocess;
}

#endif
