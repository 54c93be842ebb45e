/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* process_costs.h - the memory and the processor time of a process, from /proc. */
#ifndef TRAPGATE_BENCH_PROCESS_COSTS_H
#define TRAPGATE_BENCH_PROCESS_COSTS_H

#include <sys/types.h>

/* Proportional set size and page tables together, in KiB. */
double process_memory_kib(pid_t pid);

/* Processor time of all threads that the process has, in seconds; counted in ns by the scheduler. */
double process_cpu_seconds(pid_t pid);

#endif
