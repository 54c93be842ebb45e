/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The clocks of the library's own vDSO: a page of each subprocess that its
 * guests can only read (stub/vdso_clocks.h). Where there is no such vDSO a
 * backend has no such page.
 */
#ifndef CORE_GUEST_CLOCKS_H
#define CORE_GUEST_CLOCKS_H

#include "core/handles.h"

/* While the platform opens: what of the counter can be read, where guests have that vDSO. */
void guest_clocks_learn(struct tg_platform *platform, uint64_t flags);

/* The copies of what the caller said. 0 or -errno with a sentence. */
int guest_clocks_set(struct tg_subprocess *subprocess, const struct tg_clock *clocks, size_t n);
int guest_clocks_get(struct tg_subprocess *subprocess, uint32_t clock, struct tg_clock *out, uint64_t *ns);

uint64_t guest_clocks_counter(const struct tg_platform *platform);

#endif
