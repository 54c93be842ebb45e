/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Once in a while nobody calls. Then all threads of the process have to fall asleep, the library's own included. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "model.h"
#include "proc.h"

#define LOOKS_ASLEEP 20 /* in a row: a thread that works without end is in no sleep for that long */
#define LOOK_NS      500000
#define TRY_NS       100000000

static pthread_rwlock_t calls; /* held while a call is made; as a writer while nobody may */
static pthread_mutex_t prods = PTHREAD_MUTEX_INITIALIZER;

void rest_init(void)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    /* Or those who call would keep it from whoever waits for a rest for ever. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&calls, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

void rest_from_calls(bool over)
{
    if (over)
        pthread_rwlock_rdlock(&calls);
    else
        pthread_rwlock_unlock(&calls);
}

void rest_from_prods(bool over)
{
    if (over)
        pthread_mutex_lock(&prods);
    else
        pthread_mutex_unlock(&prods);
}

bool rest_begins(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TRY_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (pthread_rwlock_timedwrlock(&calls, &until))
        return false;
    /* Only now: prods end calls that would last for ever. */
    pthread_mutex_lock(&prods);
    return true;
}

bool rest_is_quiet(void)
{
    for (int looks = 0; looks < LOOKS_ASLEEP; looks++) {
        if (proc_threads_not(getpid(), 'S') != 1)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    return true;
}

void rest_ends(void)
{
    pthread_mutex_unlock(&prods);
    pthread_rwlock_unlock(&calls);
}
