/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Orders that change pages of guest code. A page changes as a whole, and never
 * while anybody can run it: the stub's syscall thread takes it away, makes all
 * processors see that (membarrier(2)), and puts another one there. A thread
 * that runs there meanwhile faults, and does so again when it is over. So no
 * processor meets a part of an instruction, and no mapping of code is ever
 * writable.
 */
#ifndef CORE_SYSTRAP_PATCHING_PAGE_ORDERS_H
#define CORE_SYSTRAP_PATCHING_PAGE_ORDERS_H

#include "core/systrap/patching/page_changes.h"
#include "core/systrap/systrap_types.h"

/*
 * Of the template, which has no threads yet: for a process that has some the
 * kernel waits milliseconds until all processors know that it is registered for
 * membarrier(2). A child is registered as its mother is. False: it cannot be.
 */
bool page_orders_register(struct systrap_subprocess *template);

/* Where a page is in the guest's address space while it is set aside, and a code page in the file. */
uint64_t page_aside_addr(const struct systrap_subprocess *subprocess, uint32_t aside);
uint64_t page_code_offset(const struct systrap_subprocess *subprocess, uint32_t code);

/*
 * Makes these changes, and marks those that are done; order_lock and the
 * patches' lock are held. 0: all are done. Else -errno, and pages are as they
 * were where they are not done; -EIO: some are away.
 */
int page_orders_change(struct systrap_subprocess *subprocess, struct page_change *changes, size_t n);

/*
 * The same as a part of an order: what its calls are, for n changes at most
 * page_orders_calls(n). And when so many of them were made, with the host's
 * error for the next one, or 0.
 */
static inline size_t page_orders_calls(size_t n)
{
    return 2 * n + 2;
}
size_t page_orders_fill(const struct systrap_subprocess *subprocess, const struct page_change *changes, size_t n,
                        struct stub_call *calls);
int page_orders_made(struct systrap_subprocess *subprocess, struct page_change *changes, size_t n, size_t made,
                     int64_t result);

#endif
