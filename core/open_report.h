/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How opening tells which step failed, why, and what to do about it. */
#ifndef CORE_OPEN_REPORT_H
#define CORE_OPEN_REPORT_H

#include <stdint.h>

#include <trapgate/trapgate.h>

struct open_report {
    char step[sizeof(((struct tg_probe *)0)->step)];
    char reason[sizeof(((struct tg_probe *)0)->reason)];
    char remedy[sizeof(((struct tg_probe *)0)->remedy)];
};

void open_report_fill(struct open_report *report, const char *step, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A call of the host's failed; `call` is named as "mmap(2)". Returns the error as the header's list has it. */
int open_report_call(struct open_report *report, const char *step, const char *call, int err);
/* As that: a thread of the library could not be made. */
int open_report_thread(struct open_report *report, int err);
/* A stub ended in that step: TG_DEAD_* and its status. Returns the error. */
int open_report_end(struct open_report *report, const char *step, int32_t reason, int32_t status);
/* The header's number for what the host said. */
int open_error(int err);

#endif
