/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A guest that returns from a signal that never was: what its thread does with signals from then on is its own. */
#ifndef TESTS_HOSTILE_X86_64_FORGER_H
#define TESTS_HOSTILE_X86_64_FORGER_H

#include <pthread.h>

#include "bounded.h"
#include "frame.h"
#include "hostile.h"
#include "text.h"

#define FORGED_COUNTER_AT GUEST_DATA_AT
#define FORGED_CODE_AT    (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define SIGNAL(n)         (1ull << ((n)-1))

struct forger {
    struct guest guest;
    struct text text;
    struct bounded *bounded;
    struct bounded *destroyer;
};

/* The code runs at FORGED_CODE_AT when the guest has returned. */
void forger_open(struct forger *forger, uint32_t backend, struct guest_code then);
void forger_close(struct forger *forger);

/* It goes on at that code, with the counter's address in its first argument. */
struct signal_frame forger_frame(uint64_t mask);
void forger_forge(struct forger *forger, const struct signal_frame *frame);
/* Runs it in a thread until it has forged its frame and counts; the thread ends with the switch. */
pthread_t forger_start(struct forger *forger);

#endif
