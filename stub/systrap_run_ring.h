/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The rings through which contexts come to workers. The library puts slots in,
 * at positions that it counts in its own memory; any worker takes the first one
 * out by moving the head on.
 *
 * An entry says in which lap it was put there, so that nobody has to clear it:
 * a worker that has taken an entry and then gets no processor would clear what
 * is there by the time that it goes on. As many slots as a ring has entries,
 * and each at most once: no lap catches up with one that is not taken yet.
 */
#ifndef SYSTRAP_RUN_RING_H
#define SYSTRAP_RUN_RING_H

#include <stdbool.h>

#include "systrap_protocol.h"

#define RUN_LAP_SHIFT   17 /* below it: the slot's number plus one, so that an entry of zeros is none */
#define RUN_NUMBER_MASK ((1u << RUN_LAP_SHIFT) - 1)

static inline uint32_t run_ring_size(unsigned int ring)
{
    return ring == 0 ? RING_SMALL : RING_LARGE;
}

static inline uint32_t run_ring_lap(unsigned int ring, uint32_t position)
{
    return position / run_ring_size(ring) << RUN_LAP_SHIFT;
}

static inline uint32_t *run_ring_entry(struct systrap_control *control, unsigned int ring, uint32_t position)
{
    uint32_t *entries = ring == 0 ? control->run_small : control->run_large;

    return &entries[position % run_ring_size(ring)];
}

/* A slot's number plus one; 0: nothing has been put there in this lap. */
static inline uint32_t run_ring_number(uint32_t entry, unsigned int ring, uint32_t position)
{
    return (entry & ~RUN_NUMBER_MASK) == run_ring_lap(ring, position) ? entry & RUN_NUMBER_MASK : 0;
}

/* position: the next one, which nobody else puts into. An exchange: the caller then looks for who is to take it. */
static inline void run_ring_put(struct systrap_control *control, unsigned int ring, uint32_t position, uint32_t slot)
{
    __atomic_exchange_n(run_ring_entry(control, ring, position), run_ring_lap(ring, position) | (slot + 1),
                        __ATOMIC_SEQ_CST);
}

static inline bool run_ring_waits(struct systrap_control *control, unsigned int ring)
{
    const uint32_t head = __atomic_load_n(&control->run[ring].head, __ATOMIC_SEQ_CST);

    return run_ring_number(__atomic_load_n(run_ring_entry(control, ring, head), __ATOMIC_SEQ_CST), ring, head) != 0;
}

/* A slot's number plus one; 0: there was none, or others were faster. */
static inline uint32_t run_ring_take(struct systrap_control *control, unsigned int ring)
{
    uint32_t head = __atomic_load_n(&control->run[ring].head, __ATOMIC_ACQUIRE);

    for (;;) {
        const uint32_t entry = __atomic_load_n(run_ring_entry(control, ring, head), __ATOMIC_ACQUIRE);
        const uint32_t number = run_ring_number(entry, ring, head);

        if (!number || __atomic_compare_exchange_n(&control->run[ring].head, &head, head + 1, false, __ATOMIC_SEQ_CST,
                                                   __ATOMIC_ACQUIRE))
            return number;
    }
}

#endif
