/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Each call that is made, refused: the demo works another way or says what is wrong, and never hangs. */
#include "hosts.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "filter.h"
#include "guest.h"

static const struct {
    const char *name;
    long value;
} ways[] = {{"forbidden", EPERM}, {"missing", ENOSYS}, {"fatal", KILL}};

/*
 * Without these the C library crashes, ends the program or cannot end a
 * thread, or what is to be closed stays open: nothing that the library could
 * see to.
 */
static const int needed_by_the_c_library[] = {SYS_brk, SYS_exit, SYS_futex, SYS_rseq, SYS_close};

static bool is_needed(int nr)
{
    for (size_t i = 0; i < ARRAY_SIZE(needed_by_the_c_library); i++)
        if (nr == needed_by_the_c_library[i])
            return true;
    return false;
}

/* A filter that kills ends the embedder too, at a call of its own: nothing may stay behind, and that is all. */
static void try_demo(uint32_t backend, int nr, long value)
{
    const struct environment environment = {.name = "refused", .prepare = refuse_call, .what = nr};
    struct outcome outcome;
    enum demo_end end = run_demo(&environment, value, backend, &outcome);

    if (end == DEMO_FINISHED)
        check_decent(&outcome);
    else if (end != DEMO_ENDED || value != KILL)
        check_failed(CHECK_HERE, "%s: %s %s", demo_end_text(end), outcome.message, outcome.failed);
    printf("open %d %s\n  steps %d %s\n", outcome.opened, outcome.message, outcome.result, outcome.failed);
}

/* In a process of its own, so that the next is tried whatever comes of this one. */
static bool is_in_order(uint32_t backend, int nr, size_t way, void (*try_call)(uint32_t backend, int nr, long value))
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
    int status;
    pid_t child;

    printf("%s (%d) %s: ", name ? name : "?", nr, ways[way].name);
    free(name);
    fflush(NULL);
    child = CHECK_SYSTEM(fork());
    if (child == 0) {
        try_call(backend, nr, ways[way].value);
        exit(0);
    }
    CHECK_SYSTEM(waitpid(child, &status, 0));
    if (status == 0)
        return true;
    printf("FAILED: %s\n", ways[way].name);
    return false;
}

int sweep_calls(uint32_t backend, const char *how, const bool calls[CALLS_MAX],
                void (*try_call)(uint32_t backend, int nr, long value))
{
    int failures = 0;
    int runs = 0;

    for (size_t way = 0; way < ARRAY_SIZE(ways); way++)
        for (int nr = 0; nr < CALLS_MAX && (!how || strcmp(how, ways[way].name) == 0); nr++)
            if (calls[nr] && (ways[way].value == KILL || !is_needed(nr))) {
                failures += !is_in_order(backend, nr, way, try_call);
                runs++;
            }
    printf("%d runs, %d not in order\n", runs, failures);
    CHECK(runs > 0);
    return failures;
}

int sweep_demo(uint32_t backend, const char *how)
{
    bool calls[CALLS_MAX] = {false};

    record_demo(backend, calls);
    return sweep_calls(backend, how, calls, try_demo);
}
