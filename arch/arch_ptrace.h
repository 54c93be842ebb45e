/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the ptrace backend needs of a processor. Nothing here makes a ptrace(2)
 * call; the functions work on the register images that core/ptrace moves.
 */
#ifndef ARCH_ARCH_PTRACE_H
#define ARCH_ARCH_PTRACE_H

#include <sys/types.h>

#include "arch/arch_cpu.h"
#include "stub/protocol.h"

/*
 * A ptrace register set and the part of tg_regs that is its image. The general
 * one goes by PTRACE_GETREGS where there is that: NT_PRSTATUS would change its
 * layout while a guest is in a 32-bit mode.
 */
#define ARCH_REGSET_GENERAL 0

struct arch_regset {
    uint32_t note; /* NT_* */
    uint32_t offset;
    uint32_t size;
};

#define ARCH_REGSETS_MAX 2

/* What the registers say about where a stub thread is. */
enum arch_stub_place {
    ARCH_STUB_ELSEWHERE,
    ARCH_STUB_PARKED,   /* asleep in the park loop */
    ARCH_STUB_FINISHED, /* at the trap behind injected work */
};

/* What injected work a stub thread is set up for. */
enum arch_stub_job {
    ARCH_STUB_PARK,
    ARCH_STUB_CALL,
    ARCH_STUB_CLONE_THREAD,
    ARCH_STUB_CLONE_PROCESS,
    ARCH_STUB_BATCH,
    ARCH_STUB_SLEEP,
};

struct arch_stub_request {
    enum arch_stub_job job;
    uint64_t stub_start;
    uint64_t cookie;
    struct stub_call call; /* CALL and CLONE_*: cookie already in place */
    uint64_t batch;        /* BATCH, SLEEP: address of the batch page */
    uint64_t batch_count;  /* BATCH */
    uint64_t embedder_pid; /* CLONE_PROCESS */
};

struct arch_ptrace {
    const uint8_t *blob; /* the stub */
    const uint8_t *blob_end;
    /* The jump from C into it, in assembly: nothing of the C side may be needed any more. */
    __attribute__((noreturn)) void (*enter)(uint64_t stub_start, uint64_t stub_end, uint64_t cookie, pid_t embedder);
    uint64_t capabilities; /* TG_CAP_*, besides those of the processor */

    uint32_t regset_count;
    struct arch_regset regsets[ARCH_REGSETS_MAX];
    uint32_t fp_note;
    /*
     * The set that is the number of a call at its stop, -1: the call is not made. Where there is one the stub's filter
     * stops calls (SECCOMP_RET_TRACE). 0: PTRACE_SYSEMU stops them, and with the guest's own registers.
     */
    uint32_t call_note;

    /* System calls that do not pass ptrace: they are made without the instruction, but the stub's filter sees them. */
    const int *unseen_calls;
    size_t unseen_call_count;

    /* A copy of a context's registers becomes what a tracee is given. */
    void (*regs_resumed)(tg_regs *regs);

    /* What the register sets do not say of a context that stops at each instruction, or does not. NULL: they say it. */
    void (*regs_fetched)(tg_regs *regs, bool stepping);

    /* Registers that make a stub thread do a job, what became of it, and where it is. */
    void (*stub_request)(tg_regs *regs, const struct arch_stub_request *request);
    int64_t (*stub_result)(const tg_regs *regs);
    uint64_t (*stub_batch_left)(const tg_regs *regs);
    enum arch_stub_place (*stub_place)(const tg_regs *regs, uint64_t stub_start);
    /* Puts the cookie where the kernel ignores it (stub/protocol.h). */
    void (*stub_add_cookie)(struct stub_call *call, uint64_t cookie);

    /* Marks x32 and compat calls, and cuts their arguments to what the kernel would take. */
    void (*syscall_entered)(struct arch_syscall *syscall);
    /* Which exception a signal of the processor stands for, where nobody reports it; access: of a fault. */
    struct arch_exception (*derive_exception)(const tg_regs *regs, const siginfo_t *info, uint32_t access,
                                              const struct arch_guest *guest);
};

/* NULL: the backend is not ported to this processor. */
extern const struct arch_ptrace *const tgi_arch_ptrace;

#endif
