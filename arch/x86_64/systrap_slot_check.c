/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The offsets of a slot that assembly uses are those of the struct. */
#include <stddef.h>

#include "stub/systrap_protocol.h"
#include "systrap_slot.h"

_Static_assert(offsetof(struct systrap_slot, call_regs) == SLOT_CALL(0), "call_regs");
_Static_assert(offsetof(struct systrap_slot, other_regs) == SLOT_OTHER(0), "other_regs");
_Static_assert(offsetof(struct systrap_slot, kick) == SLOT_KICK, "kick");
_Static_assert(offsetof(struct systrap_slot, resume) == SLOT_RESUME, "resume");
_Static_assert(offsetof(struct systrap_slot, stack) == SLOT_STACK, "stack");
_Static_assert(OTHER_HIDDEN < SYSTRAP_OTHER_REGS, "all registers have a place");
