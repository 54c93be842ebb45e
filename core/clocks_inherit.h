/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What becomes of a subprocess's clocks (guest_clocks.h) with the subprocess. */
#ifndef CORE_CLOCKS_INHERIT_H
#define CORE_CLOCKS_INHERIT_H

#include "core/handles.h"

/* A child that does not run yet, and that only its maker knows, begins with its mother's; NULL: it has none. */
void clocks_inherit(struct tg_subprocess *child, struct tg_subprocess *mother);
/* As in a new one. No guest runs there. */
void clocks_forget(struct tg_subprocess *subprocess);

#endif
