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

/*
 * A range that guest memory refuses can be told from one that it takes in part only here: what is private and has no
 * file takes all of it, and one page takes all or nothing. The host has the same mappings as the map.
 */
static bool is_taken_whole(const struct task *task, uint64_t addr, size_t length)
{
    const struct vma *vma = memory_map_find(&task->process->space->map, addr);
    const uint64_t page = task->sandbox->info.page_size;

    if (vma == NULL || addr < vma->start || length > vma->end - addr)
        return false;
    if ((vma->prot & TG_PROT_WRITE) == 0 || (vma->flags & (VMA_SHARED | VMA_RESERVED)) != 0)
        return false;
    return vma->object == NULL || addr / page == (addr + length - 1) / page;
}

int64_t last_write(struct task *task, uint64_t addr, const void *bytes, size_t length)
{
    if (may_go_along(task) && tg_context_attach(task->context, addr, bytes, length) == 0)
        return 0;
    return guest_write(task_memory(task), addr, bytes, length);
}

bool last_write_all(struct task *task, uint64_t addr, const void *bytes, size_t length)
{
    return length <= LAST_WRITE_MAX && may_go_along(task) && is_taken_whole(task, addr, length) &&
           tg_context_attach(task->context, addr, bytes, length) == 0;
}
