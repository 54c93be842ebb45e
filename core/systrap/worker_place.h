/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Places in a worker's memory where it and the library exchange bytes. */
#ifndef CORE_SYSTRAP_WORKER_PLACE_H
#define CORE_SYSTRAP_WORKER_PLACE_H

#include "core/systrap/systrap_types.h"

/* offset: WORKER_COPY, WORKER_BROUGHT. */
static inline uint8_t *worker_place(const struct systrap_subprocess *subprocess, uint32_t index, uint32_t offset)
{
    return subprocess->memory + SYSTRAP_WORKERS + (size_t)index * SYSTRAP_WORKER_SIZE + offset;
}

/* Puts a piece there, bytes only of COPY_WRITE. left: what it says if the worker does not. Where the next one goes. */
struct systrap_piece *worker_place_put(struct systrap_piece *to, const struct systrap_piece *piece, const void *bytes);

/*
 * Does a worker look for the context's answer to a patched call? One that has
 * slept, or that is in its signal handler, takes up nothing. By whoever has
 * taken the context.
 */
bool worker_waits_for_answer(const struct systrap_context *context);

/*
 * Takes WORKER_COPY of the worker that holds the context: for two contexts of
 * which both were with it, two threads may want it, and a guest can make up
 * which worker it is. While it is taken and the context is held there, nobody
 * else reads or writes there. False: it is not to be had.
 */
bool worker_place_take(struct systrap_context *context, uint32_t *index);
void worker_place_give_back(struct systrap_subprocess *subprocess, uint32_t index);

#endif
