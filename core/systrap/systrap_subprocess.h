/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Address spaces of guests: made, changed and destroyed. */
#ifndef CORE_SYSTRAP_SUBPROCESS_H
#define CORE_SYSTRAP_SUBPROCESS_H

#include "core/systrap/systrap_types.h"

/* Notes the number of the new process, and has the keeper watch over it. 0 or -errno. */
int systrap_subprocess_adopt(struct systrap_subprocess *subprocess, pid_t pid);
int systrap_subprocess_create(struct tg_subprocess *subprocess, struct tg_subprocess *from);
void systrap_subprocess_destroy(struct tg_subprocess *subprocess);
void systrap_subprocess_forget(struct tg_subprocess *subprocess, bool last);
/* Kills all subprocesses of the platform, so that closing it waits for no worker. */
void systrap_end_guests(struct tg_platform *platform);
int systrap_subprocess_apply(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done);
ssize_t systrap_subprocess_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts);

#endif
