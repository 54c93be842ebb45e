/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Exceptions of the processor: the same signal, code and address that the host kernel would deliver. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../cases.h"
#include "arch.h"
#include "cpu.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "native.h"

#define BAD_VECTOR 0x42 /* of the guest with that name */

#define FSW_ZERO_DIVIDE 0x4
#define FSW_AT          2

/* Guests of exceptions.S and the signal that each must raise; 0: masked, so it calls. */
#define GENERAL_EXCEPTIONS(X)                                                                                          \
    X(halt, SIGSEGV)                                                                                                   \
    X(port_in, SIGSEGV)                                                                                                \
    X(port_out, SIGSEGV)                                                                                               \
    X(cli, SIGSEGV)                                                                                                    \
    X(read_msr, SIGSEGV)                                                                                               \
    X(load_cr0, SIGSEGV)                                                                                               \
    X(invalidate, SIGSEGV)                                                                                             \
    X(bad_vector, SIGSEGV)                                                                                             \
    X(bad_segment, SIGSEGV)                                                                                            \
    X(noncanonical, SIGSEGV)                                                                                           \
    X(noncanonical_ss, SIGBUS)                                                                                         \
    X(misaligned_sse, SIGSEGV)                                                                                         \
    X(misaligned_cas, SIGSEGV)                                                                                         \
    X(overflow_vector, SIGSEGV)                                                                                        \
    X(too_long, SIGSEGV)                                                                                               \
    X(bad_mxcsr, SIGSEGV)

#define OPCODE_EXCEPTIONS(X)                                                                                           \
    X(undefined, SIGILL)                                                                                               \
    X(bad_opcode, SIGILL)                                                                                              \
    X(bad_lock, SIGILL)                                                                                                \
    X(old_push, SIGILL)

#define TRAP_EXCEPTIONS(X)                                                                                             \
    X(breakpoint, SIGTRAP)                                                                                             \
    X(breakpoint_long, SIGTRAP)                                                                                        \
    X(icebp, SIGTRAP)                                                                                                  \
    X(trap_flag, SIGTRAP)

#define DIVIDE_EXCEPTIONS(X)                                                                                           \
    X(divide_zero, SIGFPE)                                                                                             \
    X(divide_overflow, SIGFPE)                                                                                         \
    X(divide_memory, SIGFPE)

#define ALIGNMENT_EXCEPTIONS(X)                                                                                        \
    X(aligned_check, SIGBUS)                                                                                           \
    X(aligned_check_st, SIGBUS)

#define X87_EXCEPTIONS(X)                                                                                              \
    X(x87_divide, SIGFPE)                                                                                              \
    X(x87_invalid, SIGFPE)                                                                                             \
    X(x87_overflow, SIGFPE)                                                                                            \
    X(x87_inexact, SIGFPE)                                                                                             \
    X(x87_stack, SIGFPE)                                                                                               \
    X(x87_masked, 0)

#define SSE_EXCEPTIONS(X)                                                                                              \
    X(sse_divide, SIGFPE)                                                                                              \
    X(sse_invalid, SIGFPE)                                                                                             \
    X(sse_inexact, SIGFPE)                                                                                             \
    X(sse_overflow, SIGFPE)                                                                                            \
    X(sse_masked, 0)

struct exception {
    const char *name;
    struct guest_code code;
    int signo;
};

#define DECLARE_EXCEPTION(name, signo) GUEST_DECLARE(raise_##name);
#define EXCEPTION_ENTRY(name, signo)   {#name, GUEST_INIT(raise_##name), signo},

GENERAL_EXCEPTIONS(DECLARE_EXCEPTION)
OPCODE_EXCEPTIONS(DECLARE_EXCEPTION)
TRAP_EXCEPTIONS(DECLARE_EXCEPTION)
DIVIDE_EXCEPTIONS(DECLARE_EXCEPTION)
ALIGNMENT_EXCEPTIONS(DECLARE_EXCEPTION)
X87_EXCEPTIONS(DECLARE_EXCEPTION)
SSE_EXCEPTIONS(DECLARE_EXCEPTION)

static const struct exception general_exceptions[] = {GENERAL_EXCEPTIONS(EXCEPTION_ENTRY)};
static const struct exception opcode_exceptions[] = {OPCODE_EXCEPTIONS(EXCEPTION_ENTRY)};
static const struct exception trap_exceptions[] = {TRAP_EXCEPTIONS(EXCEPTION_ENTRY)};
static const struct exception divide_exceptions[] = {DIVIDE_EXCEPTIONS(EXCEPTION_ENTRY)};
static const struct exception alignment_exceptions[] = {ALIGNMENT_EXCEPTIONS(EXCEPTION_ENTRY)};
static const struct exception x87_exceptions[] = {X87_EXCEPTIONS(EXCEPTION_ENTRY)};
static const struct exception sse_exceptions[] = {SSE_EXCEPTIONS(EXCEPTION_ENTRY)};

static void enter_exception(struct guest *guest, struct guest_code code)
{
    load_code(guest->subprocess, GUEST_CODE_AT, code);
    guest_restart(guest);
    arch_set_argument(guest->context, 0, GUEST_DATA_AT);
    guest_run(guest);
}

/* What cannot be told from the signal and the instruction: trapgate.h says so. */
static bool is_told_apart(const struct guest *guest, const char *name)
{
    return !(guest->event.flags & TG_FLAG_TRAP_DERIVED) ||
           (strcmp(name, "bad_segment") != 0 && strcmp(name, "overflow_vector") != 0);
}

/* For gates of sixteen bytes, where processors count eight: nothing that is derived can know. */
static bool is_an_emulators(const char *name, const struct native_signal *native)
{
    return strcmp(name, "bad_vector") == 0 && native->error_code == BAD_VECTOR * 16 + 2;
}

static void check_like_native(const struct guest *guest, const char *name, const struct native_signal *native)
{
    uint64_t base = native->addr_in_code ? GUEST_CODE_AT : 0;

    CHECK_EXCEPTION(&guest->event, native->signo, native->code);
    CHECK_EQ(guest->event.u.exception.addr, base + native->addr);
    CHECK_EQ(guest->event.u.exception.ip, GUEST_CODE_AT + native->ip);
    CHECK_EQ(arch_ip(guest->context), GUEST_CODE_AT + native->ip);
    CHECK_EQ(guest->event.u.exception.trap_errno, 0);
    CHECK(guest->event.flags & TG_FLAG_TRAP);
    if (is_told_apart(guest, name)) {
        CHECK_EQ(guest->event.u.exception.trap, native->trap);
        if (!(guest->event.flags & TG_FLAG_TRAP_DERIVED && is_an_emulators(name, native)))
            CHECK_EQ(guest->event.u.exception.error_code, native->error_code);
    }
}

/* Returns whether this machine raises the exception at all: some emulators do not. */
static bool check_exception_case(struct guest *guest, const struct exception *exception)
{
    struct native_signal native = native_run(exception->code);

    check_context("%s", exception->name);
    if (native.signo != exception->signo) {
        printf("%s: this machine raises signal %d natively, not %d\n", exception->name, native.signo, exception->signo);
        return false;
    }
    enter_exception(guest, exception->code);
    if (exception->signo == 0)
        CHECK_CALL(&guest->event, GUEST_CALL);
    else
        check_like_native(guest, exception->name, &native);
    return true;
}

static void check_exceptions(uint32_t backend, const struct exception *exceptions, size_t count)
{
    struct guest guest;
    size_t raised = 0;
    size_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < count; i++)
        raised += check_exception_case(&guest, &exceptions[i]);
    if (raised == 0)
        SKIP("this machine raises none of these exceptions natively");
    guest_close(&guest);
}

static void general(uint32_t backend)
{
    check_exceptions(backend, general_exceptions, ARRAY_SIZE(general_exceptions));
}

static void opcodes(uint32_t backend)
{
    check_exceptions(backend, opcode_exceptions, ARRAY_SIZE(opcode_exceptions));
}

static void traps(uint32_t backend)
{
    check_exceptions(backend, trap_exceptions, ARRAY_SIZE(trap_exceptions));
}

static void divides(uint32_t backend)
{
    check_exceptions(backend, divide_exceptions, ARRAY_SIZE(divide_exceptions));
}

static void alignment(uint32_t backend)
{
    check_exceptions(backend, alignment_exceptions, ARRAY_SIZE(alignment_exceptions));
}

static void x87(uint32_t backend)
{
    check_exceptions(backend, x87_exceptions, ARRAY_SIZE(x87_exceptions));
}

static void sse(uint32_t backend)
{
    check_exceptions(backend, sse_exceptions, ARRAY_SIZE(sse_exceptions));
}

/* The status word says why also after the event. */
static void x87_status(uint32_t backend)
{
    static unsigned char state[65536];
    struct guest guest;
    tg_info info;

    if (native_run(GUEST_CODE(raise_x87_divide)).signo != SIGFPE)
        SKIP("this machine does not raise x87 exceptions");
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    info = platform_info(guest.platform);
    CHECK(info.fpstate_size <= sizeof(state));
    enter_exception(&guest, GUEST_CODE(raise_x87_divide));
    CHECK_EXCEPTION(&guest.event, SIGFPE, FPE_FLTDIV);
    CHECK_OK(tg_context_get_fpstate(guest.context, state, sizeof(state)));
    CHECK(state[FSW_AT] & FSW_ZERO_DIVIDE);
    guest_close(&guest);
}

static int open_trapping(uint32_t backend, uint64_t flags, tg_platform **platform)
{
    tg_platform_options options = {.size = sizeof(options), .backend = backend, .flags = flags};

    return tg_platform_open(&options, platform);
}

static uint64_t capabilities(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    uint64_t found = platform_info(platform).capabilities;

    tg_platform_close(platform);
    return found;
}

static void check_trapped(struct guest *guest, uint64_t place, uint64_t length)
{
    guest_run(guest);
    CHECK_EXCEPTION(&guest->event, SIGSEGV, SI_KERNEL);
    CHECK_EQ(guest->event.u.exception.ip, place);
    arch_set_ip(guest->context, place + length);
    GUEST_RUN_TO_CALL(guest);
}

static void cpuid_traps(uint32_t backend)
{
    tg_platform *platform = NULL;
    struct guest guest;

    if (!(capabilities(backend) & TG_CAP_TRAP_CPUID)) {
        CHECK_RESULT(open_trapping(backend, TG_OPEN_TRAP_CPUID, &platform), -EOPNOTSUPP);
        CHECK(platform == NULL);
        SKIP("this processor cannot trap CPUID; opening says so");
    }
    guest_open_flags(&guest, backend, TG_OPEN_TRAP_CPUID, GUEST_CODE(read_cpuid));
    check_trapped(&guest, GUEST_PLACE(read_cpuid, read_cpuid_at), 2);
    guest_close(&guest);
}

static void tsc_traps(uint32_t backend)
{
    tg_platform *platform = NULL;
    tg_subprocess *copy = NULL;
    struct guest guest;

    if (!(capabilities(backend) & TG_CAP_TRAP_TSC)) {
        CHECK_RESULT(open_trapping(backend, TG_OPEN_TRAP_TSC, &platform), -EOPNOTSUPP);
        SKIP("this kernel cannot trap RDTSC; opening says so");
    }
    guest_open_flags(&guest, backend, TG_OPEN_TRAP_TSC, GUEST_CODE(read_tsc));
    check_trapped(&guest, GUEST_CODE_AT, 2);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    guest_restart(&guest);
    run_context(guest.context, copy, &guest.event);
    CHECK_EXCEPTION(&guest.event, SIGSEGV, SI_KERNEL);
    if (cpu_has(CPU_RDTSCP)) {
        load_code(guest.subprocess, GUEST_CODE_AT, GUEST_CODE(read_tscp));
        guest_restart(&guest);
        check_trapped(&guest, GUEST_CODE_AT, 3);
    }
    guest_close(&guest);
}

const struct test_case exception_cases[] = {
    {"exception.general", "hlt, port access, privileged and misaligned instructions: as the kernel delivers them",
     general},
    {"exception.opcodes", "Undefined instructions: SIGILL at their address", opcodes},
    {"exception.traps", "int3 in both forms, icebp and the trap flag: SIGTRAP", traps},
    {"exception.divide", "Divide by zero and overflow: SIGFPE", divides},
    {"exception.alignment", "Alignment check: SIGBUS", alignment},
    {"exception.x87", "Unmasked x87 exceptions: SIGFPE with their codes; masked ones are silent", x87},
    {"exception.x87_status", "After an x87 exception the status word still says why", x87_status},
    {"exception.sse", "Unmasked SSE exceptions: SIGFPE with their codes; masked ones are silent", sse},
    {"exception.cpuid_trap", "TG_OPEN_TRAP_CPUID delivers CPUID, or opening says that it cannot", cpuid_traps},
    {"exception.tsc_trap", "TG_OPEN_TRAP_TSC delivers RDTSC and RDTSCP, in forks too", tsc_traps},
    {0},
};
