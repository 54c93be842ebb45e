/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Subprocesses come and go ten thousand times, and nothing of them stays. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "footprint.h"
#include "soak.h"
#include "stress.h"

#define ROUNDS      10000
#define WARM_UP     100
#define ALIVE       32 /* at the same time */
#define USED_ONE_IN 16

struct churn {
    tg_platform *platform;
    tg_subprocess *alive[ALIVE];
    struct soaker soaker;
};

/* Destroying reaps: the process id is free again, no zombie holds it. */
static void destroy_for_real(tg_subprocess *subprocess)
{
    const int32_t pid = tg_subprocess_pid(subprocess);
    CHECK(pid > 0);
    CHECK_EQ(kill(pid, 0), 0);
    tg_subprocess_destroy(subprocess);
    CHECK(kill(pid, 0) == -1 && errno == ESRCH);
}

static tg_subprocess *create_and_use(struct churn *churn)
{
    tg_subprocess *subprocess = create_loaded_subprocess(churn->platform, soak_code());
    tg_subprocess *copy = NULL;
    soaker_turn(&churn->soaker, subprocess);
    CHECK_OK(tg_subprocess_fork(subprocess, &copy));
    soaker_turn(&churn->soaker, copy);
    destroy_for_real(copy);
    return subprocess;
}

static void churn_rounds(struct churn *churn, size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        tg_subprocess **place = &churn->alive[i % ALIVE];
        if (*place)
            destroy_for_real(*place);
        *place = i % USED_ONE_IN == 0 ? create_and_use(churn) : create_subprocess(churn->platform);
    }
    for (size_t i = 0; i < ALIVE; i++) {
        if (churn->alive[i])
            destroy_for_real(churn->alive[i]);
        churn->alive[i] = NULL;
    }
}

static void churn_open(struct churn *churn, uint32_t backend)
{
    memset(churn, 0, sizeof(*churn));
    churn->platform = open_platform(backend, 0);
    soaker_open(&churn->soaker, churn->platform, 1);
}

static void churn_close(struct churn *churn)
{
    soaker_close(&churn->soaker);
    tg_platform_close(churn->platform);
}

void stress_create_destroy(uint32_t backend)
{
    struct churn churn;
    churn_open(&churn, backend);
    churn_close(&churn);
    const struct footprint closed = footprint_take();

    churn_open(&churn, backend);
    churn_rounds(&churn, WARM_UP);
    const struct footprint open = footprint_take();
    churn_rounds(&churn, scaled(ROUNDS));
    footprint_check(&open);
    const tg_stats stats = platform_stats(churn.platform);
    CHECK_EQ(stats.subprocesses, 0);
    CHECK_EQ(stats.deaths, 0);
    churn_close(&churn);
    footprint_check(&closed);
    printf("%zu subprocesses created and destroyed\n", scaled(ROUNDS));
}
