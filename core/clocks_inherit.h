/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a copy of a subprocess has of its clocks (guest_clocks.h). */
#ifndef CORE_CLOCKS_INHERIT_H
#define CORE_CLOCKS_INHERIT_H

#include "core/handles.h"

/* A child that does not run yet, and that only its maker knows, begins with its mother's; NULL: it has none. */
void clocks_inherit(struct tg_subprocess *child, struct tg_subprocess *mother);

#endif
