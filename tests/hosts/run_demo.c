/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The process of the demo, and what it may leave behind. */
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

#define HANG_MS  30000 /* far above what the demo takes */
#define GRACE_MS 10000 /* for stubs whose embedder was killed */
#define PAUSE_MS 2

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

/* False: still there after the time. */
static bool wait_for(pid_t child, int limit_ms, int *status)
{
    for (int waited = 0; waited < limit_ms; waited += PAUSE_MS) {
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
    for (int waited = 0; waited < GRACE_MS; waited += PAUSE_MS) {
        pid_t got = waitpid(-1, NULL, WNOHANG | __WALL);

        if (got < 0 && errno == ECHILD)
            return true;
        if (got == 0)
            pause_shortly();
    }
    return false;
}

static _Noreturn void be_the_demo(const struct environment *environment, long value, uint32_t backend,
                                  struct outcome *outcome)
{
    CHECK_SYSTEM(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    environment->prepare(environment, value);
    demo_run(backend, outcome);
    _exit(0);
}

static enum demo_end end_of(int status, const struct outcome *outcome)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
        _exit(EXIT_SKIPPED);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 && outcome->finished ? DEMO_FINISHED : DEMO_ENDED;
}

enum demo_end run_demo(const struct environment *environment, long value, uint32_t backend, struct outcome *outcome)
{
    struct outcome *shared =
        CHECK_SYSTEM(mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int status = 0;
    pid_t child;
    bool hung;

    fflush(NULL);
    CHECK_SYSTEM(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    child = CHECK_SYSTEM(fork());
    if (child == 0)
        be_the_demo(environment, value, backend, shared);
    hung = !wait_for(child, HANG_MS, &status);
    if (hung) {
        CHECK_SYSTEM(kill(child, SIGKILL));
        CHECK_SYSTEM(waitpid(child, &status, 0));
    }
    *outcome = *shared;
    CHECK_SYSTEM(munmap(shared, sizeof(*shared)));
    if (!all_gone())
        return DEMO_LITTER;
    return hung ? DEMO_HUNG : end_of(status, outcome);
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
