/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that come with a patched call's event, and bytes that go with its answer: by the worker. */
#ifndef CORE_SYSTRAP_WORKER_BYTES_H
#define CORE_SYSTRAP_WORKER_BYTES_H

#include "core/systrap/systrap_types.h"

/* backend_ops.subprocess_brings and context_bring. */
void systrap_subprocess_brings(struct tg_subprocess *subprocess, const struct bring_table *table);
size_t systrap_context_bring(struct tg_context *context, struct tg_subprocess *subprocess,
                             const struct bring_piece *piece, size_t wanted, uint8_t *buffer);

/*
 * The context is bound and about to start, with something attached: what the
 * worker cannot take is written now. 0 or -errno, and then it is not to start.
 */
int systrap_attached_before_start(struct systrap_context *context);
/* Gives it to the worker that holds the context, and starts that. False: nothing is attached any more. */
bool systrap_attached_hand_over(struct systrap_context *context);
/* An event is there: the bytes of its answer will mostly go where those of the last one went. */
void systrap_attached_expect(const struct systrap_context *context);
/* The worker could not write all. False: it had nothing. */
bool systrap_attached_settle(struct systrap_context *context);

#endif
