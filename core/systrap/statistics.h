/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How long handoffs take, and what workers say of themselves. */
#ifndef CORE_SYSTRAP_STATISTICS_H
#define CORE_SYSTRAP_STATISTICS_H

#include "core/systrap/systrap_types.h"

/* With TG_OPEN_LATENCY: before and after the rest of opening, which is long enough to see how long a tick takes. */
struct clock_pair {
    int64_t ns;
    uint64_t ticks;
};

struct clock_pair statistics_read_clocks(void);
void statistics_learn_ticks(struct systrap_platform *sp, const struct clock_pair *before);

void statistics_note_given(struct systrap_context *context);
void statistics_count_handoffs(struct systrap_context *context);

/* The context is about to be given to the stub. */
static inline void statistics_given(struct systrap_context *context)
{
    if (__builtin_expect(context->base.platform->measures_latency, 0))
        statistics_note_given(context);
}

/* The context has come back, with something in its slot. */
static inline void statistics_back(struct systrap_context *context)
{
    if (__builtin_expect(context->base.platform->measures_latency, 0))
        statistics_count_handoffs(context);
}

void systrap_add_stub_numbers(const struct tg_platform *platform, uint64_t numbers[COUNTERS]);
/* The subprocess is about to be freed: adds its numbers to the platform's. */
void statistics_keep(struct systrap_subprocess *subprocess);

#endif
