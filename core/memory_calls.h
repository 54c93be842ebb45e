/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A memory operation as the call that a stub makes, and what its failure means. */
#ifndef CORE_MEMORY_CALLS_H
#define CORE_MEMORY_CALLS_H

#include "core/handles.h"
#include "stub/protocol.h"

void memory_call_fill(struct stub_call *call, const struct tg_mem_op *op);

/* Before so many operations are made: 0, or -ENOMEM with a sentence. */
int memory_calls_prepare(struct tg_subprocess *subprocess, size_t n);

/* The host has made n operations; result: 0, or its answer to the next one. In the order in which it made them. */
void memory_calls_made(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, int64_t result);

/* Remembers a sentence; result is the kernel's negative answer, index the operation's in the caller's array. */
int memory_call_failed(struct tg_subprocess *subprocess, const struct tg_mem_op *op, size_t index, int64_t result);

#endif
