/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Each subprocess is a copy of the one before, which then goes away: memory and registers come down the line. */
#include <stdio.h>

#include "footprint.h"
#include "soak.h"
#include "stress.h"

#define GENERATIONS 1000
#define PAGES       16

static void write_generation(tg_subprocess *subprocess, uint64_t generation, uint64_t page)
{
    guest_store(subprocess, GUEST_DATA_AT + generation % PAGES * page, generation);
}

/* The last pages hold what the last generations wrote. */
static void check_line(tg_subprocess *subprocess, uint64_t generation, uint64_t page)
{
    for (uint64_t back = 0; back < PAGES && back <= generation; back++)
        CHECK_EQ(guest_load(subprocess, GUEST_DATA_AT + (generation - back) % PAGES * page), generation - back);
}

static tg_subprocess *next_generation(tg_subprocess *parent, uint64_t generation, uint64_t page)
{
    tg_subprocess *child = NULL;
    CHECK_OK(tg_subprocess_fork(parent, &child));
    write_generation(child, generation + 1, page);
    /* The parent does not see it. */
    check_line(parent, generation, page);
    tg_subprocess_destroy(parent);
    return child;
}

void stress_fork_chain(uint32_t backend)
{
    const uint64_t generations = scaled(GENERATIONS);
    struct soaker soaker;
    tg_platform *platform = open_platform(backend, 0);
    const uint64_t page = platform_info(platform).page_size;
    tg_subprocess *subprocess = create_loaded_subprocess(platform, soak_code());
    soaker_open(&soaker, platform, 1);
    soaker_turn(&soaker, subprocess);
    write_generation(subprocess, 0, page);
    const struct footprint before = footprint_take();
    for (uint64_t generation = 0; generation < generations; generation++) {
        subprocess = next_generation(subprocess, generation, page);
        soaker_turn(&soaker, subprocess);
        check_line(subprocess, generation + 1, page);
    }
    footprint_check(&before);
    CHECK_EQ(platform_stats(platform).subprocesses, 1);
    soaker_close(&soaker);
    tg_platform_close(platform);
    printf("%llu generations\n", (unsigned long long)generations);
}
