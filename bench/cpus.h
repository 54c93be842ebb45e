/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* cpus.h - which processors the bench may use, and where it puts itself. */
#ifndef TRAPGATE_BENCH_CPUS_H
#define TRAPGATE_BENCH_CPUS_H

#define CPU_ANY (-1)

/* The index-th processor that this process may run on, counted round. */
int allowed_cpu(unsigned index);

/* Binds the calling thread; CPU_ANY leaves it as it is. */
void pin_to_cpu(int cpu);

#endif
