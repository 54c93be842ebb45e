/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a slot says becomes an event. */
#ifndef CORE_SYSTRAP_EVENTS_H
#define CORE_SYSTRAP_EVENTS_H

#include "core/systrap/shared_words.h"
#include "core/systrap/systrap_types.h"

/* Is there something in the slot? Seen before the door is looked at: systrap_collect(). */
static inline bool systrap_left_something(const struct systrap_context *context)
{
    return state_has_event(SHARED_LOOK(context->slot->state));
}

/* Something is in the slot: makes an event of it. False: it is nobody's business, and the context is to run again. */
bool systrap_collect(struct systrap_context *context, struct tg_event *event);
/* The subprocess died under it. */
void systrap_lost(struct systrap_context *context, struct tg_event *event);
void systrap_event_dead(struct systrap_context *context, struct tg_event *event);
void systrap_event_interrupted(struct systrap_context *context, struct tg_event *event);

#endif
