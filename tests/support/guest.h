/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest that tests can run: a platform, a subprocess with code, a stack and
 * data at known addresses, and a context that stands at the code. Everything
 * goes through the public ABI and is checked on the way.
 */
#ifndef TESTS_SUPPORT_GUEST_H
#define TESTS_SUPPORT_GUEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include <trapgate/trapgate.h>

#include "check.h"

#define GUEST_CODE_AT    0x10000000ull
#define GUEST_CODE_SIZE  0x10000ull
#define GUEST_STACK_AT   0x20000000ull
#define GUEST_STACK_SIZE 0x10000ull
#define GUEST_STACK_TOP  (GUEST_STACK_AT + GUEST_STACK_SIZE)
#define GUEST_DATA_AT    0x30000000ull
#define GUEST_DATA_SIZE  0x100000ull
/* Never mapped by the helpers. */
#define GUEST_HOLE_AT    0x40000000ull

/* The call that test guests make when they have nothing special to say. */
#define GUEST_CALL SYS_getpid

#define PROT_RW (TG_PROT_READ | TG_PROT_WRITE)
#define PROT_RX (TG_PROT_READ | TG_PROT_EXEC)

struct guest_code {
    const unsigned char *start;
    const unsigned char *end;
};

struct guest {
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_context *context;
    tg_event event;
    uint64_t page;
};

tg_platform *open_platform(uint32_t backend, uint64_t flags);
tg_info platform_info(const tg_platform *platform);
tg_stats platform_stats(const tg_platform *platform);

tg_subprocess *create_subprocess(tg_platform *platform);
/* A subprocess with the code, a stack and data. */
tg_subprocess *create_loaded_subprocess(tg_platform *platform, struct guest_code code);
/* Puts code into pages that nothing was mapped at; they end up readable and executable. */
void load_code(tg_subprocess *subprocess, uint64_t addr, struct guest_code code);
void map_pages(tg_subprocess *subprocess, uint64_t addr, uint64_t length, uint32_t prot);

tg_context *create_context(tg_platform *platform);
/* A context that stands at GUEST_CODE_AT with the stack of the helpers. */
tg_context *create_started_context(tg_platform *platform);

void guest_open(struct guest *guest, uint32_t backend, struct guest_code code);
void guest_open_flags(struct guest *guest, uint32_t backend, uint64_t flags, struct guest_code code);
void guest_close(struct guest *guest);
/* Back to the first instruction, with a new context's registers. */
void guest_restart(struct guest *guest);
void guest_run(struct guest *guest);
/* guest_run() as the body of a thread. */
void *guest_run_thread(void *guest);

uint64_t guest_load(tg_subprocess *subprocess, uint64_t addr);
void guest_store(tg_subprocess *subprocess, uint64_t addr, uint64_t value);
/* Waits until the guest has changed the word. The test's time limit ends a wait that never succeeds. */
void guest_wait_change(tg_subprocess *subprocess, uint64_t addr, uint64_t old);

tg_event new_event(void);
void run_context(tg_context *context, tg_subprocess *subprocess, tg_event *event);

void check_kind(struct check_place place, const tg_event *event, uint32_t kind);
void check_call(struct check_place place, const tg_event *event, uint64_t number);
void check_fault(struct check_place place, const tg_event *event, uint64_t addr, uint32_t access, int signo, int code);
void check_exception(struct check_place place, const tg_event *event, int signo, int code);
void check_dead(struct check_place place, const tg_event *event, int reason, int status);

#define CHECK_KIND(event, kind)   check_kind(CHECK_HERE, (event), (kind))
#define CHECK_CALL(event, number) check_call(CHECK_HERE, (event), (number))
#define CHECK_FAULT(event, addr, access, signo, code)                                                                  \
    check_fault(CHECK_HERE, (event), (addr), (access), (signo), (code))
#define CHECK_EXCEPTION(event, signo, code) check_exception(CHECK_HERE, (event), (signo), (code))
#define CHECK_DEAD(event, reason, status)   check_dead(CHECK_HERE, (event), (reason), (status))

/* Runs the guest and expects the system call that test guests make. */
#define GUEST_RUN_TO_CALL(guest)                                                                                       \
    do {                                                                                                               \
        guest_run(guest);                                                                                              \
        CHECK_CALL(&(guest)->event, GUEST_CALL);                                                                       \
    } while (0)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
