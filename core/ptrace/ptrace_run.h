/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A context on a stub thread. */
#ifndef CORE_PTRACE_RUN_H
#define CORE_PTRACE_RUN_H

#include "core/ptrace/ptrace_types.h"

enum run_outcome {
    RUN_EVENT, /* the event is written, the context is at rest */
    RUN_AGAIN, /* nobody's business; the thread runs again */
};

/* 0: it runs. 1: it does not, the event is written (an interrupt, or death). <0: an error, nothing changed. */
int run_start(struct ptrace_context *context, struct stub_thread *thread, struct tg_event *event);
enum run_outcome run_stopped(struct ptrace_context *context, struct stub_thread *thread, int status,
                             struct tg_event *event);
/* Takes a stopped context off its thread without an event: the next start goes on where it was. */
int run_suspend(struct ptrace_context *context, struct stub_thread *thread);
void run_event_dead(struct ptrace_context *context, struct ptrace_subprocess *subprocess, struct tg_event *event);

int ptrace_context_switch(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_event *event);

#endif
