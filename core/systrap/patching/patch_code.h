/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The bytes of code that patches replace. A page changes as a whole, and never
 * while anybody can run it: the stub's syscall thread takes it away, makes all
 * processors see that (membarrier(2)), and puts another one there. A thread
 * that runs there meanwhile faults, and does so again when it is over. So no
 * processor meets a part of an instruction, and no mapping of code is ever
 * writable.
 */
#ifndef CORE_SYSTRAP_PATCHING_PATCH_CODE_H
#define CORE_SYSTRAP_PATCHING_PATCH_CODE_H

#include "core/systrap/systrap_types.h"

static inline uint64_t patch_page_of(const struct systrap_subprocess *subprocess, uint64_t addr)
{
    return addr & ~(uint64_t)(subprocess->base.platform->info.page_size - 1);
}

static inline uint64_t patch_last_byte(const struct arch_patch *patch)
{
    return patch->start + patch->length - 1;
}

static inline bool patch_in_two_pages(const struct systrap_subprocess *subprocess, const struct arch_patch *patch)
{
    return patch_page_of(subprocess, patch->start) != patch_page_of(subprocess, patch_last_byte(patch));
}

/*
 * Of the template, which has no threads yet: for a process that has some the
 * kernel waits milliseconds until all processors know that it is registered for
 * membarrier(2). A child is registered as its mother is. False: it cannot be.
 */
bool patch_code_register(struct systrap_subprocess *template);

/* For what follows order_lock and the patches' lock are held. */

/* Is there room for the site, which is new or was undone? Makes the records of its pages. */
bool patch_code_room(struct systrap_subprocess *subprocess, const struct arch_patch *patch);
/* The site's jump into its pages. 0 or -errno; -EIO: the stub is in no known state. */
int patch_code_put(struct systrap_subprocess *subprocess, uint32_t site);
/*
 * The original bytes of all sites that have some in this range. 0 or -errno, and
 * then some pages may be as they were; -EIO: the stub is in no known state.
 */
int patch_code_undo(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end);
/* Pages in this range are gone, with their sites: an operation has replaced them. */
void patch_code_forget(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end);
/* An operation failed that may have replaced pages in this range: those that it has are forgotten. */
void patch_code_check(struct systrap_subprocess *subprocess, uint64_t start, uint64_t end);

/* What is there at this moment, jumps and all. How many bytes, or -errno. */
ssize_t patch_code_read_now(struct systrap_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);

/*
 * After a part was read, or could not be (copied: how many bytes, or -errno):
 * puts what the guest wrote in the place of the jumps there, and gives what
 * copied is then. Takes the patches' lock.
 */
ssize_t patch_code_read(struct tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length, ssize_t copied);

#endif
