/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Threads of a test, with every result checked. */
#ifndef TESTS_SUPPORT_THREADS_H
#define TESTS_SUPPORT_THREADS_H

#include <pthread.h>

pthread_t start_thread(void *(*run)(void *), void *argument);
void join_thread(pthread_t thread);
/* Runs one function in a thread of its own and waits for its end. */
void run_in_thread(void *(*run)(void *), void *argument);

#endif
