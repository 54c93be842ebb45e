/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* usage: turns THREADS: they take turns by a mutex and a condition variable. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST   256
#define ROUNDS 30

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long turn, threads;

static void *take_turns(void *argument)
{
    long me = (long)argument;

    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        while (turn % threads != me)
            pthread_cond_wait(&changed, &lock);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t all[MOST];

    threads = argc == 2 ? atol(argv[1]) : 0;
    if (threads < 1 || threads > MOST)
        return 2;
    for (long i = 0; i < threads; i++)
        pthread_create(&all[i], NULL, take_turns, (void *)i);
    for (long i = 0; i < threads; i++)
        pthread_join(all[i], NULL);
    printf("%ld turns\n", turn);
    return 0;
}
