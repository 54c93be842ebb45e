/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The map against a model that keeps one entry for each page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory/memory_map.h"

#define PAGE   UINT64_C(4096)
#define LOWEST (16 * PAGE)
#define PAGES  64

/* One page as the model sees it. */
struct page {
    bool mapped;
    uint32_t prot;
    uint32_t flags;
    struct memory_object *object;
    uint64_t offset;
};

static uint64_t address(unsigned page)
{
    return LOWEST + page * PAGE;
}

static void model_insert(struct page *model, unsigned first, unsigned last, const struct vma *vma)
{
    for (unsigned i = first; i < last; i++)
        model[i] =
            (struct page){true, vma->prot, vma->flags, vma->object, vma->object ? vma->offset + (i - first) * PAGE : 0};
}

/* The map says the same as the model about every page, is sorted, and has no two vmas that could be one. */
static void check(const struct memory_map *map, const struct page *model)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        const struct vma *vma = memory_map_find(map, address(i));
        bool mapped = vma && vma->start <= address(i);
        assert_int_equal(mapped, model[i].mapped);
        if (!mapped)
            continue;
        bytes += PAGE;
        assert_int_equal(vma->prot, model[i].prot);
        assert_int_equal(vma->flags, model[i].flags);
        assert_ptr_equal(vma->object, model[i].object);
        if (vma->object)
            assert_int_equal(vma->offset + (address(i) - vma->start), model[i].offset);
    }
    assert_int_equal(map->mapped_bytes, bytes);
    for (size_t i = 0; i < map->count; i++) {
        const struct vma *vma = &map->vmas[i];
        const struct vma *next = vma + 1;
        assert_true(vma->start < vma->end);
        if (i + 1 == map->count)
            break;
        assert_true(vma->end <= next->start);
        assert_false(vma->end == next->start && vma->prot == next->prot && vma->flags == next->flags &&
                     vma->object == next->object &&
                     (!vma->object || vma->offset + (vma->end - vma->start) == next->offset));
    }
}

static void check_ranges(const struct memory_map *map, const struct page *model, unsigned first, unsigned last)
{
    bool any = false, all = true;

    for (unsigned i = first; i < last; i++) {
        any = any || model[i].mapped;
        all = all && model[i].mapped;
    }
    assert_int_equal(memory_map_is_free(map, address(first), address(last)), !any);
    assert_int_equal(memory_map_is_covered(map, address(first), address(last)), all);
}

/* The highest hole below the top that is long enough, found the slow way. */
static uint64_t model_search(const struct page *model, unsigned pages, unsigned top)
{
    for (unsigned end = top; end >= pages; end--) {
        bool fits = true;
        for (unsigned i = end - pages; i < end; i++)
            fits = fits && !model[i].mapped;
        if (fits)
            return address(end - pages);
    }
    return 0;
}

static void one_change(struct memory_map *map, struct page *model, struct memory_object *const objects[2])
{
    unsigned first = (unsigned)rand() % PAGES, last = first + 1 + (unsigned)rand() % (PAGES - first);
    struct vma vma = {.start = address(first), .end = address(last), .prot = (uint32_t)rand() % 3};

    assert_int_equal(memory_map_reserve(map), 0);
    check_ranges(map, model, first, last);
    switch (rand() % 4) {
    case 0:
        memory_map_remove(map, vma.start, vma.end);
        memset(model + first, 0, (last - first) * sizeof(*model));
        break;
    case 1:
        memory_map_protect(map, vma.start, vma.end, vma.prot);
        for (unsigned i = first; i < last; i++)
            if (model[i].mapped)
                model[i].prot = vma.prot;
        break;
    case 2:
        vma.object = objects[rand() % 2];
        /* Offsets that often continue the neighbour's. */
        vma.offset = first * PAGE;
        vma.flags = (uint32_t)(rand() % 2) * VMA_SHARED;
        /* fall through */
    default:
        memory_map_insert(map, &vma);
        model_insert(model, first, last, &vma);
        break;
    }
}

static void random_changes_agree_with_the_model(void **state)
{
    struct memory_map map;
    struct page model[PAGES] = {{0}};
    struct memory_object *objects[2] = {memory_object_create(-1, "one"), memory_object_create(-1, NULL)};

    (void)state;
    srand(1);
    memory_map_init(&map, LOWEST, address(PAGES));
    for (int i = 0; i < 20000; i++) {
        unsigned pages = 1 + (unsigned)rand() % 8, top = (unsigned)rand() % (PAGES + 1);
        one_change(&map, model, objects);
        check(&map, model);
        assert_int_equal(memory_map_search(&map, pages * PAGE, address(top)), model_search(model, pages, top));
    }
    memory_map_free(&map);
    assert_int_equal(objects[0]->references, 1);
    assert_int_equal(objects[1]->references, 1);
    memory_object_put(objects[0]);
    memory_object_put(objects[1]);
}

static void reserved_ranges_are_nobodys(void **state)
{
    struct memory_map map;
    struct vma reserved = {.start = address(4), .end = address(6), .flags = VMA_RESERVED};

    (void)state;
    memory_map_init(&map, LOWEST, address(PAGES));
    assert_int_equal(memory_map_reserve(&map), 0);
    memory_map_insert(&map, &reserved);
    assert_int_equal(map.mapped_bytes, 0);
    assert_true(memory_map_is_reserved(&map, address(0), address(5)));
    assert_false(memory_map_is_reserved(&map, address(0), address(4)));
    assert_false(memory_map_is_free(&map, address(5), address(7)));
    assert_false(memory_map_is_covered(&map, address(4), address(6)));
    assert_int_equal(memory_map_search(&map, 5 * PAGE, address(8)), 0);
    memory_map_free(&map);
}

static void copies_hold_their_own_references(void **state)
{
    struct memory_map map, copy;
    struct memory_object *object = memory_object_create(-1, NULL);
    struct vma vma = {.start = address(1), .end = address(3), .object = object};

    (void)state;
    memory_map_init(&map, LOWEST, address(PAGES));
    assert_int_equal(memory_map_reserve(&map), 0);
    memory_map_insert(&map, &vma);
    assert_int_equal(memory_map_copy(&copy, &map), 0);
    assert_int_equal(object->references, 3);
    memory_map_free(&map);
    assert_true(memory_map_is_covered(&copy, address(1), address(3)));
    memory_map_free(&copy);
    assert_int_equal(object->references, 1);
    memory_object_put(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_agree_with_the_model),
        cmocka_unit_test(reserved_ranges_are_nobodys),
        cmocka_unit_test(copies_hold_their_own_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
