/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patched_guest.h"

#include <string.h>

#include "guest_programs.h"
#include "timing.h"

#define CALLS_BEFORE_PATCHED 4096
#define BLOCKS               64 /* of switches alone and of steps, in turns */

static void step_switch(void *state)
{
    const struct patched_guest *patched = state;

    guest_serve(&patched->guest, patched->context);
}

static void open_patched(struct patched_guest *patched, const struct sample *sample)
{
    tg_info info = {.size = sizeof(info)};
    unsigned calls = 0;

    patched->length = (size_t)sample->argument;
    memset(patched->bytes, 1, sizeof(patched->bytes));
    guest_open(&patched->guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_require(patched->guest.platform, tg_platform_info(patched->guest.platform, &info), "tg_platform_info");
    if (!(info.capabilities & TG_CAP_PATCHING))
        sample_skip("the backend does not patch system calls here");
    guest_require(patched->guest.platform,
                  tg_subprocess_map(patched->guest.subprocess, GUEST_DATA_ADDRESS, PATCHED_GUEST_BYTES,
                                    TG_PROT_READ | TG_PROT_WRITE, TG_MAP_POPULATE, -1, 0),
                  "tg_subprocess_map");
    patched->context = guest_context(patched->guest.platform, GUEST_DATA_ADDRESS, TG_CONTEXT_ONE_THREAD);
    while (!(guest_serve(&patched->guest, patched->context) & TG_FLAG_PATCHED))
        if (++calls == CALLS_BEFORE_PATCHED)
            sample_fail("the guest's system call is not patched after %u calls", calls);
}

static double time_block(const struct sample *block, struct patched_guest *patched, void (*step)(void *state),
                         void (*prepare)(struct patched_guest *patched, bool steps))
{
    if (prepare != NULL)
        prepare(patched, step != step_switch);
    return nanoseconds_per_step(block, step, patched);
}

/* It is what the two kinds of blocks differ by, so that whatever changes with time is in both. */
double added_to_switch(const struct sample *sample, void (*step)(void *patched_guest),
                       void (*prepare)(struct patched_guest *patched, bool steps))
{
    struct sample block = *sample;
    struct patched_guest patched;
    double difference = 0;

    open_patched(&patched, sample);
    block.seconds = sample->seconds / (2 * BLOCKS);
    for (int i = 0; i < BLOCKS; i++) {
        difference -= time_block(&block, &patched, step_switch, prepare);
        difference += time_block(&block, &patched, step, prepare);
    }
    guest_close(&patched.guest);
    return difference / BLOCKS;
}
