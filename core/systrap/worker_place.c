/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/systrap/shared_words.h"
#include "core/systrap/worker_place.h"

#define WORKER_BIT(n) (UINT64_C(1) << (n))

_Static_assert(COPY_MAX + COPY_PIECES * (sizeof(struct systrap_piece) + PIECE_ALIGNMENT) <=
                   WORKER_BROUGHT - WORKER_COPY,
               "what is copied fits");
_Static_assert(WORKER_BROUGHT_END <= SYSTRAP_WORKER_SIZE - WORKER_STRUCT_SIZE - 0x1000,
               "the stack for patched calls has room beside it");
_Static_assert(SYSTRAP_WORKERS_MAX <= 64, "a bit for each worker");

struct systrap_piece *worker_place_put(struct systrap_piece *to, const struct systrap_piece *piece, const void *bytes)
{
    *to = *piece;
    if (piece->kind == COPY_WRITE)
        memcpy(to->bytes, bytes, piece->length);
    return systrap_piece_behind(to, piece->length);
}

bool worker_waits_for_answer(const struct systrap_context *context)
{
    const struct tg_context *base = &context->base;

    return base->in_syscall && base->syscall.flags & TG_FLAG_PATCHED && systrap_platform(base->platform)->spin_ns &&
           SHARED_LOAD(context->slot->state) == SLOT_HELD;
}

bool worker_place_take(struct systrap_context *context, uint32_t *index)
{
    struct systrap_subprocess *subprocess = context->bound;

    *index = context->held_by;
    if (*index >= atomic_load(&subprocess->worker_count))
        return false;
    if (atomic_fetch_or(&subprocess->copying, WORKER_BIT(*index)) & WORKER_BIT(*index))
        return false;
    /* It may have gone on to another context before, for which something lies there. */
    if (SHARED_LOAD(context->slot->state) == SLOT_HELD)
        return true;
    worker_place_give_back(subprocess, *index);
    return false;
}

void worker_place_give_back(struct systrap_subprocess *subprocess, uint32_t index)
{
    atomic_fetch_and(&subprocess->copying, ~WORKER_BIT(index));
}
