/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Sleeping on a word that another process can see. */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/systrap/shared_futex.h"

void shared_futex_wait(uint32_t *word, uint32_t expected, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_SECOND, .tv_nsec = until_ns % NS_PER_SECOND};

    /* FUTEX_WAIT_BITSET takes an absolute time. */
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, until_ns == INT64_MAX ? NULL : &until, NULL,
            FUTEX_BITSET_MATCH_ANY);
}

void shared_futex_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
