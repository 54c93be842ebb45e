/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the library has stub threads run, and that guests run wherever the embedder may. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"

#define CALLS 100

static cpu_set_t allowed(pid_t thread)
{
    cpu_set_t cpus;

    CHECK_SYSTEM(sched_getaffinity(thread, sizeof(cpus), &cpus));
    return cpus;
}

static void need_two_processors(void)
{
    const cpu_set_t here = allowed(0);

    if (CPU_COUNT(&here) < 2)
        SKIP("with one processor nothing is placed");
}

static void make_calls(struct guest *guest)
{
    for (uint64_t i = 1; i <= CALLS; i++) {
        GUEST_RUN_TO_CALL(guest);
        CHECK_EQ(guest->event.u.syscall.args[0], i);
    }
}

/* A stub thread of the calling thread's is placed, and with the flag none is. */
static void placed_unless_told_not_to(uint32_t backend)
{
    static const uint64_t flags[] = {0, TG_OPEN_NO_PLACEMENT};

    need_two_processors();
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        struct guest guest;
        uint64_t placements;

        guest_open_flags(&guest, backend, flags[i], GUEST_CODE(counting_calls));
        make_calls(&guest);
        placements = platform_stats(guest.platform).placements;
        CHECK(flags[i] ? placements == 0 : placements > 0);
        guest_close(&guest);
    }
}

/* systrap: what makes calls for the library is placed; what runs guests is not, though it comes from that. */
static void workers_run_anywhere(uint32_t backend)
{
    const cpu_set_t here = allowed(0);
    size_t workers = 0;
    struct guest guest;
    char path[64];
    const struct dirent *entry;
    DIR *threads;
    pid_t stub;

    if (backend != TG_BACKEND_SYSTRAP)
        SKIP("stub threads of ptrace are placed until a guest computes");
    need_two_processors();
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    make_calls(&guest);
    stub = tg_subprocess_pid(guest.subprocess);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)stub);
    threads = opendir(path);
    CHECK(threads != NULL);
    while ((entry = readdir(threads)) != NULL) {
        const pid_t thread = atoi(entry->d_name);
        const cpu_set_t cpus = thread > 0 && thread != stub ? allowed(thread) : here;

        workers += thread > 0 && thread != stub;
        CHECK(CPU_EQUAL(&cpus, &here));
    }
    closedir(threads);
    CHECK(workers > 0);
    guest_close(&guest);
}

const struct test_case placement_cases[] = {
    {"placement.told", "Stub threads are placed on processors, and with TG_OPEN_NO_PLACEMENT none is",
     placed_unless_told_not_to},
    {"placement.workers", "Threads that run guests may run wherever the opener of the platform may",
     workers_run_anywhere},
    {0},
};
