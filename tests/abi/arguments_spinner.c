/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guest code that computes for ever, so that its context is busy. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arguments.h"

struct spinner {
    pthread_t thread;
    tg_context *context;
    tg_subprocess *subprocess;
    int result;
    tg_event event;
};

static void *spin(void *argument)
{
    struct spinner *spinner = argument;
    spinner->result = tg_context_switch(spinner->context, spinner->subprocess, &spinner->event);
    return NULL;
}

static void set_first_argument(tg_context *context, uint64_t value)
{
    tg_regs *regs = tg_context_regs_mut(context);
#if defined(__x86_64__)
    regs->rdi = value;
#elif defined(__aarch64__)
    regs->x[0] = value;
#endif
}

void spinner_prepare(struct fixture *fixture, tg_context *context, tg_subprocess *subprocess)
{
    const unsigned char zero = 0;
    MUST(fixture->platform, tg_subprocess_write(subprocess, DATA_ADDRESS, &zero, 1, NULL));
    MUST(fixture->platform, tg_context_start(context, SPIN_ADDRESS, DATA_ADDRESS + 0x800));
    set_first_argument(context, DATA_ADDRESS);
}

struct spinner *spinner_start(struct fixture *fixture, tg_context *context, tg_subprocess *subprocess)
{
    struct spinner *spinner = calloc(1, sizeof(*spinner));
    if (!spinner) {
        perror("calloc");
        exit(1);
    }
    spinner->context = context;
    spinner->subprocess = subprocess;
    spinner->event.size = sizeof(spinner->event);
    spinner_prepare(fixture, context, subprocess);
    int error = pthread_create(&spinner->thread, NULL, spin, spinner);
    if (error != 0) {
        fprintf(stderr, "pthread_create: %s\n", strerror(error));
        exit(1);
    }
    spinner_wait_until_running(fixture, subprocess);
    return spinner;
}

void spinner_wait_until_running(struct fixture *fixture, tg_subprocess *subprocess)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    unsigned char running = 0;
    while (!running) {
        MUST(fixture->platform, tg_subprocess_read(subprocess, DATA_ADDRESS, &running, 1, NULL));
        nanosleep(&pause, NULL);
    }
}

void spinner_stop(struct fixture *fixture, struct spinner *spinner)
{
    HOLDS(fixture, tg_context_interrupt(spinner->context) == 0);
    pthread_join(spinner->thread, NULL);
    HOLDS(fixture, spinner->result == 0);
    HOLDS(fixture, spinner->event.kind == TG_EVENT_INTERRUPTED);
    free(spinner);
}
