/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The vDSO that guests get. The embedder's own, which a new stub process has
 * as its copy: it is moved into the stub's memory, so that guests learn nothing
 * of where the embedder has it. Or the library's. Copies of the stub inherit it.
 */
#ifndef CORE_STUB_VDSO_H
#define CORE_STUB_VDSO_H

#include <stdint.h>

/* What a stub keeps free for it: pages of data, and behind them those of code, which expects them there. */
#define STUB_VDSO_DATA_PAGES 16
#define STUB_VDSO_CODE_PAGES 16
#define STUB_VDSO_PAGES      (STUB_VDSO_DATA_PAGES + STUB_VDSO_CODE_PAGES)

/* Where this process has its own; 0: there is none. */
uint64_t stub_vdso_of_host(void);

/*
 * In the new process: from there to the room, which is anonymous memory of so
 * many pages without any right. *moved: where its code is now; 0: the host does
 * not have it moved, and the room is as it was. 0 or -errno.
 */
int stub_vdso_move(uint64_t host, uint64_t room, uint64_t page, uint64_t *moved);

/* The library's own goes there, if the room is as it was, with the page below its code left for its clocks. */
int stub_vdso_put(uint64_t room, uint64_t page, uint64_t *put);
/* Where in the room that page is. */
static inline uint64_t stub_vdso_clocks(uint64_t room, uint64_t page)
{
    return room + (STUB_VDSO_DATA_PAGES - 1) * page;
}

#endif
