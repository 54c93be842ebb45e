/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/attached.h"
#include "core/backend.h"

static int refuse(struct tg_context *context, const char *why)
{
    return platform_fail(context->platform, -EINVAL, "attach bytes to an answer: %s", why);
}

/* Those of the last start are done with. NULL: no memory. */
static struct attached *waiting(struct tg_context *context)
{
    if (!context->attached) {
        context->attached = calloc(1, sizeof(*context->attached));
        if (!context->attached)
            return NULL;
    }
    if (context->attached_state != ATTACHED_WAITS) {
        context->attached->count = 0;
        context->attached->size = 0;
    }
    return context->attached;
}

int context_attach(struct tg_context *context, uint64_t addr, const void *bytes, size_t length)
{
    struct attached *attached;

    if (!context->in_syscall)
        return refuse(context, "the context's last event was not a SYSCALL; write its memory with tg_context_write()");
    if (!length)
        return 0;
    attached = waiting(context);
    if (!attached)
        return platform_fail(context->platform, -ENOMEM, "attach bytes to an answer: no memory");
    if (length > TG_ATTACH_MAX - attached->size)
        return refuse(context, "more than TG_ATTACH_MAX in all; write the rest with tg_context_write()");
    if (attached->count == TG_ATTACH_PIECES)
        return refuse(context, "more than TG_ATTACH_PIECES pieces; write the rest with tg_context_write()");
    attached->pieces[attached->count++] = (struct attached_piece){addr, (uint32_t)length, attached->size};
    memcpy(attached->bytes + attached->size, bytes, length);
    attached->size += (uint32_t)length;
    context->attached_state = ATTACHED_WAITS;
    return 0;
}

static int write_pieces(struct tg_subprocess *subprocess, struct attached *attached)
{
    struct tg_transfer pieces[TG_ATTACH_PIECES];

    for (uint32_t i = 0; i < attached->count; i++) {
        const struct attached_piece *piece = &attached->pieces[i];

        pieces[i] = transfer_piece(TG_TRANSFER_WRITE, piece->addr, attached->bytes + piece->at, piece->length);
    }
    return subprocess_transfer_inside(subprocess, pieces, attached->count);
}

int context_write_attached(struct tg_context *context, struct tg_subprocess *subprocess)
{
    int err = write_pieces(subprocess, context->attached);

    /* A dead one has no result: the start says so. */
    if (err && err != -EFAULT && err != -ESRCH)
        return err;
    if (err == -EFAULT)
        context_answer(context, -EFAULT);
    context_drop_attached(context);
    return 0;
}

void context_settle_attached(struct tg_context *context, struct tg_subprocess *subprocess)
{
    if (!context_write_attached(context, subprocess))
        return;
    context_answer(context, -EFAULT);
    context_drop_attached(context);
}
