/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The page of clocks of a subprocess whose vDSO is the library's: memory that its stub shares with the embedder. */
#ifndef CORE_PTRACE_CLOCK_PAGE_H
#define CORE_PTRACE_CLOCK_PAGE_H

#include "core/ptrace/ptrace_types.h"

/* Makes it and has the stub map it, for guests to read. 0 or -errno, and then there may be a page all the same. */
int clock_page_create(struct tracer *tracer, struct ptrace_subprocess *subprocess);
/* The sentence for that, and what the embedder gets. from: as subprocess_create_failed(). */
int clock_page_failed(struct tg_platform *platform, const struct tg_subprocess *from, int err);
/* While the platform opens: does the host let us make one? */
bool clock_page_possible(const struct tg_platform *platform);
#endif
