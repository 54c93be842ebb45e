/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which workers of a platform may spin: as many as half of its processors, of
 * all subprocesses together. The library grants it, in memory that a guest can
 * only read; within its subprocess a guest can make more of them spin, which it
 * could as well do by computing.
 *
 * A subprocess whose worker has slept and had to be woken asks. When all grants
 * are given it takes over the oldest one, if who has that has had it for a
 * while: so busy subprocesses have them in turns, and one at rest loses them.
 */
#ifndef CORE_SYSTRAP_SPIN_GRANTS_H
#define CORE_SYSTRAP_SPIN_GRANTS_H

#include "core/systrap/systrap_types.h"

void spin_grants_init(struct systrap_platform *sp);
void spin_grants_destroy(struct systrap_platform *sp);

/* One of its workers is being woken. Any thread, with locks of its own. */
void spin_grants_ask(struct systrap_subprocess *subprocess);
/* It is shut: it has none any more, and gets none. */
void spin_grants_give_back(struct systrap_subprocess *subprocess);

/* grants_lock is held: workers are to pause as often as spin_pauses says now. */
void spin_grants_tell(struct systrap_platform *sp);

#endif
