/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Tracers end with their thread, or with the platform. */
#ifndef CORE_PTRACE_TRACER_END_H
#define CORE_PTRACE_TRACER_END_H

#include "core/ptrace/ptrace_types.h"

/* For tracers_init(). */
void tracers_thread_ends(void *record);
/* Ends the tracers of a closing platform. */
void tracers_close(struct tg_platform *platform);

#endif
