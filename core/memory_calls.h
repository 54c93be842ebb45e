/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A memory operation as the call that a stub makes, and what its failure means. */
#ifndef CORE_MEMORY_CALLS_H
#define CORE_MEMORY_CALLS_H

#include "core/handles.h"

void memory_call_fill(struct stub_call *call, const struct tg_mem_op *op);

/* Remembers a sentence; result is the kernel's negative answer, index the operation's in the caller's array. */
int memory_call_failed(struct tg_subprocess *subprocess, const struct tg_mem_op *op, size_t index, int64_t result);

#endif
