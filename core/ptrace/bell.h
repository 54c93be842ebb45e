/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Wakes a tracer that sleeps in wait4(2). */
#ifndef CORE_PTRACE_BELL_H
#define CORE_PTRACE_BELL_H

#include "core/ptrace/ptrace_types.h"

/* Both fail when there is no bell to be had: no thread, no place for its limit, or the template is dead. */
int bell_prepare(struct tracer *tracer);
/* Lets it sleep until then at the latest. -EAGAIN also when somebody has signalled it already: look for work again. */
int bell_arm(struct tracer *tracer, int64_t until_ns);
/* A wait reported the bell's thread. */
void bell_stopped(struct tracer *tracer, int status);
void bell_close(struct tracer *tracer);
/* Any thread, any signal handler. */
void bell_signal(const struct tg_platform *platform, pid_t bell);

#endif
