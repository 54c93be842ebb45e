/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Events of a queue's contexts: found, claimed by one thread each, and handed out. */
#ifndef CORE_SYSTRAP_QUEUE_EVENTS_H
#define CORE_SYSTRAP_QUEUE_EVENTS_H

#include "core/systrap/systrap_queue_types.h"

/* The event has been handed out: the context is no more in the queue, but the embedder's. */
void systrap_queue_finish(struct systrap_context *context);
/* The event is written in the context, which goes to its queue's ready list. */
void systrap_queue_make_ready(struct systrap_context *context);
/* The queue's lock is held. Takes a context off the ready list, of each seat in turn; NULL: there is none. */
struct systrap_context *systrap_queue_pop_ready(struct systrap_queue *queue);
/* Hands out ready events, max at most. */
void systrap_queue_take_ready(struct systrap_queue *queue, size_t max, struct sink *sink);
/*
 * The context was STARTING and runs now: others may claim it, and the caller
 * must not touch it any more. True: its subprocess has died, or it has left
 * something already that somebody could not claim yet, or that nobody is told
 * of and look is set; it is the caller's to deliver.
 */
bool systrap_queue_take_off(struct systrap_context *context, bool look);
/*
 * For a context that the caller has claimed. False: another thread started it
 * between the caller's look and the claim, and it is in flight again.
 */
bool systrap_queue_is_down(struct systrap_context *context);
/* A context that the caller has claimed: its event goes where its queue's events go. */
void systrap_queue_deliver(struct systrap_context *context, struct systrap_queue *queue, struct sink *sink);
/*
 * Walks over all slots: claims every context in flight if the subprocess is dead,
 * else those that have left an event, which a spoilt ring need not name. How many.
 */
size_t systrap_queue_scan(struct systrap_subprocess *subprocess, struct systrap_context **out, size_t max);
/*
 * Called by the collecting thread: hands out what the done rings name, and what
 * is ready. Each seat gets a share of the caller's room, and then what others
 * leave of theirs; the next collection begins where this one ran out of room.
 */
void systrap_queue_collect(struct systrap_queue *queue, struct sink *sink);
/* Called by the collecting thread: makes ready what no ring names. */
void systrap_queue_collect_unnamed(struct systrap_queue *queue);
/* The subprocess was killed to be destroyed: contexts in flight there get their DEAD events. */
void systrap_queue_subprocess_dead(struct systrap_subprocess *subprocess);

#endif
