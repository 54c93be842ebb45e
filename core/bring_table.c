/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/backend.h"
#include "core/bring_table.h"

_Static_assert(sizeof(struct bring_piece) == sizeof(uint64_t), "one word");

static struct bring_table *make(void)
{
    struct bring_table *table = calloc(1, sizeof(*table));

    if (table)
        pthread_mutex_init(&table->lock, NULL);
    return table;
}

void bring_table_free(struct bring_table *table)
{
    if (!table)
        return;
    pthread_mutex_destroy(&table->lock);
    free(table);
}

struct bring_piece bring_table_piece(const struct bring_table *table, uint64_t nr, uint32_t index)
{
    struct bring_piece piece;
    uint64_t word = 0;

    if (table && nr < TG_BRING_CALLS && index < TG_BRING_PIECES)
        word = atomic_load_explicit(&table->pieces[nr][index], memory_order_acquire);
    memcpy(&piece, &word, sizeof(piece));
    return piece;
}

void bring_table_set(struct bring_table *table, uint64_t nr, uint32_t index, struct bring_piece piece)
{
    uint64_t word;

    memcpy(&word, &piece, sizeof(word));
    atomic_store_explicit(&table->pieces[nr][index], word, memory_order_release);
}

/* ---- of a subprocess ---- */

struct bring_table *bring_table_of(const struct tg_subprocess *subprocess)
{
    return atomic_load_explicit(&subprocess->brings, memory_order_acquire);
}

struct bring_table *bring_table_for(struct tg_subprocess *subprocess)
{
    struct bring_table *known = bring_table_of(subprocess);
    struct bring_table *made;

    if (known)
        return known;
    made = make();
    if (!made || atomic_compare_exchange_strong(&subprocess->brings, &known, made))
        return made;
    bring_table_free(made);
    return known;
}

static void copy_all(struct bring_table *to, const struct bring_table *from)
{
    for (uint64_t nr = 0; nr < TG_BRING_CALLS; nr++) {
        for (uint32_t i = 0; i < TG_BRING_PIECES; i++)
            bring_table_set(to, nr, i, bring_table_piece(from, nr, i));
    }
}

int bring_table_inherit(struct tg_subprocess *child, const struct tg_subprocess *mother)
{
    struct bring_table *from = mother ? bring_table_of(mother) : NULL;
    struct bring_table *to;

    if (!from)
        return 0;
    to = bring_table_for(child);
    if (!to)
        return -ENOMEM;
    pthread_mutex_lock(&from->lock);
    copy_all(to, from);
    pthread_mutex_unlock(&from->lock);
    return 0;
}

void bring_table_tell_backend(struct tg_subprocess *subprocess)
{
    const struct bring_table *table = bring_table_of(subprocess);

    if (table && subprocess->platform->ops->subprocess_brings)
        subprocess->platform->ops->subprocess_brings(subprocess, table);
}
