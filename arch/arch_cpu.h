/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The architecture contract: all that core/ knows about a processor. One folder
 * of arch/ fills it; the build picks the folder. It has five parts:
 *
 *   struct arch_cpu       here              whatever the backend is
 *   struct arch_ptrace    arch_ptrace.h     what the ptrace backend needs besides
 *   struct arch_systrap   arch_systrap.h    what the systrap backend needs besides
 *   struct arch_patching  arch_patching.h   what patched calls need besides that
 *   struct arch_vdso      arch_vdso.h       a vDSO of the library's own
 *
 * All but the first may be absent: then their pointers are NULL, and the
 * backend is not offered, or patches nothing, or guests have no such vDSO. What the code inside of a stub
 * needs is another contract: stub_contract.h.
 */
#ifndef ARCH_ARCH_CPU_H
#define ARCH_ARCH_CPU_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

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
    uint64_t getpid;
};

/* Where guests may have memory at all. */
struct arch_user_space {
    uint64_t end;     /* exclusive; the stub lies below */
    uint64_t end_min; /* no stub lies below: tg_info.user_end_min */
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

struct arch_cpu {
    uint32_t audit_arch;
    uint64_t capabilities; /* TG_CAP_* of all backends; traps that may be asked for follow from what is below */
    struct arch_syscalls syscalls;
    uint32_t rseq_signature; /* with which the C library registers restartable sequences */

    /* Of the kernel that runs: 0, or -errno of mmap(2). */
    int (*user_space)(struct arch_user_space *out);
    /* A new guest thread's registers. */
    void (*regs_init)(tg_regs *regs);
    /* 0 or -EINVAL: values that the kernel would refuse or a guest must not have. */
    int (*regs_check)(const tg_regs *regs);
    /* Called on what the kernel reported before it becomes visible; syscall may be NULL. */
    void (*regs_stopped)(tg_regs *regs, const struct arch_syscall *syscall);
    bool (*single_stepping)(const tg_regs *regs);
    uint64_t (*ip)(const tg_regs *regs);
    void (*set_start)(tg_regs *regs, uint64_t ip, uint64_t sp);
    /* The register of a call's result. */
    int64_t (*result)(const tg_regs *regs);
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

    /* A signal that stands for a system call made in another way (vsyscall). May change regs and returns true. */
    bool (*syscall_from_signal)(tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest,
                                struct arch_syscall *out);
    /* TG_ACCESS_* of a fault, by decoding the instruction. */
    uint32_t (*fault_access)(const tg_regs *regs, uint64_t addr, const struct arch_guest *guest);

    /* Run in a new stub process: 0 or -errno. NULL: this processor has no such trap. */
    int (*stub_trap_cpuid)(void);
    int (*stub_trap_tsc)(void);
    /* Whether they would work; run in the embedder and change nothing. NULL as the above. */
    bool (*can_trap_cpuid)(void);
    bool (*can_trap_tsc)(void);
};

extern const struct arch_cpu tgi_arch;

#endif
