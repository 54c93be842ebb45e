/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * pthread_cancel(3) ends a thread inside any call of the C library that may
 * block, and nothing here could be left like that: a context that runs, a lock
 * that is held. So it waits until the library's function is left. Not for the
 * way of a switch that finds its event at once: nothing on it blocks, and two
 * calls of the C library there would be paid by every system call of a guest.
 */
#ifndef CORE_NO_CANCEL_H
#define CORE_NO_CANCEL_H

#include <pthread.h>

static inline int no_cancel_begin(void)
{
    int before = PTHREAD_CANCEL_ENABLE;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void no_cancel_end(const int *before)
{
    int disabled;

    pthread_setcancelstate(*before, &disabled);
}

/* A declaration: from here to the end of the block. */
#define NO_CANCELLATION                                                                                                \
    const int cancellation_before __attribute__((cleanup(no_cancel_end), unused)) = no_cancel_begin()

#endif
