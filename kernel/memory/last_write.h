/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a call writes last, with nothing but its result behind it: it may go to the guest together with the answer,
 * which saves a copy of its own. Where the guest's memory refuses it the call's result is -EFAULT then, as if it had
 * been written at once.
 */
#ifndef TRAPGATE_KERNEL_LAST_WRITE_H
#define TRAPGATE_KERNEL_LAST_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task;

/* 0, or -EFAULT where it is known already. The call returns that. */
int64_t last_write(struct task *task, uint64_t addr, const void *bytes, size_t length);

/*
 * The same for a call that says how many bytes the guest's memory took, such as read(2): only where that is known to be
 * all of them. False: they did not go along, and are to be written at once.
 */
#define LAST_WRITE_MAX 4096 /* more is cheaper to write at once */
bool last_write_all(struct task *task, uint64_t addr, const void *bytes, size_t length);

#endif
