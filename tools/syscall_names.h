/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TRAPGATE_TOOLS_SYSCALL_NAMES_H
#define TRAPGATE_TOOLS_SYSCALL_NAMES_H

#include <stdint.h>

/* The name of a system call of this machine, or NULL. */
const char *syscall_name(uint64_t nr);

#endif
