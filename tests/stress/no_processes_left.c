/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The user may have no more processes and threads (RLIMIT_NPROC). */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exhaustion.h"
#include "footprint.h"
#include "proc.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define SPARE       60 /* processes and threads that we may still make */
#define WAITING     4  /* threads that switch when nothing is left */
#define UNUSED_USER 64123
#define CAPACITY    (2 * SPARE)

/* The limit does not hold for root, so root becomes somebody else. */
static void leave_root(void)
{
    if (geteuid() != 0)
        return;
    CHECK_SYSTEM(setgroups(0, NULL));
    CHECK_SYSTEM(setresgid(UNUSED_USER, UNUSED_USER, UNUSED_USER));
    CHECK_SYSTEM(setresuid(UNUSED_USER, UNUSED_USER, UNUSED_USER));
    /* Changing the user closed our own /proc to us. */
    CHECK_SYSTEM(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static size_t count_threads_of_user(void)
{
    size_t count = 0;
    const struct dirent *entry;
    DIR *directory = opendir("/proc");
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        char path[300];
        struct stat status;
        snprintf(path, sizeof(path), "/proc/%s/task", entry->d_name);
        if (isdigit((unsigned char)entry->d_name[0]) && stat(path, &status) == 0 && status.st_uid == getuid())
            count += status.st_nlink - 2;
    }
    closedir(directory);
    return count;
}

struct crowding {
    tg_platform *platform;
    tg_subprocess *subprocesses[CAPACITY];
    size_t count;
};

/* Until the host refuses; the first error must be the documented one. */
static void fill(struct crowding *crowding)
{
    const uint64_t others = platform_stats(crowding->platform).subprocesses - crowding->count;
    int result = 0;
    while (crowding->count < CAPACITY) {
        tg_subprocess **place = &crowding->subprocesses[crowding->count];
        result = tg_subprocess_create(crowding->platform, place);
        if (result != 0)
            break;
        crowding->count++;
    }
    CHECK_RESULT(result, -EAGAIN);
    CHECK(crowding->subprocesses[crowding->count] == NULL);
    CHECK(tg_platform_last_error(crowding->platform)[0] != '\0');
    CHECK_EQ(platform_stats(crowding->platform).subprocesses, others + crowding->count);
}

static void drop(struct crowding *crowding, size_t count)
{
    while (count-- > 0)
        tg_subprocess_destroy(crowding->subprocesses[--crowding->count]);
}

struct late_switch {
    struct crowding *crowding;
    pthread_barrier_t *ready;
    pthread_barrier_t *retry;
    pthread_t thread;
    struct soaker soaker;
    tg_subprocess *subprocess;
};

/* A thread that needs a stub thread of its own: refused while there is none to have, and served later. */
static void *switch_late(void *argument)
{
    struct late_switch *late = argument;
    tg_event event = new_event();
    pthread_barrier_wait(late->ready);
    const tg_regs before = *tg_context_regs(late->soaker.context);
    int result = tg_context_switch(late->soaker.context, late->subprocess, &event);
    CHECK_DENIED(late->crowding->platform, result);
    if (result == 0)
        soaker_answer(&late->soaker, &event);
    else
        CHECK_BYTES(tg_context_regs(late->soaker.context), &before, sizeof(before));
    pthread_barrier_wait(late->retry);
    soaker_turn(&late->soaker, late->subprocess);
    return NULL;
}

static void switch_with_nothing_left(struct crowding *crowding)
{
    struct late_switch late[WAITING];
    pthread_barrier_t ready;
    pthread_barrier_t retry;
    tg_subprocess *subprocess = create_loaded_subprocess(crowding->platform, soak_code());
    CHECK_EQ(pthread_barrier_init(&ready, NULL, WAITING + 1), 0);
    CHECK_EQ(pthread_barrier_init(&retry, NULL, WAITING + 1), 0);
    for (size_t i = 0; i < WAITING; i++) {
        late[i] =
            (struct late_switch){.crowding = crowding, .ready = &ready, .retry = &retry, .subprocess = subprocess};
        soaker_open(&late[i].soaker, crowding->platform, i << 32);
        late[i].thread = start_thread(switch_late, &late[i]);
    }
    fill(crowding);
    pthread_barrier_wait(&ready);
    drop(crowding, 2 * WAITING);
    pthread_barrier_wait(&retry);
    for (size_t i = 0; i < WAITING; i++) {
        join_thread(late[i].thread);
        soaker_close(&late[i].soaker);
    }
    tg_subprocess_destroy(subprocess);
    CHECK_EQ(pthread_barrier_destroy(&ready), 0);
    CHECK_EQ(pthread_barrier_destroy(&retry), 0);
}

void stress_no_processes_left(uint32_t backend)
{
    struct crowding crowding = {0};
    leave_root();
    /* Stubs are made by stubs, which have the limit that was there when the platform was opened. */
    limit_softly(RLIMIT_NPROC, count_threads_of_user() + SPARE);
    crowding.platform = open_platform(backend, 0);
    check_all_works(crowding.platform);
    /* The C library keeps the stacks of threads that have ended. */
    switch_with_nothing_left(&crowding);
    drop(&crowding, crowding.count);
    const struct footprint before = footprint_take();

    fill(&crowding);
    drop(&crowding, crowding.count / 2);
    fill(&crowding);
    drop(&crowding, crowding.count);
    switch_with_nothing_left(&crowding);
    drop(&crowding, crowding.count);
    check_all_works(crowding.platform);

    footprint_check(&before);
    tg_platform_close(crowding.platform);
}
