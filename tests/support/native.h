/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Runs guest code as an ordinary process of the host, without the library:
 * what the kernel says there is what the library has to say.
 */
#ifndef TESTS_SUPPORT_NATIVE_H
#define TESTS_SUPPORT_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

struct native_signal {
    int signo; /* 0: the code ran to its end without a signal; one without a code: it died of that */
    int code;
    bool addr_in_code; /* addr is an offset into the code, not an address */
    uint64_t addr;
    uint64_t ip;   /* offset into the code */
    uint64_t trap; /* the exception, as the kernel tells handlers */
    uint64_t error_code;
};

struct native_signal native_run(struct guest_code code);
/* Its data page has been written to and now has these rights: PROT_*. */
struct native_signal native_run_with_page(struct guest_code code, int rights);

/* The instruction pointer of a signal handler's context; one for each architecture. */
uint64_t native_ip(const void *ucontext);
/* What the kernel says there of the exception; seen has room for it. */
void native_exception(const void *ucontext, struct native_signal *seen);
/* Undoes what the code may have set that would disturb the handler. */
void native_settle(void);
/* Enters the code with a data page as argument 0. */
_Noreturn void native_enter(void *code, void *data, void *stack_top);
/* Fills memory so that running into it is a SIGTRAP. */
void native_fill_traps(void *memory, uint64_t length);

#endif
