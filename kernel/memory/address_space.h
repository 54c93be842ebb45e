/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest address space: the library's subprocess and the map that the kernel
 * keeps of it. Shared by the processes that clone with CLONE_VM or vfork.
 */
#ifndef TRAPGATE_KERNEL_ADDRESS_SPACE_H
#define TRAPGATE_KERNEL_ADDRESS_SPACE_H

#include <stdint.h>

#include <trapgate/trapgate.h>

#include "memory/memory_map.h"

struct address_space {
    uint32_t references;
    struct address_space *next_left; /* of those that wait for address_spaces_destroy_left() */
    uint64_t id;                     /* never used twice: part of the key of private futexes */
    tg_subprocess *subprocess;
    struct memory_map map;
    uint64_t brk_start;
    uint64_t brk_end;
    uint64_t stack_top;
    uint64_t args_start, args_end; /* the argument strings on the first stack */
    uint64_t env_start, env_end;
    bool met_reserved; /* its program was to lie where the backend lets nobody */
};

struct sandbox;

/* An empty one with one reference; 0 or -errno. */
int address_space_create(struct sandbox *sandbox, struct address_space **out);

/* A copy-on-write copy with one reference; 0 or -errno. */
int address_space_fork(struct sandbox *sandbox, struct address_space *from, struct address_space **out);

/*
 * Drops a reference; with the last one the guest is done with it, and it is left to be destroyed. NULL is allowed.
 * To end a host process takes longer than most calls: the loop does it when everybody who waited for that goes on, and
 * before it looks for the next event. A new space, which may need what is given back then, waits for it too.
 */
void address_space_release(struct sandbox *sandbox, struct address_space *space);
void address_spaces_destroy_left(struct sandbox *sandbox);

/* The operation of the library that maps it; fd -1: zero pages. */
tg_mem_op address_space_map_op(const struct vma *vma, uint32_t map_flags, int fd);

/*
 * Change the guest's memory and the map together; a failure leaves both as
 * they were. Ranges are whole pages inside the map's limits, and are refused
 * when they touch the library's own. 0 or -errno.
 */
int address_space_map(struct address_space *space, const struct vma *vma, uint32_t map_flags, int fd);
int address_space_unmap(struct address_space *space, uint64_t start, uint64_t end);
/*
 * What is private and mapped at from goes, with its pages, to where the vma starts, and zero pages behind it as far as
 * the vma goes. Nothing is mapped in the vma's range before. The host may refuse what it has split.
 */
int address_space_move(struct address_space *space, const struct vma *vma, uint64_t from, uint64_t length);
int address_space_protect(struct address_space *space, uint64_t start, uint64_t end, uint32_t prot);

#endif
