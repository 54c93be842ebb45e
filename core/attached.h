/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that the embedder attaches to its answer to a system call: in guest memory before the guest goes on. */
#ifndef CORE_ATTACHED_H
#define CORE_ATTACHED_H

#include "core/handles.h"

/* tg_context.attached_state */
enum attached_state {
    ATTACHED_NONE,
    ATTACHED_WAITS, /* for the next start */
    ATTACHED_GIVEN, /* the backend has some of the last start's, and may say that it could not write them */
};

struct attached_piece {
    uint64_t addr;
    uint32_t length;
    uint32_t at; /* in bytes */
};

struct attached {
    uint32_t count;
    uint32_t size; /* of what is in bytes */
    struct attached_piece pieces[TG_ATTACH_PIECES];
    uint8_t bytes[TG_ATTACH_MAX];
};

/* The caller has taken the context. */
int context_attach(struct tg_context *context, uint64_t addr, const void *bytes, size_t length);
static inline void context_drop_attached(struct tg_context *context)
{
    context->attached_state = ATTACHED_NONE;
}

/*
 * Writes what is attached as tg_subprocess_write() does; where guest memory
 * refuses, the result of the context's call is -EFAULT. The caller is inside
 * the subprocess. 0; an error is the host's, and what is attached stays.
 */
int context_write_attached(struct tg_context *context, struct tg_subprocess *subprocess);
/* The same for who can tell nobody: every error is the call's -EFAULT. */
void context_settle_attached(struct tg_context *context, struct tg_subprocess *subprocess);

#endif
