/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a slot says becomes an event. */
#ifndef CORE_SYSTRAP_EVENTS_H
#define CORE_SYSTRAP_EVENTS_H

#include "core/systrap/shared_words.h"
#include "core/systrap/systrap_types.h"

/* Has a worker left something in the slot? Looked at before the subprocess's door, which systrap_collect() looks at. */
static inline bool systrap_left_something(const struct systrap_context *context)
{
    return state_has_event(SHARED_LOOK(context->slot->state));
}

/* Makes an event of what is in the slot. False: it was the library's own business, and the context is to run on. */
bool systrap_collect(struct systrap_context *context, struct tg_event *event);
/* The event of a context whose subprocess has died, and which has left nothing. */
void systrap_lost(struct systrap_context *context, struct tg_event *event);
void systrap_event_dead(struct systrap_context *context, struct tg_event *event);
void systrap_event_interrupted(struct systrap_context *context, struct tg_event *event);

#endif
