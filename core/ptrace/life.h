/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a stub process ends. */
#ifndef CORE_PTRACE_LIFE_H
#define CORE_PTRACE_LIFE_H

#include "core/ptrace/ptrace_types.h"

/* Where a filter refuses kill(2) in another way. The process has not been reaped. */
void life_kill(pid_t pid);
/* Kills the process and remembers why, the first time it is called. */
void ptrace_subprocess_die(struct ptrace_subprocess *subprocess, int32_t reason, int32_t status);
/* Gives up what ptrace_subprocess_adopt() has made. Its process is reaped. */
void ptrace_subprocess_empty(struct tg_subprocess *subprocess);

#endif
