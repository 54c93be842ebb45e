/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Sleeping on words that the library and a stub share. until_ns: of CLOCK_MONOTONIC, INT64_MAX: without limit. */
#ifndef CORE_SYSTRAP_SHARED_FUTEX_H
#define CORE_SYSTRAP_SHARED_FUTEX_H

#include <stdint.h>

void shared_futex_wait(uint32_t *word, uint32_t expected, int64_t until_ns);
void shared_futex_wake(uint32_t *word);

#endif
