/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The map of a guest address space: which ranges are mapped, how, and from
 * what. A sorted array without overlaps; neighbours that continue each other
 * are one area, a vma as Linux has it. It changes no memory itself: address_space.c does both together.
 */
#ifndef TRAPGATE_KERNEL_MEMORY_MAP_H
#define TRAPGATE_KERNEL_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an area was mapped from; counted, because areas are split. */
struct memory_object {
    uint32_t references;
    int fd; /* own descriptor of the host, for shared mappings; -1: none kept */
    /* Part of the key of shared futexes: the file's device and inode, which fd keeps from being used anew. */
    uint64_t device;
    uint64_t inode;
    char *name; /* for /proc/self/maps, or NULL */
};

#define VMA_SHARED    0x1
#define VMA_RESERVED  0x2 /* not the guest's: the library's own range */
#define VMA_HEAP      0x4 /* made by brk */
#define VMA_STACK     0x8
#define VMA_NORESERVE 0x10

struct vma {
    uint64_t start;
    uint64_t end;
    uint32_t prot;                /* TG_PROT_* */
    uint32_t flags;               /* VMA_* */
    struct memory_object *object; /* NULL: anonymous private */
    uint64_t offset;              /* of start in the object */
};

struct memory_map {
    struct vma *vmas;
    size_t count;
    size_t capacity;
    uint64_t lowest;     /* first address that can be mapped */
    uint64_t highest;    /* exclusive */
    uint64_t search_top; /* free ranges are looked for below this, downwards */
    uint64_t mapped_bytes;
};

void memory_map_init(struct memory_map *map, uint64_t lowest, uint64_t highest);
int memory_map_copy(struct memory_map *to, const struct memory_map *from);
void memory_map_free(struct memory_map *map);

/* The vma that holds the address, or the first one behind it; NULL when there is none. */
const struct vma *memory_map_find(const struct memory_map *map, uint64_t addr);

/* True when nothing, or everything, of the range is mapped. */
bool memory_map_is_free(const struct memory_map *map, uint64_t start, uint64_t end);
bool memory_map_is_covered(const struct memory_map *map, uint64_t start, uint64_t end);

/* True when a part of the range is the library's own. */
bool memory_map_is_reserved(const struct memory_map *map, uint64_t start, uint64_t end);

/* The start of the highest free range of this length below top; 0 when there is none. */
uint64_t memory_map_search(const struct memory_map *map, uint64_t length, uint64_t top);

/* Makes room for the worst case of one change below, so that none of them can fail. 0 or -ENOMEM. */
int memory_map_reserve(struct memory_map *map);

/* Replaces whatever is in the vma's range by it; takes a reference on its object. */
void memory_map_insert(struct memory_map *map, const struct vma *vma);
void memory_map_remove(struct memory_map *map, uint64_t start, uint64_t end);
void memory_map_protect(struct memory_map *map, uint64_t start, uint64_t end, uint32_t prot);

/* A new object with one reference, or NULL. It owns fd, also when this fails. */
struct memory_object *memory_object_create(int fd, const char *name);
struct memory_object *memory_object_get(struct memory_object *object);
void memory_object_put(struct memory_object *object);

#endif
