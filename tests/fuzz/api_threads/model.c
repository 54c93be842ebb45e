/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct platform platforms[PLATFORMS];
struct thread threads[THREADS + 1];
atomic_bool stopping;

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void handle_init(struct handle *handle)
{
    pthread_mutex_init(&handle->lock, NULL);
}

static void platform_init(struct platform *platform, uint32_t backend)
{
    platform->backend = backend;
    handle_init(&platform->handle);
    for (int i = 0; i < SUBPROCESSES; i++)
        handle_init(&platform->subprocesses[i].handle);
    for (uint64_t i = 0; i < CONTEXTS; i++) {
        handle_init(&platform->contexts[i].handle);
        platform->contexts[i].number = (uint64_t)(platform - platforms) * CONTEXTS + i;
    }
    for (int i = 0; i < QUEUES; i++)
        handle_init(&platform->queues[i].handle);
}

void model_init(void)
{
    for (int i = 0; i < PLATFORMS; i++)
        platform_init(&platforms[i], i % 2 ? TG_BACKEND_PTRACE : TG_BACKEND_SYSTRAP);
}

/* ---- handles ---- */

static bool fits(const struct handle *handle, enum mode mode)
{
    if (!handle->object || handle->ended)
        return false;
    if (mode == PROD)
        return true;
    if (handle->ending || handle->in[ALONE])
        return false;
    switch (mode) {
    case READ:
        return !handle->in[TAKE];
    case TAKE:
        return !handle->in[READ];
    default:
        return !handle->in[READ] && !handle->in[TAKE];
    }
}

bool handle_use(struct handle *handle, enum mode mode)
{
    bool fit;

    pthread_mutex_lock(&handle->lock);
    fit = fits(handle, mode);
    handle->in[mode] += fit;
    pthread_mutex_unlock(&handle->lock);
    return fit;
}

void handle_leave(struct handle *handle, enum mode mode)
{
    pthread_mutex_lock(&handle->lock);
    handle->in[mode]--;
    pthread_mutex_unlock(&handle->lock);
}

bool handle_reserve(struct handle *handle)
{
    bool free;

    pthread_mutex_lock(&handle->lock);
    free = !handle->object && !handle->ending;
    handle->ending |= free;
    handle->ended |= free;
    pthread_mutex_unlock(&handle->lock);
    return free;
}

void handle_made(struct handle *handle, void *object)
{
    pthread_mutex_lock(&handle->lock);
    handle->object = object;
    handle->ending = false;
    handle->ended = false;
    pthread_mutex_unlock(&handle->lock);
}

/* lock is held. Threads whose switch has begun for sure, for their guests have run. */
static unsigned int known_inside(const struct handle *handle)
{
    unsigned int n = 0;

    for (int i = 0; i < THREADS; i++)
        n += threads[i].spins_in == handle && guests_word(threads[i].word) != threads[i].word_before;
    return n;
}

static bool try_end(struct handle *handle)
{
    bool ended;

    pthread_mutex_lock(&handle->lock);
    ended = !handle->in[PROD] && !handle->in[READ] && !handle->in[ALONE] && handle->in[TAKE] == known_inside(handle);
    handle->ended = ended;
    pthread_mutex_unlock(&handle->lock);
    return ended;
}

bool handle_end(struct handle *handle)
{
    bool mine;

    pthread_mutex_lock(&handle->lock);
    mine = handle->object && !handle->ending;
    handle->ending |= mine;
    pthread_mutex_unlock(&handle->lock);
    while (mine && !try_end(handle))
        pause_shortly();
    return mine;
}

void handle_gone(struct handle *handle)
{
    bool gone;

    do {
        pthread_mutex_lock(&handle->lock);
        gone = !handle->in[TAKE];
        if (gone) {
            handle->object = NULL;
            handle->ending = false;
            handle->ended = false;
        }
        pthread_mutex_unlock(&handle->lock);
        if (!gone)
            pause_shortly();
    } while (!gone);
}

void spinner_enters(struct thread *thread, struct handle *subprocess, uint64_t word)
{
    pthread_mutex_lock(&subprocess->lock);
    thread->word = word;
    thread->word_before = guests_word(word);
    thread->spins_in = subprocess;
    pthread_mutex_unlock(&subprocess->lock);
}

/* The call is over, so it counts as one of those that are. */
void spinner_leaves(struct thread *thread, struct handle *subprocess)
{
    pthread_mutex_lock(&subprocess->lock);
    thread->spins_in = NULL;
    subprocess->in[TAKE]--;
    pthread_mutex_unlock(&subprocess->lock);
}

bool is_submitted(const struct platform *platform, const struct context *context)
{
    for (int i = 0; i < QUEUES; i++) {
        if (atomic_load(&platform->queues[i].inside[context - platform->contexts]))
            return true;
    }
    return false;
}

/* ---- threads ---- */

uint64_t random_below(struct thread *thread, uint64_t limit)
{
    thread->random ^= thread->random << 13;
    thread->random ^= thread->random >> 7;
    thread->random ^= thread->random << 17;
    return thread->random % limit;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void call_begins(struct thread *thread, const char *text)
{
    thread->calls++;
    atomic_store(&thread->since, now_ns());
    atomic_store(&thread->doing, text);
}

void call_ends(struct thread *thread)
{
    atomic_store(&thread->doing, NULL);
}

void wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "api_threads: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

void check_allowed(const struct platform *platform, const char *text, int result, const int *allowed)
{
    if (result == 0)
        return;
    for (; *allowed; allowed++) {
        if (result == *allowed)
            return;
    }
    wrong("%s: %d (%s): %s", text, result, tg_strerror(result),
          platform && platform->handle.object ? tg_platform_last_error(platform->handle.object) : "");
}
