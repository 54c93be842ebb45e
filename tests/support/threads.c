/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "threads.h"

#include "check.h"

pthread_t start_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, run, argument), 0);
    return thread;
}

void join_thread(pthread_t thread)
{
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

void run_in_thread(void *(*run)(void *), void *argument)
{
    join_thread(start_thread(run, argument));
}
