/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The table against an array of pages that says the same. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/mapping_table.h"

#define PAGE   0x1000ull
#define PAGES  48
#define ROUNDS 20000

static struct tg_mem_op op_of(uint32_t kind, uint64_t first, uint64_t pages, uint32_t prot, uint32_t flags)
{
    return (struct tg_mem_op){.size = sizeof(struct tg_mem_op),
                              .kind = kind,
                              .addr = first * PAGE,
                              .length = pages * PAGE,
                              .prot = prot,
                              .flags = flags,
                              .fd = -1};
}

static void note(struct mapping_table *table, struct tg_mem_op op, int64_t result)
{
    assert_int_equal(mapping_table_reserve(table, 1), 0);
    mapping_table_note(table, &op, PAGE, result);
}

static uint32_t nodes_in_use(const struct mapping_table *table)
{
    return table->used - 1 - table->free_count;
}

static uint32_t model_after(const struct tg_mem_op *op, int64_t result, uint32_t rights)
{
    uint32_t after = rights;

    if (op->kind == TG_MEM_MAP)
        after = op->prot | MAPPING_MAPPED | (op->flags & TG_MAP_SHARED ? MAPPING_SHARED : 0);
    else if (op->kind == TG_MEM_UNMAP)
        after = 0;
    else if (rights)
        after = (rights & (MAPPING_MAPPED | MAPPING_SHARED)) | op->prot;
    if (result)
        return rights ? rights | after | MAPPING_UNSURE : 0;
    return after;
}

static void check_model(struct mapping_table *table, const uint32_t model[PAGES + 1])
{
    uint32_t stretches = 0;

    for (uint64_t page = 0; page <= PAGES; page++) {
        assert_int_equal(mapping_table_rights(table, page * PAGE), model[page]);
        assert_int_equal(mapping_table_rights(table, page * PAGE + PAGE - 1), model[page]);
        stretches += model[page] != (page ? model[page - 1] : 0);
    }
    assert_int_equal(nodes_in_use(table), stretches);
}

/* Any operations, some of which fail; no stretch is there twice, and none that says what the one before says. */
static void random_operations(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {TG_MEM_MAP, TG_MEM_UNMAP, TG_MEM_PROTECT};
    uint32_t model[PAGES + 1] = {0};
    struct mapping_table table;

    mapping_table_init(&table);
    srand(4711);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t first = (uint64_t)rand() % PAGES;
        const uint64_t pages = 1 + (uint64_t)rand() % (rand() % 4 ? 3 : PAGES);
        const struct tg_mem_op op = op_of(kinds[rand() % 3], first, first + pages > PAGES ? PAGES - first : pages,
                                          (uint32_t)rand() % 8, rand() % 2 ? TG_MAP_SHARED : 0);
        const int64_t result = rand() % 8 ? 0 : -ENOMEM;

        note(&table, op, result);
        for (uint64_t page = op.addr / PAGE; page < (op.addr + op.length) / PAGE; page++)
            model[page] = model_after(&op, result, model[page]);
        check_model(&table, model);
    }
    mapping_table_destroy(&table);
}

static uint32_t model_of_range(const uint32_t *model, uint64_t pages)
{
    uint32_t rights = model[0];

    for (uint64_t page = 1; page < pages; page++)
        rights |= model[page] != model[page - 1] ? model[page] | MAPPING_UNSURE : 0;
    return rights;
}

static void model_move(uint32_t *source, uint32_t *target, uint64_t pages, int64_t result)
{
    const uint32_t moved = model_of_range(source, pages);

    for (uint64_t page = 0; page < pages; page++) {
        target[page] = result ? target[page] | (target[page] ? MAPPING_UNSURE : 0) : moved;
        source[page] = result ? source[page] | (source[page] ? MAPPING_UNSURE : 0) : 0;
    }
}

/* From one half to the other, and in between a page is mapped anew. */
static void random_moves(void **state)
{
    (void)state;
    uint32_t model[PAGES + 1] = {0};
    struct mapping_table table;

    mapping_table_init(&table);
    srand(4712);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t pages = 1 + (uint64_t)rand() % 4;
        const uint64_t low = (uint64_t)rand() % (PAGES / 2 - pages);
        const uint64_t high = PAGES / 2 + (uint64_t)rand() % (PAGES / 2 - pages);
        const bool up = rand() % 2;
        const int64_t result = rand() % 8 ? 0 : -ENOMEM;
        const struct tg_mem_op map = op_of(TG_MEM_MAP, (uint64_t)rand() % PAGES, 1, (uint32_t)rand() % 8, 0);
        struct tg_mem_op move = op_of(TG_MEM_MOVE, up ? low : high, pages, 0, 0);

        move.offset = (up ? high : low) * PAGE;
        note(&table, map, 0);
        model[map.addr / PAGE] = map.prot | MAPPING_MAPPED;
        note(&table, move, result);
        model_move(&model[move.addr / PAGE], &model[move.offset / PAGE], pages, result);
        check_model(&table, model);
    }
    mapping_table_destroy(&table);
}

static void odd_lengths(void **state)
{
    (void)state;
    struct tg_mem_op op = op_of(TG_MEM_MAP, 5, 1, TG_PROT_READ | TG_PROT_EXEC, 0);
    struct mapping_table table;

    mapping_table_init(&table);
    op.length = PAGE + 1;
    note(&table, op, 0);
    assert_true(mapping_table_executable(&table, 6 * PAGE + PAGE - 1));
    assert_false(mapping_table_executable(&table, 7 * PAGE));
    assert_false(mapping_table_executable(&table, 5 * PAGE - 1));
    assert_false(mapping_table_executable(&table, UINT64_MAX));
    mapping_table_destroy(&table);
}

/* What the host refuses before it looks at memory changes nothing. */
static void refused_early(void **state)
{
    (void)state;
    struct mapping_table table;

    mapping_table_init(&table);
    note(&table, op_of(TG_MEM_MAP, 1, 4, TG_PROT_READ | TG_PROT_EXEC, 0), 0);
    note(&table, op_of(TG_MEM_MAP, 2, 1, TG_PROT_WRITE, TG_MAP_NOREPLACE), -EEXIST);
    note(&table, op_of(TG_MEM_MAP, 2, 1, TG_PROT_WRITE, 0), -EBADF);
    note(&table, op_of(TG_MEM_MAP, 2, 1, TG_PROT_WRITE, TG_MAP_SHARED), -EACCES);
    note(&table, op_of(TG_MEM_ADVISE, 2, 1, TG_PROT_WRITE, 0), -EINVAL);
    assert_int_equal(mapping_table_rights(&table, 2 * PAGE), TG_PROT_READ | TG_PROT_EXEC | MAPPING_MAPPED);
    assert_int_equal(nodes_in_use(&table), 2);
    mapping_table_destroy(&table);
}

static void copies_are_apart(void **state)
{
    (void)state;
    struct mapping_table mother;
    struct mapping_table child;

    mapping_table_init(&mother);
    mapping_table_init(&child);
    assert_int_equal(mapping_table_copy(&child, &mother), 0);
    assert_int_equal(mapping_table_rights(&child, PAGE), 0);
    note(&mother, op_of(TG_MEM_MAP, 1, 9, TG_PROT_READ | TG_PROT_EXEC, 0), 0);
    note(&mother, op_of(TG_MEM_UNMAP, 3, 1, 0, 0), 0);
    assert_int_equal(mapping_table_copy(&child, &mother), 0);
    note(&mother, op_of(TG_MEM_PROTECT, 1, 9, TG_PROT_READ, 0), 0);
    assert_true(mapping_table_executable(&child, 2 * PAGE));
    assert_false(mapping_table_executable(&child, 3 * PAGE));
    note(&child, op_of(TG_MEM_UNMAP, 1, 9, 0, 0), 0);
    assert_int_equal(mapping_table_rights(&mother, 2 * PAGE), TG_PROT_READ | MAPPING_MAPPED);
    assert_int_equal(nodes_in_use(&child), 0);
    mapping_table_destroy(&mother);
    mapping_table_destroy(&child);
}

#define MANY      65536
#define DEPTH_MAX 80 /* that a treap of so many is deeper than this happens to nobody */

static uint32_t depth_of(const struct mapping_table *table, uint32_t root)
{
    uint32_t left;
    uint32_t right;

    if (!root)
        return 0;
    left = depth_of(table, table->nodes[root].left);
    right = depth_of(table, table->nodes[root].right);
    return 1 + (left > right ? left : right);
}

/* As many as a host allows, from below and from above: in either order a look goes through few nodes. */
static void many_mappings(void **state)
{
    (void)state;

    for (int backwards = 0; backwards < 2; backwards++) {
        struct mapping_table table;

        mapping_table_init(&table);
        for (uint64_t i = 0; i < MANY; i++)
            note(&table, op_of(TG_MEM_MAP, 2 * (backwards ? MANY - i : i + 1), 1, TG_PROT_READ, 0), 0);
        assert_int_equal(nodes_in_use(&table), 2 * MANY);
        assert_in_range(depth_of(&table, table.root), 17, DEPTH_MAX);
        assert_in_range(table.capacity * sizeof(table.nodes[0]), 0, 2 * MANY * 48ull + 4096);
        note(&table, op_of(TG_MEM_UNMAP, 2, 2 * MANY, 0, 0), 0);
        assert_int_equal(nodes_in_use(&table), 0);
        mapping_table_destroy(&table);
    }
}

static void no_room(void **state)
{
    (void)state;
    struct mapping_table table;

    mapping_table_init(&table);
    assert_int_equal(mapping_table_reserve(&table, SIZE_MAX / 2), -ENOMEM);
    mapping_table_destroy(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations), cmocka_unit_test(random_moves),     cmocka_unit_test(odd_lengths),
        cmocka_unit_test(refused_early),     cmocka_unit_test(copies_are_apart), cmocka_unit_test(many_mappings),
        cmocka_unit_test(no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
