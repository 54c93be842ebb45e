/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What is mapped in a stub process, and how: the library makes all mappings
 * there, so it need not ask the host, which tells nobody without /proc.
 *
 * The user address space as a sequence of stretches, each with the same rights
 * from its start to that of the next one. They are the nodes of a treap, whose
 * priorities no guest knows: a question, or a change of one mapping, takes time
 * that grows with the logarithm of their number, and a mapping costs at most 48
 * bytes (two nodes), or twice that after the array has grown.
 */
#ifndef CORE_MAPPING_TABLE_H
#define CORE_MAPPING_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

/* Besides TG_PROT_*. All of them together are less than the smallest page. */
#define MAPPING_MAPPED 0x10 /* 0: nothing is there */
#define MAPPING_SHARED 0x20
#define MAPPING_UNSURE 0x40 /* an operation there has failed: as before it, or as after it, or nothing at all */
#define MAPPING_RIGHTS 0xfff

struct mapping_node {
    uint64_t start; /* and its rights in the lowest bits */
    uint32_t left;
    uint32_t right;
    uint32_t priority;
};

struct mapping_table {
    pthread_mutex_t lock;       /* what follows; nothing is locked while it is held */
    struct mapping_node *nodes; /* [0] is none */
    uint32_t capacity;
    uint32_t used; /* all behind were never used */
    uint32_t free; /* a list, by left */
    uint32_t free_count;
    uint32_t root;
    uint64_t seed;
};

/* Of an operation that maps: is it a shared mapping? */
static inline bool mapping_is_shared(const struct tg_mem_op *op)
{
    return (op->flags & (TG_MAP_SHARED | TG_MAP_CODE)) == TG_MAP_SHARED;
}

void mapping_table_init(struct mapping_table *table);
void mapping_table_destroy(struct mapping_table *table);

/* Room for so many operations, so that none of them can fail here after the host has made it. 0 or -ENOMEM. */
int mapping_table_reserve(struct mapping_table *table, size_t operations);

/*
 * The host has made this operation (result: 0), or refused it. Whoever makes
 * operations notes them in the order in which the host makes them.
 */
void mapping_table_note(struct mapping_table *table, const struct tg_mem_op *op, uint64_t page_size, int64_t result);

/* Of a child. 0 or -ENOMEM. */
int mapping_table_copy(struct mapping_table *table, struct mapping_table *from);

/* What is at this address. */
uint32_t mapping_table_rights(struct mapping_table *table, uint64_t addr);

static inline bool mapping_table_executable(struct mapping_table *table, uint64_t addr)
{
    return mapping_table_rights(table, addr) & TG_PROT_EXEC;
}

#endif
