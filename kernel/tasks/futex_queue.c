/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/futex_queue.h"

#include "tasks/sandbox_state.h"
#include "tasks/task.h"

bool futex_key_equal(struct futex_key a, struct futex_key b)
{
    return a.device == b.device && a.object == b.object && a.offset == b.offset;
}

struct futex_bucket *futex_queue_bucket(struct sandbox *sandbox, struct futex_key key)
{
    uint64_t hash = (key.object * UINT64_C(0x9e3779b97f4a7c15)) ^ ((key.offset >> 2) * UINT64_C(0xff51afd7ed558ccd));

    return &sandbox->futexes[(hash >> 32) % FUTEX_BUCKETS];
}

void futex_queue_add(struct task *task, struct futex_key key, uint32_t bitset)
{
    struct futex_bucket *bucket = futex_queue_bucket(task->sandbox, key);
    struct futex_waiter *waiter = &task->futex;

    *waiter = (struct futex_waiter){.prev = bucket->last, .key = key, .bitset = bitset, .queued = true};
    if (bucket->last)
        bucket->last->futex.next = task;
    else
        bucket->first = task;
    bucket->last = task;
}

void futex_queue_leave(struct task *task)
{
    struct futex_waiter *waiter = &task->futex;
    struct futex_bucket *bucket;

    if (!waiter->queued)
        return;
    bucket = futex_queue_bucket(task->sandbox, waiter->key);
    if (waiter->prev)
        waiter->prev->futex.next = waiter->next;
    else
        bucket->first = waiter->next;
    if (waiter->next)
        waiter->next->futex.prev = waiter->prev;
    else
        bucket->last = waiter->prev;
    waiter->queued = false;
}
