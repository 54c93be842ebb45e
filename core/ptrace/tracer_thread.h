/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which tracers a host thread has. */
#ifndef CORE_PTRACE_TRACER_THREAD_H
#define CORE_PTRACE_TRACER_THREAD_H

#include "core/ptrace/ptrace_types.h"

/* One for each platform that it uses, and those of closed platforms until it needs another one. */
struct thread_record {
    struct list tracers; /* tracer.of_thread; only the thread itself looks at it */
};

/* Before any other; ends() is called in each thread that ends and has a record, which it frees. */
void tracers_init(void (*ends)(void *record));
/* The calling thread's tracer of the platform; made on first use. NULL: no memory. */
struct tracer *tracer_current(struct tg_platform *platform);
/* The same without making one. */
struct tracer *tracer_find(const struct tg_platform *platform);
/* Of the calling thread; and lets go of its reference. */
void tracer_leave_thread(struct tracer *tracer);
void tracer_unref(struct tracer *tracer);

#endif
