/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The process of the demo, or of the command, and what it may leave behind. */
#include "hosts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define HANG_MS  30000 /* far above what either takes */
#define GRACE_MS 10000 /* for stubs whose embedder was killed */
#define PAUSE_MS 2

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

/* False: still there after the time. */
static bool wait_for(pid_t child, int limit_ms, int *status)
{
    const int64_t until = now_ms() + limit_ms;

    while (now_ms() < until) {
        pid_t got = CHECK_SYSTEM(waitpid(child, status, WNOHANG));

        if (got == child)
            return true;
        pause_shortly();
    }
    return false;
}

/* Orphans become children of this process, which is their subreaper. */
static bool all_gone(void)
{
    const int64_t until = now_ms() + GRACE_MS;

    while (now_ms() < until) {
        pid_t got = waitpid(-1, NULL, WNOHANG | __WALL);

        if (got < 0 && errno == ECHILD)
            return true;
        if (got == 0)
            pause_shortly();
    }
    return false;
}

static _Noreturn void live_apart(const struct environment *environment, long value, const struct apart *apart)
{
    CHECK_SYSTEM(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    if (apart->set_up)
        apart->set_up(apart->argument);
    environment->prepare(environment, value);
    apart->run(apart->argument);
    _exit(0);
}

enum demo_end run_apart(const struct environment *environment, long value, const struct apart *apart, int *status)
{
    pid_t child;
    bool hung;

    fflush(NULL);
    CHECK_SYSTEM(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    child = CHECK_SYSTEM(fork());
    if (child == 0)
        live_apart(environment, value, apart);
    hung = !wait_for(child, HANG_MS, status);
    if (hung) {
        CHECK_SYSTEM(kill(child, SIGKILL));
        CHECK_SYSTEM(waitpid(child, status, 0));
    }
    if (!all_gone())
        return DEMO_LITTER;
    if (WIFEXITED(*status) && WEXITSTATUS(*status) == EXIT_SKIPPED)
        _exit(EXIT_SKIPPED);
    return hung ? DEMO_HUNG : DEMO_FINISHED;
}

struct demo_work {
    uint32_t backend;
    struct outcome *outcome;
};

static void be_the_demo(void *argument)
{
    const struct demo_work *work = argument;

    demo_run(work->backend, work->outcome);
}

enum demo_end run_demo(const struct environment *environment, long value, uint32_t backend, struct outcome *outcome)
{
    struct outcome *shared =
        CHECK_SYSTEM(mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    struct demo_work work = {.backend = backend, .outcome = shared};
    const struct apart apart = {.run = be_the_demo, .argument = &work};
    int status = 0;
    enum demo_end end = run_apart(environment, value, &apart, &status);

    *outcome = *shared;
    CHECK_SYSTEM(munmap(shared, sizeof(*shared)));
    return end != DEMO_FINISHED || (status == 0 && outcome->finished) ? end : DEMO_ENDED;
}

const char *demo_end_text(enum demo_end end)
{
    static const char *const texts[] = {
        [DEMO_FINISHED] = "it came to its end",
        [DEMO_ENDED] = "it ended before its end",
        [DEMO_HUNG] = "it hung",
        [DEMO_LITTER] = "a process was left behind",
    };

    return texts[end];
}
