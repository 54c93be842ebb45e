/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Words of memory that the library and a stub share; what a guest can write too. */
#ifndef CORE_SYSTRAP_SHARED_WORDS_H
#define CORE_SYSTRAP_SHARED_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "stub/systrap_protocol.h"

#define SHARED_LOAD(field)         __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
/* After a store that the other side looks at: one of the two sees the other's (docs/memory-order.md). */
#define SHARED_LOOK(field)         __atomic_load_n(&(field), __ATOMIC_SEQ_CST)
#define SHARED_STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#define SHARED_SWAP(field, value)  __atomic_exchange_n(&(field), (value), __ATOMIC_SEQ_CST)
#define SHARED_ADD(field, value)   __atomic_fetch_add(&(field), (value), __ATOMIC_SEQ_CST)

static inline bool shared_change(uint32_t *word, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/*
 * Gives a slot the state `to` if a worker holds it (HELD or ASLEEP); that worker
 * may fall asleep or wake up meanwhile. Returns the state before, and has changed
 * nothing if that was another one.
 */
static inline uint32_t shared_take_held(uint32_t *state, uint32_t to)
{
    for (;;) {
        uint32_t before = SHARED_LOOK(*state);

        if ((before != SLOT_HELD && before != SLOT_ASLEEP) || shared_change(state, before, to))
            return before;
    }
}

#endif
