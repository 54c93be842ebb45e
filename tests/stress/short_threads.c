/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Threads that start, switch and end: what each used in the stubs serves the next. */
#include <stdio.h>

#include "footprint.h"
#include "proc.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define THREADS          10000
#define AT_A_TIME        4
#define SUBPROCESSES     4
#define TURNS            3
/* One per running thread, as many again for threads that are just going, and the subprocess's own. */
#define STUB_THREADS_MAX (SUBPROCESSES * (2 * AT_A_TIME + 1))

struct passage {
    struct soaker soakers[AT_A_TIME];
    tg_subprocess *subprocesses[SUBPROCESSES];
};

struct passer {
    struct passage *passage;
    size_t number;
};

static void *pass(void *argument)
{
    const struct passer *passer = argument;
    for (size_t i = 0; i < TURNS; i++)
        soaker_turn(&passer->passage->soakers[passer->number % AT_A_TIME],
                    passer->passage->subprocesses[(passer->number + i) % SUBPROCESSES]);
    return NULL;
}

static void run_group(struct passage *passage, size_t first)
{
    struct passer passers[AT_A_TIME];
    pthread_t threads[AT_A_TIME];
    for (size_t i = 0; i < AT_A_TIME; i++) {
        passers[i] = (struct passer){passage, first + i};
        threads[i] = start_thread(pass, &passers[i]);
    }
    for (size_t i = 0; i < AT_A_TIME; i++)
        join_thread(threads[i]);
}

static size_t count_stub_threads(const struct passage *passage)
{
    size_t count = 0;
    for (size_t i = 0; i < SUBPROCESSES; i++)
        count += proc_thread_count(tg_subprocess_pid(passage->subprocesses[i]));
    return count;
}

static size_t run_groups(struct passage *passage, size_t threads)
{
    size_t most = 0;
    for (size_t first = 0; first < threads; first += AT_A_TIME) {
        run_group(passage, first);
        const size_t now = count_stub_threads(passage);
        CHECK(now <= STUB_THREADS_MAX);
        most = now > most ? now : most;
    }
    return most;
}

void stress_short_threads(uint32_t backend)
{
    struct passage passage;
    tg_platform *platform = open_platform(backend, 0);
    for (size_t i = 0; i < SUBPROCESSES; i++)
        passage.subprocesses[i] = create_loaded_subprocess(platform, soak_code());
    for (size_t i = 0; i < AT_A_TIME; i++)
        soaker_open(&passage.soakers[i], platform, i << 32);
    run_groups(&passage, 10 * AT_A_TIME);
    const struct footprint before = footprint_take();
    const size_t most = run_groups(&passage, scaled(THREADS));
    footprint_check(&before);
    CHECK(platform_stats(platform).stub_threads <= STUB_THREADS_MAX);
    tg_platform_close(platform);
    printf("%zu threads, never more than %zu stub threads\n", scaled(THREADS), most);
}
