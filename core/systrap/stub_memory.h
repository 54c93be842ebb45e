/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The file behind a stub's memory, and who sees which part of it. */
#ifndef CORE_SYSTRAP_STUB_MEMORY_H
#define CORE_SYSTRAP_STUB_MEMORY_H

#include "core/systrap/systrap_types.h"

#define STUB_WINDOW_SIZE 0x40000
/* In the file: pages that come into the place of guest code (patched_pages.h). The stub sees slots at that offset. */
#define STUB_CODE_PAGES  SYSTRAP_SLOTS

/* The file and its mapping. 0 or -errno, and then *call names what failed. */
int stub_memory_create(struct systrap_subprocess *subprocess, const char **call);
/* Called once the stub has mapped its parts: seals the file, so that nobody else can write to it. 0 or -errno. */
int stub_memory_seal(const struct systrap_subprocess *subprocess);
/* Grows the file to have room for that many slots. lock is held. 0 or -errno. */
int stub_memory_reach(struct systrap_subprocess *subprocess, uint32_t slots);
/* Makes window and window_file, if there are none. order_lock is held. 0 or -errno. */
int stub_memory_make_window(struct systrap_subprocess *subprocess);
/*
 * All that guests can read or write in it is 0 again: no worker runs. The clocks stay, and code pages, which children
 * may have mapped; no guest can read those that it does not have. order_lock and lock are held.
 */
void stub_memory_clear(struct systrap_subprocess *subprocess);
/* The call that takes away the pages of guest code that were set aside. */
struct stub_call stub_memory_empty_aside(const struct systrap_subprocess *subprocess);
void stub_memory_destroy(struct systrap_subprocess *subprocess);
/* In a process that was forked from the opener's: the descriptors, and if unmap is set the mapping too. */
void stub_memory_forget(struct systrap_subprocess *subprocess, bool unmap);
/* The clocks of its guests, for the vDSO that is the library's: they see this page right below that. */
struct vdso_clock *stub_memory_clocks(struct tg_subprocess *subprocess);
/* The calls that map the file in a stub; how many. */
size_t stub_memory_calls(const struct systrap_subprocess *subprocess, struct stub_call *calls);

#endif
