/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/memory_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Linux's default for vm.max_map_count; the host refuses more of them anyway. */
#define REGIONS_MAX 65530

/* A change splits at most two regions, or one region into three. */
#define GROWTH_PER_CHANGE 2

struct memory_object *memory_object_create(int fd, uint64_t id, const char *name)
{
    struct memory_object *object = calloc(1, sizeof(*object));
    char *copy = name ? strdup(name) : NULL;

    if (!object || (name && !copy)) {
        free(object);
        free(copy);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    object->references = 1;
    object->fd = fd;
    object->id = id;
    object->name = copy;
    return object;
}

struct memory_object *memory_object_get(struct memory_object *object)
{
    if (object)
        object->references++;
    return object;
}

void memory_object_put(struct memory_object *object)
{
    if (!object || --object->references > 0)
        return;
    if (object->fd >= 0)
        close(object->fd);
    free(object->name);
    free(object);
}

void memory_map_init(struct memory_map *map, uint64_t lowest, uint64_t highest)
{
    *map = (struct memory_map){.lowest = lowest, .highest = highest, .search_top = highest};
}

void memory_map_free(struct memory_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        memory_object_put(map->regions[i].object);
    free(map->regions);
    map->regions = NULL;
    map->count = map->capacity = 0;
}

int memory_map_copy(struct memory_map *to, const struct memory_map *from)
{
    struct memory_region *regions = calloc(from->count + GROWTH_PER_CHANGE, sizeof(*regions));

    if (!regions)
        return -ENOMEM;
    memcpy(regions, from->regions, from->count * sizeof(*regions));
    for (size_t i = 0; i < from->count; i++)
        memory_object_get(regions[i].object);
    *to = *from;
    to->regions = regions;
    to->capacity = from->count + GROWTH_PER_CHANGE;
    return 0;
}

int memory_map_reserve(struct memory_map *map)
{
    size_t needed = map->count + GROWTH_PER_CHANGE;
    size_t capacity = map->capacity ? map->capacity : 32;
    struct memory_region *regions;

    if (needed <= map->capacity)
        return 0;
    if (needed > REGIONS_MAX)
        return -ENOMEM;
    while (capacity < needed)
        capacity *= 2;
    regions = reallocarray(map->regions, capacity, sizeof(*regions));
    if (!regions)
        return -ENOMEM;
    map->regions = regions;
    map->capacity = capacity;
    return 0;
}

/* The index of the first region that ends behind the address. */
static size_t index_of(const struct memory_map *map, uint64_t addr)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->regions[middle].end > addr)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct memory_region *memory_map_find(const struct memory_map *map, uint64_t addr)
{
    size_t i = index_of(map, addr);

    return i < map->count ? &map->regions[i] : NULL;
}

bool memory_map_is_free(const struct memory_map *map, uint64_t start, uint64_t end)
{
    size_t i = index_of(map, start);

    if (start < map->lowest || end > map->highest || start >= end)
        return false;
    return i == map->count || map->regions[i].start >= end;
}

bool memory_map_is_covered(const struct memory_map *map, uint64_t start, uint64_t end)
{
    for (size_t i = index_of(map, start); start < end; i++) {
        const struct memory_region *region = &map->regions[i];
        if (i == map->count || region->start > start || (region->flags & REGION_RESERVED))
            return false;
        start = region->end;
    }
    return true;
}

bool memory_map_is_reserved(const struct memory_map *map, uint64_t start, uint64_t end)
{
    for (size_t i = index_of(map, start); i < map->count && map->regions[i].start < end; i++)
        if (map->regions[i].flags & REGION_RESERVED)
            return true;
    return false;
}

uint64_t memory_map_search(const struct memory_map *map, uint64_t length, uint64_t top)
{
    size_t i = index_of(map, top);
    uint64_t hole_end = top;

    /* The region at index i may begin below top and reach over it. */
    if (i < map->count && map->regions[i].start < hole_end)
        hole_end = map->regions[i].start;
    while (i-- > 0) {
        if (map->regions[i].end <= hole_end && hole_end - map->regions[i].end >= length)
            return hole_end - length;
        hole_end = map->regions[i].start;
    }
    if (hole_end > map->lowest && hole_end - map->lowest >= length)
        return hole_end - length;
    return 0;
}

static uint64_t offset_at(const struct memory_region *region, uint64_t addr)
{
    return region->object ? region->offset + (addr - region->start) : 0;
}

static void insert_at(struct memory_map *map, size_t i, const struct memory_region *region)
{
    memmove(&map->regions[i + 1], &map->regions[i], (map->count - i) * sizeof(*region));
    map->regions[i] = *region;
    map->count++;
}

static void erase(struct memory_map *map, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++)
        memory_object_put(map->regions[i].object);
    memmove(&map->regions[first], &map->regions[last], (map->count - last) * sizeof(*map->regions));
    map->count -= last - first;
}

/* Makes the address a border between two regions when it lies inside one. Returns the index of what follows it. */
static size_t split_at(struct memory_map *map, uint64_t addr)
{
    size_t i = index_of(map, addr);
    struct memory_region upper;

    if (i == map->count || map->regions[i].start >= addr)
        return i;
    upper = map->regions[i];
    upper.offset = offset_at(&upper, addr);
    upper.start = addr;
    memory_object_get(upper.object);
    map->regions[i].end = addr;
    insert_at(map, i + 1, &upper);
    return i + 1;
}

static bool continues(const struct memory_region *lower, const struct memory_region *upper)
{
    return lower->end == upper->start && lower->prot == upper->prot && lower->flags == upper->flags &&
           lower->object == upper->object && offset_at(lower, lower->end) == upper->offset;
}

/* Joins what continues each other among the regions first..last, both included, and their neighbours. */
static void join(struct memory_map *map, size_t first, size_t last)
{
    size_t kept = first > 0 ? first - 1 : 0;
    size_t stop = last + 2 < map->count ? last + 2 : map->count;
    size_t next = kept + 1;

    for (; next < stop; next++) {
        if (continues(&map->regions[kept], &map->regions[next])) {
            map->regions[kept].end = map->regions[next].end;
            memory_object_put(map->regions[next].object);
        } else {
            map->regions[++kept] = map->regions[next];
        }
    }
    if (kept + 1 < stop) {
        memmove(&map->regions[kept + 1], &map->regions[stop], (map->count - stop) * sizeof(*map->regions));
        map->count -= stop - (kept + 1);
    }
}

static void count_bytes(struct memory_map *map, const struct memory_region *region, int sign)
{
    if (!(region->flags & REGION_RESERVED))
        map->mapped_bytes += sign * (region->end - region->start);
}

void memory_map_remove(struct memory_map *map, uint64_t start, uint64_t end)
{
    size_t first = split_at(map, start);
    size_t last = split_at(map, end);

    for (size_t i = first; i < last; i++)
        count_bytes(map, &map->regions[i], -1);
    erase(map, first, last);
}

void memory_map_insert(struct memory_map *map, const struct memory_region *region)
{
    size_t i;

    memory_map_remove(map, region->start, region->end);
    i = index_of(map, region->start);
    insert_at(map, i, region);
    memory_object_get(region->object);
    count_bytes(map, region, 1);
    join(map, i, i);
}

void memory_map_protect(struct memory_map *map, uint64_t start, uint64_t end, uint32_t prot)
{
    size_t first = split_at(map, start);
    size_t last = split_at(map, end);

    for (size_t i = first; i < last; i++)
        map->regions[i].prot = prot;
    if (first < last)
        join(map, first, last - 1);
}
