/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The loop's two halves: what an event of the library means, and what happens while all tasks run or wait. */
#ifndef TRAPGATE_KERNEL_LOOP_H
#define TRAPGATE_KERNEL_LOOP_H

#include <trapgate/trapgate.h>

struct sandbox;
struct task;

/* When what the host would not run is tried again, and for how long while it runs nothing at all. */
#define REFUSED_RETRY_NS    INT64_C(5000000)
#define REFUSED_PATIENCE_NS INT64_C(10000000000)

/* Serves one event of a task that was running. */
void event_serve(struct task *task, const tg_event *event);

/* Lets a task go on that was on the ready list: starts it, makes its call again, or ends its call. */
void event_continue(struct task *task);

#endif
