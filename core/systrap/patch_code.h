/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The bytes of code that a patch replaces. They are changed by the stub's own
 * syscall thread: first a byte that traps wherever an instruction starts, then
 * the bytes between them, then these, with all processors made to see each step
 * (membarrier(2)). So a thread that is anywhere in them traps or runs what was
 * there before or what comes after.
 */
#ifndef CORE_SYSTRAP_PATCH_CODE_H
#define CORE_SYSTRAP_PATCH_CODE_H

#include "core/systrap/systrap_backend.h"

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
 * membarrier(2). A child is registered as its mother is.
 */
void patch_code_register(struct systrap_subprocess *template);

/* Are these bytes there? */
bool patch_code_is(struct systrap_subprocess *subprocess, const struct arch_patch *patch, const uint8_t *bytes);

/*
 * The original bytes or the replacement, in the place of the other. order_lock
 * is held. 0 or -errno; -EIO: some bytes may have been written, or a page is
 * left writable.
 */
int patch_code_change(struct systrap_subprocess *subprocess, const struct arch_patch *patch, const uint8_t *bytes);

#endif
