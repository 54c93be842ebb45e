/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The embedder's side of a subprocess's page of clocks. */
#ifndef CORE_PTRACE_CLOCK_MEMORY_H
#define CORE_PTRACE_CLOCK_MEMORY_H

#include "core/ptrace/ptrace_types.h"

/* 0 or -ENOMEM. */
int clock_memory_map(struct ptrace_subprocess *subprocess, int file);
/* If it is mapped. */
void clock_memory_unmap(struct ptrace_subprocess *subprocess);

struct vdso_clock *clock_memory_of(struct tg_subprocess *subprocess);

#endif
