/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Processor time of guests: that of the stub processes which run their code. */
#ifndef TRAPGATE_KERNEL_CPU_USAGE_H
#define TRAPGATE_KERNEL_CPU_USAGE_H

#include <stdint.h>
#include <sys/resource.h>

struct address_space;
struct process;

/* Nanoseconds that the address space's stub has run; 0 when it is gone. */
int64_t cpu_usage_ns(const struct address_space *space);

/* The process itself, as getrusage(RUSAGE_SELF) gives it. */
void cpu_usage_of_self(const struct process *process, struct rusage *usage);

/* Called as a process ends, while its memory is still there. */
void cpu_usage_keep(struct process *process);

/* Of a zombie and its children. */
void cpu_usage_of_child(const struct process *child, struct rusage *usage);

/* Counts a zombie that is waited for among its parent's children. */
void cpu_usage_add_child(struct process *parent, const struct process *child);

#endif
