/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <signal.h>

#include "core/quiet_thread.h"

#define STACK_SIZE ((size_t)256 * 1024)

int quiet_thread_create(pthread_t *thread, void *(*main)(void *arg), void *arg)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    int err = pthread_attr_init(&attr);

    if (err)
        return -err;
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(thread, &attr, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -err;
}
