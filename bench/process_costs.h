/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* process_costs.h - the memory and the processor time of a process, from /proc. */
#ifndef TRAPGATE_BENCH_PROCESS_COSTS_H
#define TRAPGATE_BENCH_PROCESS_COSTS_H

#include <stdbool.h>
#include <sys/types.h>

/* Proportional set size and page tables together, in KiB. */
double process_memory_kib(pid_t pid);

/* Processor time of all threads that the process has, in seconds; counted in ns by the scheduler. */
double process_cpu_seconds(pid_t pid);

/* The same of this process, as the clock has it; and of all processes that descend from it. */
double own_cpu_seconds(void);
double descendants_cpu_seconds(void);
bool process_is_descendant(pid_t pid);

#endif
