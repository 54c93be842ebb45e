/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Threads that make random calls of all public functions, on both backends at
 * once, while stubs are killed and stopped. What may not happen at the same
 * time does not (model.h); all the rest does. Every result is one that the
 * header names, no call lasts for ever, no thread works while nobody calls, and
 * nothing stays behind.
 *
 * usage: api_threads [SECONDS [SEED [HANG_SECONDS]]]
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "model.h"
#include "proc.h"
#include "scale.h"

#define NS_PER_SECOND   1000000000ll
#define CALLS_IN_A_LIFE 3000 /* of a thread; then another one takes its place */
#define REST_EVERY      (5 * NS_PER_SECOND)

static int64_t hang_seconds = 60; /* a stub that does not answer is given up much sooner; the machine may be busy */

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* ---- random calls ---- */

static const struct random_call *choose(struct thread *thread, const struct random_call *calls)
{
    uint64_t all = 0;
    uint64_t at;

    for (const struct random_call *call = calls; call->weight; call++)
        all += call->weight;
    at = random_below(thread, all);
    for (; at >= calls->weight; calls++)
        at -= calls->weight;
    return calls;
}

void make_random_call(struct thread *thread)
{
    static const struct random_call *const kinds[] = {subprocess_calls, context_calls, context_calls, context_calls,
                                                      queue_calls,      queue_calls,   platform_calls};
    uint64_t kind = random_below(thread, 300);
    struct platform *platform = &platforms[random_below(thread, PLATFORMS)];

    if (!handle_use(&platform->handle, TAKE))
        return;
    /* Platforms are looked at once in a while, the others take turns. */
    choose(thread, kind == 0 ? platform_calls : kinds[kind % 6])->make(thread, platform);
    handle_leave(&platform->handle, TAKE);
}

static void *life(void *arg)
{
    struct thread *thread = arg;

    for (int i = 0; i < CALLS_IN_A_LIFE && !atomic_load(&stopping); i++) {
        rest_from_calls(true);
        make_random_call(thread);
        rest_from_calls(false);
    }
    return NULL;
}

/* Threads come and go: what is bound to one goes over to others. */
static void *generations(void *arg)
{
    struct thread *thread = arg;

    while (!atomic_load(&stopping)) {
        if (pthread_create(&thread->id, NULL, life, thread))
            wrong("pthread_create: %m");
        pthread_join(thread->id, NULL);
    }
    return NULL;
}

/* ---- the watchdog ---- */

static void tell_stub(const struct platform *platform, const struct subprocess *subprocess)
{
    pid_t pid = subprocess->handle.object ? tg_subprocess_pid(subprocess->handle.object) : 0;

    if (pid)
        fprintf(stderr, "  platform %d (%s): stub %d is %c, %zu threads%s\n", (int)(platform - platforms),
                platform->backend == TG_BACKEND_PTRACE ? "ptrace" : "systrap", pid, proc_state(pid),
                proc_thread_count(pid), atomic_load(&subprocess->stopped) ? ", stopped by us" : "");
}

static void tell_all(int64_t now)
{
    for (int i = 0; i <= THREADS; i++) {
        const char *doing = atomic_load(&threads[i].doing);

        fprintf(stderr, "  thread %d%s: %s, for %" PRId64 " ms\n", i, i == THREADS ? " (prods)" : "",
                doing ? doing : "between calls", (now - atomic_load(&threads[i].since)) / 1000000);
    }
    for (int i = 0; i < PLATFORMS; i++) {
        for (int k = 0; k < SUBPROCESSES; k++)
            tell_stub(&platforms[i], &platforms[i].subprocesses[k]);
    }
}

/* abort() leaves a core for whoever wants to see where the threads are; or the process waits for a debugger. */
_Noreturn static void give_up(int64_t now)
{
    tell_all(now);
    while (getenv("API_THREADS_STAY"))
        pause();
    abort();
}

static void look_for_hangs(int64_t now)
{
    for (int i = 0; i <= THREADS; i++) {
        if (!atomic_load(&threads[i].doing) || now - atomic_load(&threads[i].since) < hang_seconds * NS_PER_SECOND)
            continue;
        fprintf(stderr, "api_threads: thread %d hangs\n", i);
        give_up(now);
    }
}

static void look_for_work(int64_t now)
{
    static int64_t rest_at;

    if (now < rest_at || atomic_load(&stopping) || !rest_begins())
        return;
    while (!rest_is_quiet()) {
        if (now_ns() - now < hang_seconds * NS_PER_SECOND)
            continue;
        fprintf(stderr, "api_threads: a thread works without end, though nobody calls\n");
        give_up(now_ns());
    }
    rest_ends();
    rest_at = now_ns() + REST_EVERY;
}

static void watch_until(int64_t end)
{
    int64_t now;

    while ((now = now_ns()) < end) {
        look_for_hangs(now);
        look_for_work(now);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

/* ---- the whole ---- */

static pthread_t start(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, arg))
        wrong("pthread_create: %m");
    return thread;
}

static void *finish(void *arg)
{
    pthread_t *generation_threads = arg;

    for (int i = 0; i < THREADS; i++)
        pthread_join(generation_threads[i], NULL);
    for (int i = 0; i < PLATFORMS; i++)
        close_platform_of(&threads[0], &platforms[i]);
    return NULL;
}

static void run_for(int64_t seconds)
{
    pthread_t generation_threads[THREADS];
    atomic_bool over = false;
    pthread_t prodder;
    pthread_t end;

    for (int i = 0; i < PLATFORMS; i++)
        open_platform_in(&threads[0], &platforms[i]);
    prodder = start(prod_main, &over);
    for (int i = 0; i < THREADS; i++)
        generation_threads[i] = start(generations, &threads[i]);
    watch_until(now_ns() + seconds * NS_PER_SECOND);
    atomic_store(&stopping, true);
    end = start(finish, generation_threads);
    while (pthread_tryjoin_np(end, NULL) == EBUSY)
        watch_until(now_ns() + NS_PER_SECOND / 10);
    atomic_store(&over, true);
    pthread_join(prodder, NULL);
}

static void check_nothing_left(size_t descriptors)
{
    if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
        wrong("a child is left");
    if (proc_count("/proc/self/fd") != descriptors)
        wrong("%zu descriptors, not %zu", proc_count("/proc/self/fd"), descriptors);
}

int main(int argc, char **argv)
{
    int64_t seconds = (int64_t)scaled(argc > 1 ? strtoul(argv[1], NULL, 0) : 20);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)now_ns();
    uint64_t calls = 0;
    size_t descriptors;

    if (argc > 3)
        hang_seconds = atoll(argv[3]);

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %" PRIu64 "\n", seed);
    model_init();
    rest_init();
    guests_init();
    descriptors = proc_count("/proc/self/fd");
    for (unsigned int i = 0; i < THREADS; i++) {
        threads[i].index = i;
        threads[i].random = seed * 6364136223846793005u + i * 1442695040888963407u + 1;
    }
    run_for(seconds);
    check_nothing_left(descriptors);
    for (int i = 0; i < THREADS; i++)
        calls += threads[i].calls;
    printf("%" PRIu64 " calls\n", calls);
    return 0;
}
