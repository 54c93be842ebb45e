/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Four threads that share memory, locks, conditions, and their own storage. */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "report.h"

#define THREADS 4
#define ROUNDS  2000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static long counter;
static int turn;
static int order[THREADS * 3];
static int order_length;
static __thread int own;

static void take_turns(int id)
{
    for (int round = 0; round < 3; round++) {
        pthread_mutex_lock(&lock);
        while (turn != id)
            pthread_cond_wait(&turn_changed, &lock);
        order[order_length++] = id;
        turn = (turn + 1) % THREADS;
        pthread_cond_broadcast(&turn_changed);
        pthread_mutex_unlock(&lock);
    }
}

static void *work(void *argument)
{
    int id = (int)(long)argument;

    own = id;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
        if (i % 100 == 0)
            getppid();
    }
    pthread_barrier_wait(&barrier);
    take_turns(id);
    sem_post(&semaphore);
    return (void *)(long)(own * 10);
}

int main(void)
{
    pthread_t threads[THREADS];
    long sum = 0;
    int in_order = 1;

    pthread_barrier_init(&barrier, NULL, THREADS);
    sem_init(&semaphore, 0, 0);
    for (long i = 0; i < THREADS; i++)
        REPORT(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        sem_wait(&semaphore);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        REPORT(pthread_join(threads[i], &result) == 0);
        sum += (long)result;
    }
    for (int i = 0; i < order_length; i++)
        in_order = in_order && order[i] == i % THREADS;
    REPORT(counter == THREADS * ROUNDS);
    REPORT(order_length == THREADS * 3);
    REPORT(in_order);
    REPORT(sum == 60);
    return report_status();
}
