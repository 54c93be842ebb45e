/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls that must return within a bounded time, and what is printed when one does not, or when the process crashes. */
#ifndef TESTS_HOSTILE_BOUNDED_H
#define TESTS_HOSTILE_BOUNDED_H

#include <stdint.h>

/* Far more than anything takes that is not stuck, on a machine that is busy with other things too. */
#define BOUND_SECONDS 15

struct bounded;

/* Starts the thread that watches. */
void bounded_start(void);

/* For one thread at a time; never freed, so a case makes few. */
struct bounded *bounded_new(const char *who);
void bounded_begin(struct bounded *bounded, const char *what);
void bounded_end(struct bounded *bounded);
/* How long the call has taken that runs now; 0: none does. */
int64_t bounded_ns(const struct bounded *bounded);

/* What the case is at: printed with a hang or a crash. */
void bounded_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define BOUNDED(bounded, call)                                                                                         \
    __extension__({                                                                                                    \
        bounded_begin((bounded), #call);                                                                               \
        __typeof__(call) bounded_result = (call);                                                                      \
        bounded_end(bounded);                                                                                          \
        bounded_result;                                                                                                \
    })

#define BOUNDED_VOID(bounded, call)                                                                                    \
    do {                                                                                                               \
        bounded_begin((bounded), #call);                                                                               \
        call;                                                                                                          \
        bounded_end(bounded);                                                                                          \
    } while (0)

#endif
