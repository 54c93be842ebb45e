/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The filter of every stub. */
#ifndef CORE_PTRACE_FILTER_H
#define CORE_PTRACE_FILTER_H

#include <stdint.h>

struct sock_fprog;

/* The program of a stub whose text is there, to be freed with free(program->filter). 0 or -errno. */
int ptrace_filter_build(uint64_t cookie, uint64_t text_start, uint64_t text_end, struct sock_fprog *program);

#endif
