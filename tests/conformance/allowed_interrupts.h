/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A thread that interrupts a context at any moment, but only as often as it is allowed to. A switch that always finds
 * an interrupt waiting gets nowhere, and where processors are slow every one does.
 */
#ifndef TESTS_CONFORMANCE_ALLOWED_INTERRUPTS_H
#define TESTS_CONFORMANCE_ALLOWED_INTERRUPTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "guest.h"

struct interrupter {
    tg_context *context;
    pthread_t thread;
    _Atomic int allowed;
    _Atomic bool over;
};

void interrupter_start(struct interrupter *interrupter, tg_context *context);
/* A few more, from now on, and none of those that were not made yet. */
void interrupter_allow(struct interrupter *interrupter);
void interrupter_end(struct interrupter *interrupter);

#endif
