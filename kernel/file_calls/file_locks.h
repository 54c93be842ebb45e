/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Record locks, the part of fcntl(2) that may wait. */
#ifndef TRAPGATE_KERNEL_FILE_LOCKS_H
#define TRAPGATE_KERNEL_FILE_LOCKS_H

#include <stdint.h>

struct file;
struct task;

/* F_GETLK, F_SETLK, F_SETLKW and their like of open file descriptions; addr is that of a struct flock. */
int64_t file_record_lock(struct task *task, const struct file *file, int command, uint64_t addr);

#endif
