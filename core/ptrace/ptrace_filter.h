/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The filter of every stub. */
#ifndef CORE_PTRACE_FILTER_H
#define CORE_PTRACE_FILTER_H

#include <stdint.h>

struct sock_fprog;

/* The stub's seccomp program, to be freed with free(program->filter). 0 or -errno. */
int ptrace_filter_build(uint64_t cookie, struct sock_fprog *program);

#endif
