/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/memory_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux's default for vm.max_map_count; the host refuses more of them anyway. */
#define REGIONS_MAX 65530

/* A change splits at most two vmas, or one vma into three. */
#define GROWTH_PER_CHANGE 2

static void set_file(struct memory_object *object)
{
    struct stat st;

    if (object->fd < 0 || fstat(object->fd, &st) != 0)
        return;
    object->device = st.st_dev;
    object->inode = st.st_ino;
}

struct memory_object *memory_object_create(int fd, const char *name)
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
    set_file(object);
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
        memory_object_put(map->vmas[i].object);
    free(map->vmas);
    map->vmas = NULL;
    map->count = map->capacity = 0;
}

int memory_map_copy(struct memory_map *to, const struct memory_map *from)
{
    struct vma *vmas = calloc(from->count + GROWTH_PER_CHANGE, sizeof(*vmas));

    if (!vmas)
        return -ENOMEM;
    memcpy(vmas, from->vmas, from->count * sizeof(*vmas));
    for (size_t i = 0; i < from->count; i++)
        memory_object_get(vmas[i].object);
    *to = *from;
    to->vmas = vmas;
    to->capacity = from->count + GROWTH_PER_CHANGE;
    return 0;
}

int memory_map_reserve(struct memory_map *map)
{
    size_t needed = map->count + GROWTH_PER_CHANGE;
    size_t capacity = map->capacity ? map->capacity : 32;
    struct vma *vmas;

    if (needed <= map->capacity)
        return 0;
    if (needed > REGIONS_MAX)
        return -ENOMEM;
    while (capacity < needed)
        capacity *= 2;
    vmas = reallocarray(map->vmas, capacity, sizeof(*vmas));
    if (!vmas)
        return -ENOMEM;
    map->vmas = vmas;
    map->capacity = capacity;
    return 0;
}

/* The index of the first vma that ends behind the address. */
static size_t index_of(const struct memory_map *map, uint64_t addr)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->vmas[middle].end > addr)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct vma *memory_map_find(const struct memory_map *map, uint64_t addr)
{
    size_t i = index_of(map, addr);

    return i < map->count ? &map->vmas[i] : NULL;
}

bool memory_map_is_free(const struct memory_map *map, uint64_t start, uint64_t end)
{
    size_t i = index_of(map, start);

    if (start < map->lowest || end > map->highest || start >= end)
        return false;
    return i == map->count || map->vmas[i].start >= end;
}

bool memory_map_is_covered(const struct memory_map *map, uint64_t start, uint64_t end)
{
    for (size_t i = index_of(map, start); start < end; i++) {
        const struct vma *vma = &map->vmas[i];
        if (i == map->count || vma->start > start || (vma->flags & VMA_RESERVED))
            return false;
        start = vma->end;
    }
    return true;
}

bool memory_map_is_reserved(const struct memory_map *map, uint64_t start, uint64_t end)
{
    for (size_t i = index_of(map, start); i < map->count && map->vmas[i].start < end; i++)
        if (map->vmas[i].flags & VMA_RESERVED)
            return true;
    return false;
}

uint64_t memory_map_search(const struct memory_map *map, uint64_t length, uint64_t top)
{
    size_t i = index_of(map, top);
    uint64_t hole_end = top;

    /* The vma at index i may begin below top and reach over it. */
    if (i < map->count && map->vmas[i].start < hole_end)
        hole_end = map->vmas[i].start;
    while (i-- > 0) {
        if (map->vmas[i].end <= hole_end && hole_end - map->vmas[i].end >= length)
            return hole_end - length;
        hole_end = map->vmas[i].start;
    }
    if (hole_end > map->lowest && hole_end - map->lowest >= length)
        return hole_end - length;
    return 0;
}

static uint64_t offset_at(const struct vma *vma, uint64_t addr)
{
    return vma->object ? vma->offset + (addr - vma->start) : 0;
}

static void insert_at(struct memory_map *map, size_t i, const struct vma *vma)
{
    memmove(&map->vmas[i + 1], &map->vmas[i], (map->count - i) * sizeof(*vma));
    map->vmas[i] = *vma;
    map->count++;
}

static void erase(struct memory_map *map, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++)
        memory_object_put(map->vmas[i].object);
    memmove(&map->vmas[first], &map->vmas[last], (map->count - last) * sizeof(*map->vmas));
    map->count -= last - first;
}

/* Makes the address a border between two vmas when it lies inside one. Returns the index of what follows it. */
static size_t split_at(struct memory_map *map, uint64_t addr)
{
    size_t i = index_of(map, addr);
    struct vma upper;

    if (i == map->count || map->vmas[i].start >= addr)
        return i;
    upper = map->vmas[i];
    upper.offset = offset_at(&upper, addr);
    upper.start = addr;
    memory_object_get(upper.object);
    map->vmas[i].end = addr;
    insert_at(map, i + 1, &upper);
    return i + 1;
}

static bool continues(const struct vma *lower, const struct vma *upper)
{
    return lower->end == upper->start && lower->prot == upper->prot && lower->flags == upper->flags &&
           lower->object == upper->object && offset_at(lower, lower->end) == upper->offset;
}

/* Joins what continues each other among the vmas first..last, both included, and their neighbours. */
static void join(struct memory_map *map, size_t first, size_t last)
{
    size_t kept = first > 0 ? first - 1 : 0;
    size_t stop = last + 2 < map->count ? last + 2 : map->count;
    size_t next = kept + 1;

    for (; next < stop; next++) {
        if (continues(&map->vmas[kept], &map->vmas[next])) {
            map->vmas[kept].end = map->vmas[next].end;
            memory_object_put(map->vmas[next].object);
        } else {
            map->vmas[++kept] = map->vmas[next];
        }
    }
    if (kept + 1 < stop) {
        memmove(&map->vmas[kept + 1], &map->vmas[stop], (map->count - stop) * sizeof(*map->vmas));
        map->count -= stop - (kept + 1);
    }
}

static void count_bytes(struct memory_map *map, const struct vma *vma, int sign)
{
    if (!(vma->flags & VMA_RESERVED))
        map->mapped_bytes += sign * (vma->end - vma->start);
}

void memory_map_remove(struct memory_map *map, uint64_t start, uint64_t end)
{
    size_t first = split_at(map, start);
    size_t last = split_at(map, end);

    for (size_t i = first; i < last; i++)
        count_bytes(map, &map->vmas[i], -1);
    erase(map, first, last);
}

void memory_map_insert(struct memory_map *map, const struct vma *vma)
{
    size_t i;

    memory_map_remove(map, vma->start, vma->end);
    i = index_of(map, vma->start);
    insert_at(map, i, vma);
    memory_object_get(vma->object);
    count_bytes(map, vma, 1);
    join(map, i, i);
}

void memory_map_protect(struct memory_map *map, uint64_t start, uint64_t end, uint32_t prot)
{
    size_t first = split_at(map, start);
    size_t last = split_at(map, end);

    for (size_t i = first; i < last; i++)
        map->vmas[i].prot = prot;
    if (first < last)
        join(map, first, last - 1);
}
