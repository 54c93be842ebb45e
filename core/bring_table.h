/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a subprocess's system calls bring along, by their numbers. */
#ifndef CORE_BRING_TABLE_H
#define CORE_BRING_TABLE_H

#include <pthread.h>

#include "core/handles.h"

/* One piece; kind 0: none. Where it lies from the start of all that a call brings is at: for its max there is room. */
struct bring_piece {
    uint8_t kind; /* TG_BRING_* */
    uint8_t arg;
    uint8_t length_arg;
    uint8_t pad;
    uint16_t max;
    uint16_t at;
};

/*
 * Of a subprocess, from its first declaration on. A piece is one word, so that whoever has a call's event reads it
 * whole without a lock.
 */
struct bring_table {
    pthread_mutex_t lock; /* who declares */
    _Atomic uint64_t pieces[TG_BRING_CALLS][TG_BRING_PIECES];
};

void bring_table_free(struct bring_table *table);
/* table may be NULL: nothing is declared. */
struct bring_piece bring_table_piece(const struct bring_table *table, uint64_t nr, uint32_t index);
void bring_table_set(struct bring_table *table, uint64_t nr, uint32_t index, struct bring_piece piece);

/* The subprocess's: NULL: it has none yet. */
struct bring_table *bring_table_of(const struct tg_subprocess *subprocess);
/* That, or a new one; NULL: there is no memory. */
struct bring_table *bring_table_for(struct tg_subprocess *subprocess);
/* Before the child can run anything, and then for its backend. 0 or -ENOMEM. mother may be NULL. */
int bring_table_inherit(struct tg_subprocess *child, const struct tg_subprocess *mother);
void bring_table_tell_backend(struct tg_subprocess *subprocess);

#endif
