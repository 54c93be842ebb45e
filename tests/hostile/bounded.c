/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "bounded.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "hostile.h"
#include "stress.h"
#include "threads.h"

#define BOUNDED_MAX 64
#define LOOK_NS     50000000

struct bounded {
    _Atomic int64_t since;
    const char *_Atomic what;
    const char *who;
};

static struct bounded all[BOUNDED_MAX];
static _Atomic size_t used;
static char note[512];

struct bounded *bounded_new(const char *who)
{
    struct bounded *bounded = &all[atomic_fetch_add(&used, 1)];
    CHECK(bounded < all + BOUNDED_MAX);
    bounded->who = who;
    return bounded;
}

void bounded_begin(struct bounded *bounded, const char *what)
{
    atomic_store(&bounded->what, what);
    atomic_store(&bounded->since, clock_ns());
}

void bounded_end(struct bounded *bounded)
{
    atomic_store(&bounded->since, 0);
}

int64_t bounded_ns(const struct bounded *bounded)
{
    const int64_t since = atomic_load(&bounded->since);
    return since ? clock_ns() - since : 0;
}

void bounded_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note, sizeof(note), format, arguments);
    va_end(arguments);
}

static void *look_for_hangs(void *unused)
{
    const int64_t seconds = (int64_t)hostile_setting("HOSTILE_BOUND", BOUND_SECONDS);
    (void)unused;
    for (;;) {
        const size_t count = atomic_load(&used);
        for (size_t i = 0; i < count; i++) {
            if (bounded_ns(&all[i]) > seconds * INT64_C(1000000000))
                check_failed(CHECK_HERE, "HANG: %s has been in %s for more than %d seconds; %s", all[i].who,
                             atomic_load(&all[i].what), (int)seconds, note);
        }
        pause_ns(LOOK_NS);
    }
    return NULL;
}

static void say_where(int signo)
{
    static const char text[] = "CRASH of the embedder; ";
    /* Nothing can be done about what cannot be written. */
    if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0 || write(STDOUT_FILENO, note, strlen(note)) < 0 ||
        write(STDOUT_FILENO, "\n", 1) < 0)
        _exit(1);
    raise(signo);
}

void bounded_start(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = say_where, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
    /* Sanitizers say more by themselves. */
    for (size_t i = 0; !SANITIZED && i < sizeof(signals) / sizeof(signals[0]); i++)
        CHECK_SYSTEM(sigaction(signals[i], &action, NULL));
    start_thread(look_for_hangs, NULL);
}
