/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef CORE_QUIET_THREAD_H
#define CORE_QUIET_THREAD_H

#include <pthread.h>

/* A thread with a small stack that takes no signal of the embedder's. 0 or -errno. */
int quiet_thread_create(pthread_t *thread, void *(*main)(void *arg), void *arg);

#endif
