/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* getppid_threads THREADS MS - prints how many getppid calls a second THREADS threads make together. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "load.h"
#include "raw_getppid.h"

#define THREADS_MAX 256

struct caller {
    pthread_t thread;
    uint64_t calls;
};

enum phase {
    PHASE_STARTING, /* threads are still being made: calls do not count */
    PHASE_TIMED,
    PHASE_OVER,
};

static _Atomic int phase = PHASE_STARTING;

static void *call_until_stop(void *argument)
{
    struct caller *caller = argument;
    uint64_t calls = 0;
    int now;

    while ((now = atomic_load_explicit(&phase, memory_order_relaxed)) != PHASE_OVER) {
        raw_getppid();
        calls += now == PHASE_TIMED;
    }
    caller->calls = calls;
    return NULL;
}

/* The first thread calls too and has the clock, so that the load needs no call that sleeps. */
static uint64_t call_for(double seconds, double *elapsed)
{
    double start = load_seconds_now();
    uint64_t calls = 0;

    atomic_store(&phase, PHASE_TIMED);
    do {
        for (unsigned i = 0; i < CALLS_PER_LOOK; i++)
            raw_getppid();
        calls += CALLS_PER_LOOK;
        *elapsed = load_seconds_now() - start;
    } while (*elapsed < seconds);
    atomic_store(&phase, PHASE_OVER);
    return calls;
}

int main(int argc, char **argv)
{
    static struct caller callers[THREADS_MAX];
    const char *usage = "getppid_threads THREADS MS";
    unsigned long count = load_argument(argc, argv, 1, usage);
    double seconds = (double)load_argument(argc, argv, 2, usage) / 1000;
    double elapsed;
    uint64_t calls;

    if (count > THREADS_MAX) {
        fprintf(stderr, "at most %d threads\n", THREADS_MAX);
        return 2;
    }
    for (unsigned long i = 1; i < count; i++) {
        int error = pthread_create(&callers[i].thread, NULL, call_until_stop, &callers[i]);

        if (error != 0) {
            fprintf(stderr, "pthread_create: %s\n", strerror(error));
            return 1;
        }
    }
    calls = call_for(seconds, &elapsed);
    for (unsigned long i = 1; i < count; i++) {
        pthread_join(callers[i].thread, NULL);
        calls += callers[i].calls;
    }
    printf("%.0f\n", (double)calls / elapsed);
    return 0;
}
