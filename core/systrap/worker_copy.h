/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies of guest memory by the worker that holds a context, where that is faster than a system call. */
#ifndef CORE_SYSTRAP_WORKER_COPY_H
#define CORE_SYSTRAP_WORKER_COPY_H

#include "core/systrap/systrap_types.h"

/*
 * backend_ops.context_transfer. The worker of a context that is at rest after a
 * patched call looks for its answer: for some microseconds it can be asked for
 * something else. Whatever it does not copy, the host does: host_transfer().
 */
ssize_t systrap_context_transfer(struct tg_context *context, struct tg_subprocess *subprocess,
                                 struct tg_transfer *pieces, size_t n);

#endif
