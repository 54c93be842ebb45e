/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Timers that send signals: alarm(2), setitimer(2), timer_create(2). */
#ifndef TRAPGATE_KERNEL_INTERVAL_TIMERS_H
#define TRAPGATE_KERNEL_INTERVAL_TIMERS_H

#include <stdbool.h>

struct process;

/* Deletes those of timer_create, as execve does; with the alarm, as the end of the process does. */
void interval_timers_delete(struct process *process, bool with_alarm);

#endif
