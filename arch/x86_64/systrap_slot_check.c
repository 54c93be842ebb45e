/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The offsets of a slot that assembly uses are those of the struct. */
#include <stddef.h>

#include "stub/systrap_protocol.h"
#include "systrap_slot.h"

_Static_assert(offsetof(struct systrap_slot, hot) == SLOT_HOT(0), "hot");
_Static_assert(offsetof(struct systrap_slot, cold) == SLOT_COLD(0), "cold");
_Static_assert(offsetof(struct systrap_slot, kick) == SLOT_KICK, "kick");
_Static_assert(offsetof(struct systrap_slot, resume) == SLOT_RESUME, "resume");
_Static_assert(offsetof(struct systrap_slot, stack) == SLOT_STACK, "stack");
_Static_assert(COLD_HIDDEN < SYSTRAP_COLD_WORDS, "all registers have a place");
