/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guest memory that system calls bring along: what is declared, and the library's own copy for the present event. */
#ifndef CORE_BROUGHT_H
#define CORE_BROUGHT_H

#include "core/bring_table.h"
#include "core/handles.h"

/* Where the second piece begins at the latest, its bytes, and a 0 behind. */
#define BROUGHT_SIZE (TG_BRING_MAX + 128)

#define BROUGHT_OF_NONE UINT64_MAX

struct brought_piece {
    struct bring_piece declared; /* when something of the event was asked for first */
    bool known;
    int error; /* 0 or -EFAULT */
    size_t length;
};

/* The library's own copy of what the context's last event has brought. */
struct brought {
    uint64_t of; /* which run's event it is: how many the context had begun */
    struct brought_piece pieces[TG_BRING_PIECES];
    uint8_t bytes[BROUGHT_SIZE];
};

/* In place of all that was declared. The pieces are in our layout. */
int brought_declare(struct tg_subprocess *subprocess, const struct tg_bring *pieces, size_t n);

/* All that was declared; the caller is inside. */
void brought_forget(struct tg_subprocess *subprocess);

/*
 * Piece index of the context's last event, a call of that subprocess; the
 * caller has taken the context. The same until the context runs again.
 */
int context_brought(struct tg_context *context, struct tg_subprocess *subprocess, uint32_t index, const void **bytes,
                    size_t *length);
/* The last event is not there any more, or another's. */
static inline void context_forget_brought(struct tg_context *context)
{
    context->is_brought = false;
    if (context->brought)
        context->brought->of = BROUGHT_OF_NONE;
}

#endif
