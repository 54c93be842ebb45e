/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Patches of many sites that come into a subprocess's code in one order. What
 * a page is to be is made beside it, from one copy of what is there: patch
 * after patch, each as if those before it were in the code. order_lock and the
 * patches' lock are held from the first call to the last.
 */
#ifndef CORE_SYSTRAP_PATCHING_SITE_BATCH_H
#define CORE_SYSTRAP_PATCHING_SITE_BATCH_H

#include "core/systrap/patching/page_changes.h"
#include "core/systrap/patching/site_plan.h"

#define BATCH_SITES   128
#define NO_BATCH_PAGE UINT32_MAX

struct site_batch {
    struct systrap_subprocess *subprocess;
    /* A file that the order maps before it changes pages: what will be there. fd is -1: it is there already. */
    int fd;
    const struct code_file *file;

    struct page_change changes[CHANGES_AT_ONCE];
    uint32_t page_count;
    uint32_t pages_max;
    struct batched_site {
        uint32_t number;
        uint32_t page;
    } sites[BATCH_SITES]; /* in the order of their pages */
    uint32_t site_count;
};

/* The page of this address; those of one mapping in their order. NO_BATCH_PAGE: it cannot be had, or not be changed. */
uint32_t site_batch_page(struct site_batch *batch, uint64_t addr);
/* Reads from the page as it is to be by now, and from elsewhere as it is. False: not all could be read. */
bool site_batch_read(const struct site_batch *batch, uint32_t page, uint64_t addr, uint8_t *bytes, size_t length);
/* The patch that begins so many bytes before the call's ip as starts says (proven_starts()), if code lets it. */
bool site_batch_add(struct site_batch *batch, uint32_t page, const struct arch_syscall *syscall, uint32_t starts,
                    const struct site_code *code);

/* The calls of an order that put all of them, behind those that are there. How many; 0: there is nothing to put. */
size_t site_batch_fill(struct site_batch *batch, struct stub_call *calls);
/* So many were made; result: 0, or the host's error for the next one. What it refuses is left as it was. */
void site_batch_made(struct site_batch *batch, size_t made, int64_t result);
/* Both, with an order of its own. */
void site_batch_put(struct site_batch *batch);

#endif
