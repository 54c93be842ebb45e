/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/last_write.h"

#include <stdbool.h>

#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

/*
 * A signal's frame has the result in it, and is written before the answer goes: a call that a signal follows writes at
 * once.
 */
static bool may_go_along(const struct task *task)
{
    return task->sandbox->options.answers && !(task->signals.pending | task->process->signals.pending);
}

int64_t last_write(struct task *task, uint64_t addr, const void *bytes, size_t length)
{
    if (may_go_along(task) && tg_context_attach(task->context, addr, bytes, length) == 0)
        return 0;
    return guest_write(task_memory(task), addr, bytes, length);
}
