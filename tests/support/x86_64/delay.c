/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "delay.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <ucontext.h>
#include <x86intrin.h>

#include "check.h"

#define FLAG_TF    0x100ull
#define PAUSE_NS   20000
#define HOLD_LOOKS 40 /* of a pause each: what the other does takes less, and if not, there are other rounds */

enum stage {
    RUNS,
    HELD,
    OVER,
};

static _Thread_local struct delay *stepped;

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static void hold(struct delay *delay)
{
    atomic_store(&delay->stage, HELD);
    for (int i = 0; i < HOLD_LOOKS && atomic_load(&delay->stage) == HELD; i++)
        pause_briefly();
}

static void after_instruction(int signo, siginfo_t *info, void *context)
{
    ucontext_t *stopped = context;

    (void)signo;
    (void)info;
    if (!stepped || ++stepped->steps < stepped->after)
        return;
    stopped->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)FLAG_TF;
    hold(stepped);
}

void delay_prepare(void)
{
    const struct sigaction action = {.sa_sigaction = after_instruction, .sa_flags = SA_SIGINFO};

#if defined(__SANITIZE_THREAD__)
    SKIP("ThreadSanitizer calls no handler between any two instructions");
#endif
    CHECK_SYSTEM(sigaction(SIGTRAP, &action, NULL));
}

void delay_begin(struct delay *delay)
{
    stepped = delay;
    __writeeflags(__readeflags() | FLAG_TF);
}

void delay_end(struct delay *delay)
{
    int runs = RUNS;

    __writeeflags(__readeflags() & ~FLAG_TF);
    stepped = NULL;
    atomic_compare_exchange_strong(&delay->stage, &runs, OVER);
}

bool delay_is_held(struct delay *delay)
{
    while (atomic_load(&delay->stage) == RUNS)
        pause_briefly();
    return atomic_load(&delay->stage) == HELD;
}

void delay_over(struct delay *delay)
{
    atomic_store(&delay->stage, OVER);
}
