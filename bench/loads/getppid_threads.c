/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * getppid_threads THREADS CALLS - prints how many getppid calls a second THREADS threads make that share CALLS calls.
 * Their making and joining is in the time; the slowest thread ends it.
 */
#include <pthread.h>
#include <string.h>

#include "load.h"
#include "raw_getppid.h"

#define THREADS_MAX   1024
#define WARM_UP_CALLS 2000

static void call(unsigned long count)
{
    while (count-- > 0)
        raw_getppid();
}

static void *call_share(void *share)
{
    call(*(const unsigned long *)share);
    return NULL;
}

static void start(pthread_t *thread, unsigned long *share)
{
    int error = pthread_create(thread, NULL, call_share, share);

    if (error != 0) {
        fprintf(stderr, "pthread_create: %s\n", strerror(error));
        exit(1);
    }
}

static double seconds_of(unsigned long threads, unsigned long share)
{
    static pthread_t callers[THREADS_MAX];
    double begin = load_seconds_now();

    for (unsigned long i = 0; i < threads; i++)
        start(&callers[i], &share);
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(callers[i], NULL);
    return load_seconds_now() - begin;
}

int main(int argc, char **argv)
{
    const char *usage = "getppid_threads THREADS CALLS";
    unsigned long threads = load_argument(argc, argv, 1, usage);
    unsigned long share = load_argument(argc, argv, 2, usage) / threads;

    if (threads > THREADS_MAX || share == 0) {
        fprintf(stderr, "at most %d threads, and a call for each\n", THREADS_MAX);
        return 2;
    }
    call(WARM_UP_CALLS);
    printf("%.0f\n", (double)(share * threads) / seconds_of(threads, share));
    return 0;
}
