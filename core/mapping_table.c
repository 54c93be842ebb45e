/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mapping_table.h"

#define NODES_FIRST     16
#define NODES_OF_CHANGE 2 /* more than before it, at most: where it begins and where it ends */
#define CHANGES_OF_OP   2 /* at most: TG_MEM_MOVE */
#define NODES_OF_OP     ((size_t)CHANGES_OF_OP * NODES_OF_CHANGE)
#define NODES_MAX       (UINT32_MAX / 2)

/* ---- nodes ---- */

void mapping_table_init(struct mapping_table *table)
{
    *table = (struct mapping_table){.used = 1};
    pthread_mutex_init(&table->lock, NULL);
    table->seed = (uint64_t)clock_monotonic_ns() ^ (uint64_t)(uintptr_t)table << 20;
}

void mapping_table_destroy(struct mapping_table *table)
{
    pthread_mutex_destroy(&table->lock);
    free(table->nodes);
}

/* splitmix64 */
static uint32_t random_priority(struct mapping_table *table)
{
    uint64_t mixed = table->seed += 0x9e3779b97f4a7c15ull;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)(mixed >> 32);
}

static int grow(struct mapping_table *table, size_t wanted)
{
    size_t capacity = table->capacity ? table->capacity : NODES_FIRST;
    struct mapping_node *nodes;

    while (capacity < wanted)
        capacity *= 2;
    if (capacity > NODES_MAX)
        return -ENOMEM;
    nodes = realloc(table->nodes, capacity * sizeof(*nodes));
    if (!nodes)
        return -ENOMEM;
    table->nodes = nodes;
    table->capacity = (uint32_t)capacity;
    return 0;
}

int mapping_table_reserve(struct mapping_table *table, size_t operations)
{
    int err = 0;

    pthread_mutex_lock(&table->lock);
    if (operations > NODES_MAX / NODES_OF_OP)
        err = -ENOMEM;
    else if (table->capacity - table->used + table->free_count < operations * NODES_OF_OP || !table->capacity)
        err = grow(table, table->used + operations * NODES_OF_OP);
    pthread_mutex_unlock(&table->lock);
    return err;
}

static uint32_t new_node(struct mapping_table *table, uint64_t start, uint32_t rights)
{
    uint32_t index = table->free;

    if (index) {
        table->free = table->nodes[index].left;
        table->free_count--;
    } else {
        index = table->used++;
    }
    table->nodes[index] = (struct mapping_node){.start = start | rights, .priority = random_priority(table)};
    return index;
}

static void free_node(struct mapping_table *table, uint32_t index)
{
    table->nodes[index].left = table->free;
    table->free = index;
    table->free_count++;
}

static uint64_t start_of(const struct mapping_table *table, uint32_t index)
{
    return table->nodes[index].start & ~(uint64_t)MAPPING_RIGHTS;
}

static uint32_t rights_of(const struct mapping_table *table, uint32_t index)
{
    return table->nodes[index].start & MAPPING_RIGHTS;
}

/* ---- the treap: ordered by start from left to right, and by priority from the root down ---- */

/* Those that start below addr, and the others. */
static void split(struct mapping_table *table, uint32_t root, uint64_t addr, uint32_t *below, uint32_t *others)
{
    while (root) {
        struct mapping_node *node = &table->nodes[root];

        if (start_of(table, root) < addr) {
            *below = root;
            below = &node->right;
            root = node->right;
        } else {
            *others = root;
            others = &node->left;
            root = node->left;
        }
    }
    *below = 0;
    *others = 0;
}

/* All of left start below all of right. */
static uint32_t join(struct mapping_table *table, uint32_t left, uint32_t right)
{
    uint32_t root;
    uint32_t *place = &root;

    while (left && right) {
        if (table->nodes[left].priority > table->nodes[right].priority) {
            *place = left;
            place = &table->nodes[left].right;
            left = *place;
        } else {
            *place = right;
            place = &table->nodes[right].left;
            right = *place;
        }
    }
    *place = left ? left : right;
    return root;
}

/* The lowest of a treap, which is not empty, out of it. */
static uint32_t take_first(struct mapping_table *table, uint32_t *root)
{
    uint32_t first;

    while (table->nodes[*root].left)
        root = &table->nodes[*root].left;
    first = *root;
    *root = table->nodes[first].right;
    return first;
}

/* The stretch that addr is in; 0: below all, where nothing is mapped. */
static uint32_t find(const struct mapping_table *table, uint64_t addr)
{
    uint32_t found = 0;
    uint32_t root = table->root;

    while (root) {
        if (start_of(table, root) <= addr) {
            found = root;
            root = table->nodes[root].right;
        } else {
            root = table->nodes[root].left;
        }
    }
    return found;
}

/* The first stretch that starts above addr; 0: none does. */
static uint32_t find_behind(const struct mapping_table *table, uint64_t addr)
{
    uint32_t found = 0;
    uint32_t root = table->root;

    while (root) {
        if (start_of(table, root) > addr) {
            found = root;
            root = table->nodes[root].left;
        } else {
            root = table->nodes[root].right;
        }
    }
    return found;
}

static uint32_t rights_at(const struct mapping_table *table, uint64_t addr)
{
    uint32_t found = find(table, addr);

    return found ? rights_of(table, found) : 0;
}

uint32_t mapping_table_rights(struct mapping_table *table, uint64_t addr)
{
    uint32_t rights;

    pthread_mutex_lock(&table->lock);
    rights = rights_at(table, addr);
    pthread_mutex_unlock(&table->lock);
    return rights;
}

/* ---- changes ---- */

static uint32_t rights_of_map(const struct tg_mem_op *op)
{
    return op->prot | MAPPING_MAPPED | (mapping_is_shared(op) ? MAPPING_SHARED : 0);
}

/* What an operation makes of these rights. */
static uint32_t rights_after(const struct tg_mem_op *op, uint32_t rights)
{
    switch (op->kind) {
    case TG_MEM_MAP:
        return rights_of_map(op);
    case TG_MEM_UNMAP:
        return 0;
    case TG_MEM_MOVE:
        return op->prot;
    default:
        return rights & MAPPING_MAPPED ? (rights & (MAPPING_MAPPED | MAPPING_SHARED)) | op->prot : rights;
    }
}

/* One that failed, maybe at the second of its mappings: as before, or as after it, or gone. */
static uint32_t rights_after_failure(const struct tg_mem_op *op, uint32_t rights)
{
    return rights & MAPPING_MAPPED ? rights | rights_after(op, rights) | MAPPING_UNSURE : rights;
}

struct change {
    const struct tg_mem_op *op;
    uint32_t (*after)(const struct tg_mem_op *op, uint32_t rights);
    uint32_t below; /* the treap of what lies below, and of what has been changed */
    uint32_t last;  /* rights of the last stretch there */
};

static void append(struct mapping_table *table, struct change *change, uint64_t start, uint32_t rights)
{
    if (rights == change->last)
        return;
    change->below = join(table, change->below, new_node(table, start, rights));
    change->last = rights;
}

static void change_stretches(struct mapping_table *table, uint32_t root, struct change *change)
{
    while (root) {
        const uint32_t first = take_first(table, &root);
        const uint64_t start = start_of(table, first);
        const uint32_t rights = rights_of(table, first);

        free_node(table, first);
        append(table, change, start, change->after(change->op, rights));
    }
}

static void change_range(struct mapping_table *table, uint64_t start, uint64_t end, struct change *change)
{
    const uint32_t first = rights_at(table, start);
    const uint32_t behind = rights_at(table, end);
    uint32_t inside;
    uint32_t above;
    uint32_t at_end;

    change->last = start ? rights_at(table, start - 1) : 0;
    split(table, table->root, start, &change->below, &inside);
    split(table, inside, end, &inside, &above);
    split(table, above, end + 1, &at_end, &above);
    if (at_end)
        free_node(table, at_end);
    append(table, change, start, change->after(change->op, first));
    change_stretches(table, inside, change);
    append(table, change, end, behind);
    table->root = join(table, change->below, above);
}

/* What is in a range: where it is not the same everywhere, all that it may be. */
static uint32_t rights_in_range(const struct mapping_table *table, uint64_t start, uint64_t end)
{
    const uint32_t first = rights_at(table, start);
    uint32_t rights = first;

    for (uint32_t next = find_behind(table, start); next && start_of(table, next) < end;
         next = find_behind(table, start_of(table, next)))
        rights |= rights_of(table, next) | MAPPING_UNSURE;
    return rights;
}

/* The host has moved a mapping; result: or something of what it does on the way there. */
static void note_move(struct mapping_table *table, const struct tg_mem_op *op, uint64_t length, int64_t result)
{
    const struct tg_mem_op there = {.kind = TG_MEM_MOVE, .prot = rights_in_range(table, op->addr, op->addr + length)};
    const struct tg_mem_op nothing = {.kind = TG_MEM_UNMAP};
    struct change come = {.op = &there, .after = rights_after};
    struct change go = {.op = &nothing, .after = rights_after};

    if (result) {
        come.op = &nothing;
        come.after = rights_after_failure;
        go.after = rights_after_failure;
    }
    change_range(table, op->offset, op->offset + length, &come);
    change_range(table, op->addr, op->addr + length, &go);
}

/* The host looks at these before it touches anything. */
static bool left_all_alone(const struct tg_mem_op *op, int64_t result)
{
    return op->kind == TG_MEM_MAP && (result == -EEXIST || result == -EBADF || result == -EACCES);
}

void mapping_table_note(struct mapping_table *table, const struct tg_mem_op *op, uint64_t page_size, int64_t result)
{
    const uint64_t end = (op->addr + op->length + page_size - 1) & ~(page_size - 1);
    struct change change = {.op = op, .after = result ? rights_after_failure : rights_after};

    if (op->kind == TG_MEM_ADVISE || (result && left_all_alone(op, result)))
        return;
    pthread_mutex_lock(&table->lock);
    if (op->kind == TG_MEM_MOVE)
        note_move(table, op, end - op->addr, result);
    else
        change_range(table, op->addr, end, &change);
    pthread_mutex_unlock(&table->lock);
}

int mapping_table_copy(struct mapping_table *table, struct mapping_table *from)
{
    int err;

    pthread_mutex_lock(&from->lock);
    err = grow(table, from->used);
    if (!err) {
        if (from->nodes)
            memcpy(table->nodes, from->nodes, from->used * sizeof(from->nodes[0]));
        table->used = from->used;
        table->free = from->free;
        table->free_count = from->free_count;
        table->root = from->root;
    }
    pthread_mutex_unlock(&from->lock);
    return err;
}
