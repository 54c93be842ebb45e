/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdlib.h>
#include <string.h>

#include "core/bring_table.h"

_Static_assert(sizeof(struct bring_piece) == sizeof(uint64_t), "one word");

struct bring_table *bring_table_new(void)
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

void bring_table_copy(struct bring_table *to, const struct bring_table *from)
{
    for (uint64_t nr = 0; nr < TG_BRING_CALLS; nr++) {
        for (uint32_t i = 0; i < TG_BRING_PIECES; i++)
            bring_table_set(to, nr, i, bring_table_piece(from, nr, i));
    }
}
