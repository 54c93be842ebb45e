/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A context's place in a subprocess. */
#ifndef CORE_SYSTRAP_SLOTS_H
#define CORE_SYSTRAP_SLOTS_H

#include "core/systrap/systrap_types.h"

/* Gives the context a slot in the subprocess; what its slot elsewhere has of its state comes along. 0 or -errno. */
int slot_move(struct systrap_context *context, struct systrap_subprocess *subprocess);
static inline int slot_bind(struct systrap_context *context, struct systrap_subprocess *subprocess)
{
    return context->bound == subprocess ? 0 : slot_move(context, subprocess);
}

/* Brings all of the context's state to its handle, and gives its slot back. */
void slot_unbind(struct systrap_context *context);
/* Copies the registers, which are in the slot alone, to the handle. */
void slot_pull_regs(struct systrap_context *context);
/*
 * Brings the FP state to the handle. 0; -ESRCH: the stub is dead, and what it
 * left of the state is in the handle; -EIO: the worker that has the state does
 * not answer, or the stub was stopped for stopped_ns (watchdog.h).
 */
int slot_pull_fp(struct systrap_context *context, int64_t stopped_ns);
/*
 * The subprocess is about to be killed, its door is shut: has workers store the
 * FP states that they hold into the slots, as many as they do in ten seconds.
 * Takes no context: whoever has one may go on.
 */
void slots_rescue(struct systrap_subprocess *subprocess);
/* Puts the handle's state where the context will run. The context is bound and at rest. */
void slot_push_state(struct systrap_context *context);

#endif
