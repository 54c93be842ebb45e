/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Events of a queue: shared out, claimed and handed out. */
#ifndef CORE_SYSTRAP_QUEUE_EVENTS_H
#define CORE_SYSTRAP_QUEUE_EVENTS_H

#include "core/systrap/systrap_queue_types.h"

/* The context is the embedder's again. */
void systrap_queue_finish(struct systrap_context *context);
/* The event is written in the context. */
void systrap_queue_make_ready(struct systrap_context *context);
/* lock is held. One whose event is written, of each seat in turn; NULL: there is none. */
struct systrap_context *systrap_queue_pop_ready(struct systrap_queue *queue);
/* No more than max. */
void systrap_queue_take_ready(struct systrap_queue *queue, size_t max, struct sink *sink);
/*
 * The context was STARTING and runs now: others may claim it, and the caller
 * must not touch it any more. True: its subprocess has died, or it has left
 * something already that somebody could not claim yet; it is the caller's to
 * deliver.
 */
bool systrap_queue_take_off(struct systrap_context *context);
/*
 * Of a context that the caller has claimed. False: it was started after the
 * caller looked, and is in flight again.
 */
bool systrap_queue_is_down(struct systrap_context *context);
/* A context that the caller has claimed: its event goes where its queue's events go. */
void systrap_queue_deliver(struct systrap_context *context, struct systrap_queue *queue, struct sink *sink);
/*
 * Claims what is in flight in a dead subprocess, and what has left an event
 * that a spoilt ring does not name. How many.
 */
size_t systrap_queue_scan(struct systrap_subprocess *subprocess, struct systrap_context **out, size_t max);
/*
 * By the collecting thread: what rings name, and what is ready. Each seat has a
 * share of the room, and what others leave of theirs; where there is not room
 * for all, the next collection goes on from there.
 */
void systrap_queue_collect(struct systrap_queue *queue, struct sink *sink);
/* The same for what no ring names, which becomes ready. */
void systrap_queue_collect_unnamed(struct systrap_queue *queue);
/* Destroy has killed it: what is in flight there comes to its end. */
void systrap_queue_subprocess_dead(struct systrap_subprocess *subprocess);

#endif
