/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A subprocess dies once, for one reason; its record stays as long as somebody refers to it. */
#ifndef CORE_SUBPROCESS_LIFE_H
#define CORE_SUBPROCESS_LIFE_H

#include "core/handles.h"

/* An empty record, with the caller's reference; NULL: no memory. */
struct tg_subprocess *subprocess_new(struct tg_platform *platform);
/* Of a record that the backend has nothing in. */
void subprocess_free(struct tg_subprocess *subprocess);

void subprocess_hold(struct tg_subprocess *subprocess);
/* The last one frees it. */
void subprocess_release(struct tg_subprocess *subprocess);

/*
 * True: the caller is the first, and writes down why. It calls
 * subprocess_end_death() when all is done that others must find done.
 */
bool subprocess_begin_death(struct tg_subprocess *subprocess, int32_t reason, int32_t status);
void subprocess_end_death(struct tg_subprocess *subprocess);

static inline bool subprocess_is_alive(const struct tg_subprocess *subprocess)
{
    return atomic_load(&subprocess->death) == SUBPROCESS_ALIVE;
}

/* Why can be read. */
static inline bool subprocess_is_dead(const struct tg_subprocess *subprocess)
{
    return atomic_load(&subprocess->death) == SUBPROCESS_DEAD;
}

#endif
