/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a guest's clock follows one of the host's: arithmetic on samples, and the taking of a sample. */
#ifndef CORE_HOST_CLOCK_H
#define CORE_HOST_CLOCK_H

#include <trapgate/trapgate.h>

struct host_sample {
    uint64_t counter;
    uint64_t ns;
};

/* The state after the sample, and what guests are to be told. Not sooner than a millisecond after the last one. */
void host_clock_follow(struct tg_host_clock *host, const struct host_sample *now, struct tg_clock *out);

/* Looks at the clock and at the counter. 0 or -EINVAL: the host has no such clock. */
int host_clock_sample(const struct tg_platform *platform, uint32_t clock, struct host_sample *out);

/* What tg_platform_follow_clock() does. */
int host_clock_step(const struct tg_platform *platform, struct tg_host_clock *host, struct tg_clock *out);

#endif
