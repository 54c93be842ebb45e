/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guests that ask: a call that may be answered without an event. */
#ifndef TESTS_GUESTS_ANSWERS_H
#define TESTS_GUESTS_ANSWERS_H

#include <sys/syscall.h>

#include "guests.h"

#define ASKED_CALL SYS_getppid

GUEST_DECLARE(ask_and_tell);  /* asks, and calls with the answer as arg 0, for ever */
GUEST_DECLARE(ask_then_tell); /* the same with the registers as they are */
GUEST_DECLARE(ask_times);     /* asks arg 0 times, and calls with the last answer as arg 0, for ever */
GUEST_DECLARE(ask_counting);  /* asks for ever; the last answer is behind the word at arg 0, which counts them */
GUEST_DECLARE(ask_checked);   /* asks for ever; no instruction when the two halves of an answer differ */

/* x86-64 */
GUEST_DECLARE(ask_flags); /* the flags of the word at rbx, asks, stores those behind it, calls */

#endif
