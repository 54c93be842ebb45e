/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Helpers of the cases that use up a resource of the host. */
#ifndef TESTS_STRESS_EXHAUSTION_H
#define TESTS_STRESS_EXHAUSTION_H

#include <stddef.h>
#include <sys/resource.h>

#include <trapgate/trapgate.h>

/* Sets the soft limit and returns the one of before. */
rlim_t limit_softly(int resource, rlim_t limit);

/* A number from /proc/self/status, as "VmSize:" (KiB). */
size_t own_status(const char *field);

/* The result of a call while something is used up: 0, or one of the errors that the header names for that. */
void check_denied(const tg_platform *platform, int result, const char *call);
#define CHECK_DENIED(platform, call) check_denied((platform), (call), #call)

/* Everything works: create, map, switch, fork and queue. */
void check_all_works(tg_platform *platform);

#endif
