/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The architecture contract: all that core/ knows about a processor. One
 * folder of arch/ fills one struct arch_ops; the build picks the folder.
 *
 * Nothing here makes a ptrace(2) call; the functions work on the register
 * images that core/ptrace moves.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

#include "stub/protocol.h"

/* The calls that are made inside a stub. */
struct arch_syscalls {
    uint64_t mmap;
    uint64_t munmap;
    uint64_t mprotect;
    uint64_t mremap;
    uint64_t madvise;
    uint64_t clone;
    uint64_t membarrier;
    uint64_t exit_group;
    uint64_t pread64;
    uint64_t pwrite64;
};

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

/* A system call as the guest made it, for the event. */
struct arch_syscall {
    uint64_t nr;
    uint64_t args[6];
    uint64_t ip;
    uint32_t arch;  /* AUDIT_ARCH_* */
    uint32_t flags; /* TG_FLAG_* */
};

/* How the decoders look at guest memory; returns how many bytes it could read. */
struct arch_guest {
    size_t (*read)(void *arg, uint64_t addr, void *buffer, size_t length);
    bool (*executable)(void *arg, uint64_t addr);
    void *arg;
};

/* What an exception of the processor was: for the event. */
struct arch_exception {
    uint32_t number; /* x86-64: of the exception */
    uint32_t flags;  /* TG_FLAG_TRAP and TG_FLAG_TRAP_DERIVED; 0: nobody knows */
    uint64_t error_code;
};

struct systrap_slot;

/* What a worker said of a signal: copied out of its slot once, for a guest's other threads can write there. */
struct arch_trap {
    int32_t code;
    int32_t error_number;
    uint64_t addr;
    int64_t syscall;
    uint32_t syscall_arch;
    bool hidden;
    uint32_t number; /* of the exception */
    uint64_t error_code;
};

/* A system call instruction that is replaced by a jump to a trampoline. */
#define ARCH_PATCH_BYTES 32

struct arch_patch {
    uint64_t start; /* of the replaced bytes */
    uint32_t length;
    uint32_t pattern;
    uint8_t original[ARCH_PATCH_BYTES];
    uint8_t replacement[ARCH_PATCH_BYTES];
    uint64_t own[4]; /* the architecture's */
};

struct arch_patch_request {
    uint64_t ip; /* of the event */
    uint64_t nr;
    const uint8_t *code; /* what could be read around it */
    uint64_t code_addr;
    size_t code_length;
    uint64_t table_entry; /* address of the pointer to the trampoline */
    uint64_t trampoline;
    uint64_t region; /* of the stub */
};

/* What a thread wanted that trapped in replaced bytes. */
enum arch_patch_meaning {
    ARCH_PATCH_NOT_OURS,
    ARCH_PATCH_SYSCALL,
    ARCH_PATCH_CONTINUE,
    ARCH_PATCH_TRY_AGAIN, /* as before, once: what trapped may be other code after all */
};

/* What the systrap backend needs. A slot is memory that a guest can write: each word is read once. */
struct arch_systrap {
    uint64_t handler_offset; /* in the stub's text */
    uint64_t restorer_offset;
    void (*pause)(void);
    /* A clock that a stub can read as well, without a call: it counts evenly, and on all processors the same. */
    uint64_t (*ticks)(void);
    /* A sentence about what this machine lacks, NULL: nothing. */
    const char *(*missing)(void);
    /* Fills an image as the kernel would; its size, 0: more than capacity. */
    size_t (*fp_learn)(void *image, size_t capacity, uint64_t *features);
    /* Makes an image that a guest may have spoilt one that fp_check() accepts. */
    void (*fp_repair)(void *image, const void *initial, size_t size);
    void (*read_regs)(const struct systrap_slot *slot, tg_regs *regs);
    void (*write_regs)(struct systrap_slot *slot, const tg_regs *regs);
    void (*set_return)(struct systrap_slot *slot, int64_t value);
    /* False: the SIGSYS stands for something else. */
    bool (*read_syscall)(const struct systrap_slot *slot, const struct arch_trap *trap, struct arch_syscall *out);
    /* The same for a patched call; ip: behind the original instruction. */
    void (*read_patched)(const struct systrap_slot *slot, uint64_t ip, struct arch_syscall *out);
    /* The registers that were written are those of the patched call that the context came with: it may go on directly.
     */
    void (*keep_resume)(struct systrap_slot *slot, bool keep);

    /* Registers with which patched calls would not work or be seen. */
    bool (*forbids_patching)(const tg_regs *regs);
    /* Whether the instruction there uses what a worker hides from guests. */
    bool (*uses_hidden_base)(const tg_regs *regs, const struct arch_guest *guest);

    uint64_t table_start; /* where an absolute jump reaches it, in user space: reserved */
    uint64_t table_size;
    uint32_t code_before; /* bytes that planning looks at, before the event's ip and from there on */
    uint32_t code_after;
    /* 0: the plan and its trampoline are written; else why not: TG_PATCH_REFUSED_* plus one. */
    uint32_t (*patch_plan)(const struct arch_patch_request *request, struct arch_patch *patch, uint8_t *trampoline,
                           size_t *trampoline_length);
    /* Behind the original instruction. */
    uint64_t (*patch_return_ip)(const struct arch_patch *patch);
    /* Where a thread is that was stopped at this offset in the trampoline. */
    uint64_t (*patch_original_ip)(const struct arch_patch *patch, uint64_t offset);
    void (*set_ip)(tg_regs *regs, uint64_t ip);
    /* Changes regs to what they are at the call, or to where to go on. */
    enum arch_patch_meaning (*patch_explain)(const struct arch_patch *patch, tg_regs *regs, struct arch_syscall *out);
    uint8_t trap_byte; /* stands for code that is not there */

    /* TG_ACCESS_* of a page fault by its error code; 0: it was none. */
    uint32_t (*error_access)(const struct arch_trap *trap);
};

struct arch_ops {
    uint32_t audit_arch;
    uint64_t user_end;     /* exclusive; the stub lies below */
    uint64_t user_end_min; /* no stub lies below: tg_info.user_end_min */
    struct arch_syscalls syscalls;

    uint32_t regset_count;
    struct arch_regset regsets[ARCH_REGSETS_MAX];
    uint32_t fp_note;

    /* A new guest thread's registers. */
    void (*regs_init)(tg_regs *regs);
    /* 0 or -EINVAL: values that the kernel would refuse or a guest must not have. */
    int (*regs_check)(const tg_regs *regs);
    /* Called on what the kernel reported before it becomes visible; syscall may be NULL. */
    void (*regs_stopped)(tg_regs *regs, const struct arch_syscall *syscall);
    /* A copy of a context's registers becomes what a tracee is given. */
    void (*regs_resumed)(tg_regs *regs);
    bool (*single_stepping)(const tg_regs *regs);
    uint64_t (*ip)(const tg_regs *regs);
    void (*set_start)(tg_regs *regs, uint64_t ip, uint64_t sp);
    void (*set_return)(tg_regs *regs, int64_t value);
    /* An instruction that makes a call, and one that traps, and what number the first one makes. */
    const uint8_t *call_code;
    size_t call_code_size;
    void (*set_call)(tg_regs *regs, uint64_t nr);
    uint64_t (*tls)(const tg_regs *regs);
    int (*set_tls)(tg_regs *regs, uint64_t value);
    /* Back to before the call: 0, or -EINVAL when the registers are elsewhere by now. */
    int (*restart_syscall)(tg_regs *regs, const struct arch_syscall *syscall);

    /* Turns an image that the kernel gave into the one of a new thread. */
    void (*fp_init)(void *image, size_t size);
    /* 0 or -EINVAL; initial is an image made by fp_init(). */
    int (*fp_check)(const void *image, const void *initial, size_t size);

    /* Registers that make a stub thread do a job, what became of it, and where it is. */
    void (*stub_request)(tg_regs *regs, const struct arch_stub_request *request);
    int64_t (*stub_result)(const tg_regs *regs);
    uint64_t (*stub_batch_left)(const tg_regs *regs);
    enum arch_stub_place (*stub_place)(const tg_regs *regs, uint64_t stub_start);
    /* Puts the cookie where the kernel ignores it (stub/protocol.h). */
    void (*stub_add_cookie)(struct stub_call *call, uint64_t cookie);

    /* Marks x32 and compat calls, and cuts their arguments to what the kernel would take. */
    void (*syscall_entered)(struct arch_syscall *syscall);
    /* A signal that stands for a system call made in another way (vsyscall). May change regs and returns true. */
    bool (*syscall_from_signal)(tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest,
                                struct arch_syscall *out);
    /* TG_ACCESS_* of a fault, by decoding the instruction. */
    uint32_t (*fault_access)(const tg_regs *regs, uint64_t addr, const struct arch_guest *guest);
    /* Which exception a signal of the processor stands for, where nobody reports it; access: of a fault. */
    struct arch_exception (*derive_exception)(const tg_regs *regs, const siginfo_t *info, uint32_t access,
                                              const struct arch_guest *guest);

    struct arch_systrap systrap;

    /* Runs in a new stub process: 0 or -errno. */
    int (*stub_trap_cpuid)(void);
    int (*stub_trap_tsc)(void);
    /* Whether they would work; run in the embedder and change nothing. */
    bool (*can_trap_cpuid)(void);
    bool (*can_trap_tsc)(void);
};

extern const struct arch_ops tgi_arch;

#endif
