/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Threads that come and go, more of them than processors; one detached; the process ends while some still wait. */
#include <pthread.h>
#include <unistd.h>

#include "report.h"

static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;
static long total;

static void *add(void *argument)
{
    __atomic_add_fetch(&total, (long)argument, __ATOMIC_SEQ_CST);
    return NULL;
}

static void *wait_for_ever(void *argument)
{
    pthread_mutex_lock(&never);
    return argument;
}

static void *compute_for_ever(void *argument)
{
    for (volatile unsigned long i = 0;; i++)
        ;
    return argument;
}

int main(void)
{
    pthread_t threads[32], waiter, computer;

    for (int generation = 0; generation < 4; generation++) {
        for (long i = 0; i < 32; i++)
            if (pthread_create(&threads[i], NULL, add, (void *)i) != 0)
                return 2;
        for (int i = 0; i < 32; i++)
            pthread_join(threads[i], NULL);
    }
    REPORT(total == 4 * 496);
    pthread_mutex_lock(&never);
    REPORT(pthread_create(&waiter, NULL, wait_for_ever, NULL) == 0);
    REPORT(pthread_create(&computer, NULL, compute_for_ever, NULL) == 0);
    usleep(1000);
    return report_status();
}
