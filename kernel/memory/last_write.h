/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a call writes last, with nothing but its result behind it: it may go to the guest together with the answer,
 * which saves a copy of its own. Where the guest's memory refuses it the call's result is -EFAULT then, as if it had
 * been written at once.
 */
#ifndef TRAPGATE_KERNEL_LAST_WRITE_H
#define TRAPGATE_KERNEL_LAST_WRITE_H

#include <stddef.h>
#include <stdint.h>

struct task;

/* 0, or -EFAULT where it is known already. The call returns that. */
int64_t last_write(struct task *task, uint64_t addr, const void *bytes, size_t length);

#endif
