/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What stub/systrap_worker.c needs of this processor. Freestanding, general registers only. */
#ifndef ARCH_X86_64_SYSTRAP_STUB_H
#define ARCH_X86_64_SYSTRAP_STUB_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/stub_contract.h"
#include "between_looks.h"
#include "systrap_slot.h"

/* What the kernel pushes before it calls a handler. */
struct stub_sigframe {
    uint64_t flags;
    uint64_t link;
    uint64_t stack[3];
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    uint8_t *fpstate;
    uint64_t reserved[8];
    uint64_t signal_mask;
};

struct stub_siginfo {
    int32_t signo, error_number, code, pad;
    union {
        uint64_t addr;
        struct {
            uint64_t call_addr;
            int32_t syscall;
            uint32_t arch;
        } sys;
    } u;
};

/* Hidden, so that their addresses are computed from the instruction pointer. */
#pragma GCC visibility push(hidden)
extern const uint8_t tg_systrap_patched_gs[];
extern const uint8_t tg_systrap_copying[];
extern const uint8_t tg_systrap_copied[];
#pragma GCC visibility pop

#define XSAVE_SW_RESERVED 464
#define XSAVE_LEGACY_END  512

static inline void arch_pause(void)
{
    __asm__ volatile("pause");
}

static inline void arch_between_looks(void)
{
    x86_between_looks();
}

/* What tgi_arch_systrap->ticks() counts; not before what is written above it has happened. */
static inline uint64_t arch_ticks(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline int64_t arch_futex(uint32_t *word, uint32_t op, uint32_t value)
{
    int64_t result;
    register uint64_t timeout __asm__("r10") = 0;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(__NR_futex), "D"(word), "S"(op), "d"(value), "r"(timeout)
                     : "rcx", "r11", "memory");
    return result;
}

__attribute__((noreturn)) static inline void arch_end_thread(void)
{
    for (;;)
        __asm__ volatile("syscall" : : "a"(__NR_exit), "D"(0) : "rcx", "r11", "memory");
}

static inline void copy_bytes(void *to, const void *from, uint64_t n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static inline uint64_t read_fs_base(void)
{
    uint64_t base;

    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

static inline uint64_t read_gs_base(void)
{
    uint64_t base;

    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

#define READ_SELECTOR(name)                                                                                            \
    ({                                                                                                                 \
        uint16_t selector_;                                                                                            \
        __asm__ volatile("movw %%" #name ", %0" : "=r"(selector_));                                                    \
        selector_;                                                                                                     \
    })

#define LOAD_SELECTOR(name, value)                                                                                     \
    do {                                                                                                               \
        uint16_t wanted_ = (uint16_t)(value);                                                                          \
        if (READ_SELECTOR(name) != wanted_)                                                                            \
            __asm__ volatile("movw %0, %%" #name : : "r"(wanted_));                                                    \
    } while (0)

#define EFLAGS_TF         0x100ull
#define EFLAGS_KEPT       0x204000ull /* NT and ID */
#define SECCOMP_CODE      1
#define AUDIT_ARCH_NATIVE 0xc000003eu

static inline uint64_t arch_ip(const struct stub_sigframe *frame)
{
    return frame->rip;
}

static inline void arch_set_signal_mask(struct stub_sigframe *frame, uint64_t mask)
{
    frame->signal_mask = mask;
}

static inline uint8_t *arch_frame_fp(const struct stub_sigframe *frame)
{
    return frame->fpstate;
}

/* The first access of a patched call, where a guest has a %gs base of its own. */
static inline bool arch_is_declined_patch(const struct stub_sigframe *frame)
{
    return frame->rip == (uint64_t)tg_systrap_patched_gs;
}

static inline bool arch_end_copy(struct stub_sigframe *frame)
{
    if (frame->rip != (uint64_t)tg_systrap_copying)
        return false;
    frame->rip = (uint64_t)tg_systrap_copied;
    return true;
}

static inline void arch_leave_by_handler(void)
{
    __asm__ volatile("jmp tg_systrap_slow");
    __builtin_unreachable();
}

/* Stub code goes on without stopping at each instruction. */
static inline void arch_stop_stepping(struct stub_sigframe *frame)
{
    frame->eflags &= ~EFLAGS_TF;
}

static inline void arch_go_on_stepping(struct systrap_slot *slot)
{
    slot->other_regs[OTHER_EFLAGS] |= EFLAGS_TF;
}

static inline void arch_save(struct systrap_slot *slot, const struct stub_siginfo *info,
                             const struct stub_sigframe *frame, const struct systrap_worker *worker)
{
    uint64_t gs_base = read_gs_base();

    slot->resume = 0;
    slot->call_regs[CALL_RAX] = frame->rax;
    slot->call_regs[CALL_RDI] = frame->rdi;
    slot->call_regs[CALL_RSI] = frame->rsi;
    slot->call_regs[CALL_RDX] = frame->rdx;
    slot->call_regs[CALL_R10] = frame->r10;
    slot->call_regs[CALL_R8] = frame->r8;
    slot->call_regs[CALL_R9] = frame->r9;
    slot->other_regs[OTHER_RIP] = frame->rip;
    slot->other_regs[OTHER_RSP] = frame->rsp;
    slot->other_regs[OTHER_EFLAGS] = frame->eflags;
    slot->other_regs[OTHER_RCX] = frame->rcx;
    slot->other_regs[OTHER_R11] = frame->r11;
    slot->other_regs[OTHER_RBX] = frame->rbx;
    slot->other_regs[OTHER_RBP] = frame->rbp;
    slot->other_regs[OTHER_R12] = frame->r12;
    slot->other_regs[OTHER_R13] = frame->r13;
    slot->other_regs[OTHER_R14] = frame->r14;
    slot->other_regs[OTHER_R15] = frame->r15;
    slot->other_regs[OTHER_FS_BASE] = read_fs_base();
    slot->other_regs[OTHER_HIDDEN] = gs_base == (uint64_t)worker - GS_HIDDEN;
    slot->other_regs[OTHER_GS_BASE] = gs_base == (uint64_t)worker - GS_HIDDEN ? 0 : gs_base;
    slot->other_regs[OTHER_CS] = frame->cs;
    slot->other_regs[OTHER_SS] = frame->ss;
    slot->other_regs[OTHER_DS] = READ_SELECTOR(ds);
    slot->other_regs[OTHER_ES] = READ_SELECTOR(es);
    slot->other_regs[OTHER_FS] = READ_SELECTOR(fs);
    slot->other_regs[OTHER_GS] = READ_SELECTOR(gs);

    slot->code = info->code;
    slot->error_number = info->error_number;
    slot->addr = info->u.addr;
    slot->syscall = info->u.sys.syscall;
    slot->syscall_arch = info->u.sys.arch;
    slot->trap_number = (uint32_t)frame->trapno;
    slot->trap_error = frame->err;
}

/* A patched call of a guest that has a %gs base of its own: what the kernel would have reported. */
static inline void arch_make_syscall(struct systrap_slot *slot)
{
    uint64_t ip = *(const uint64_t *)(slot->other_regs[OTHER_RCX] - sizeof(uint64_t));

    slot->other_regs[OTHER_RIP] = ip;
    slot->other_regs[OTHER_RCX] = ip;
    slot->other_regs[OTHER_R11] = slot->other_regs[OTHER_EFLAGS];
    slot->code = SECCOMP_CODE;
    slot->addr = ip;
    slot->syscall = (int32_t)slot->call_regs[CALL_RAX];
    slot->syscall_arch = AUDIT_ARCH_NATIVE;
}

/* A patched call: what its entry has not saved. What is in the processor and only the guest changes is returned. */
static inline uint64_t arch_save_patched(struct systrap_slot *slot, uint64_t trampolines)
{
    const uint64_t fs_base = read_fs_base();

    slot->site = (uint16_t)((slot->resume - trampolines) / SYSTRAP_TRAMPOLINE);
    slot->other_regs[OTHER_FS_BASE] = fs_base;
    return fs_base;
}

/* A patched call's. */
static inline uint64_t arch_patched_number(const struct systrap_slot *slot)
{
    return slot->call_regs[CALL_RAX];
}

_Static_assert(CALL_RSI == CALL_RDI + 1 && CALL_RDX == CALL_RDI + 2 && CALL_R10 == CALL_RDI + 3 &&
                   CALL_R8 == CALL_RDI + 4 && CALL_R9 == CALL_RDI + 5,
               "in the order of a call's arguments");

static inline uint64_t arch_patched_argument(const struct systrap_slot *slot, uint32_t index)
{
    return slot->call_regs[CALL_RDI + index];
}

/* What it is answered with. */
static inline void arch_answer_patched(struct systrap_slot *slot, uint64_t result)
{
    slot->call_regs[CALL_RAX] = result;
}

/* May the context go on as after a patched call? */
static inline bool arch_resumable(const struct systrap_slot *slot)
{
    return slot->resume != 0 && !(slot->other_regs[OTHER_EFLAGS] & EFLAGS_TF);
}

/* in_processor: as returned by the last of the two. */
static inline uint64_t arch_restore_patched(const struct systrap_slot *slot, uint64_t in_processor)
{
    const uint64_t fs_base = slot->other_regs[OTHER_FS_BASE];

    if (fs_base != in_processor)
        __asm__ volatile("wrfsbase %0" : : "r"(fs_base));
    return fs_base;
}

/* Below the stack pointer there may be what the compiler keeps there. */
static inline uint64_t read_flags(void)
{
    uint64_t flags;

    __asm__ volatile("leaq -128(%%rsp), %%rsp; pushfq; popq %0; leaq 128(%%rsp), %%rsp" : "=r"(flags) : : "memory");
    return flags;
}

static inline void write_flags(uint64_t flags)
{
    __asm__ volatile("leaq -128(%%rsp), %%rsp; pushq %0; popfq; leaq 128(%%rsp), %%rsp"
                     :
                     : "r"(flags)
                     : "memory", "cc");
}

/* The kernel's return from a handler leaves these as they are in the processor, which may be another context's. */
static inline void restore_kept_flags(uint64_t wanted)
{
    const uint64_t now = read_flags();

    if ((now ^ wanted) & EFLAGS_KEPT)
        write_flags((now & ~EFLAGS_KEPT) | (wanted & EFLAGS_KEPT));
}

static inline void arch_restore(const struct systrap_slot *slot, struct stub_sigframe *frame,
                                const struct systrap_worker *worker, bool hide)
{
    uint64_t gs_base = slot->other_regs[OTHER_GS_BASE];

    frame->rax = slot->call_regs[CALL_RAX];
    frame->rdi = slot->call_regs[CALL_RDI];
    frame->rsi = slot->call_regs[CALL_RSI];
    frame->rdx = slot->call_regs[CALL_RDX];
    frame->r10 = slot->call_regs[CALL_R10];
    frame->r8 = slot->call_regs[CALL_R8];
    frame->r9 = slot->call_regs[CALL_R9];
    frame->rip = slot->resume ? slot->resume : slot->other_regs[OTHER_RIP];
    frame->rsp = slot->other_regs[OTHER_RSP];
    frame->eflags = slot->other_regs[OTHER_EFLAGS];
    restore_kept_flags(slot->other_regs[OTHER_EFLAGS]);
    frame->rcx = slot->other_regs[OTHER_RCX];
    frame->r11 = slot->other_regs[OTHER_R11];
    frame->rbx = slot->other_regs[OTHER_RBX];
    frame->rbp = slot->other_regs[OTHER_RBP];
    frame->r12 = slot->other_regs[OTHER_R12];
    frame->r13 = slot->other_regs[OTHER_R13];
    frame->r14 = slot->other_regs[OTHER_R14];
    frame->r15 = slot->other_regs[OTHER_R15];
    frame->cs = (uint16_t)slot->other_regs[OTHER_CS];
    frame->ss = (uint16_t)slot->other_regs[OTHER_SS];
    /* Loading a selector may clear its base: bases come last. */
    LOAD_SELECTOR(ds, slot->other_regs[OTHER_DS]);
    LOAD_SELECTOR(es, slot->other_regs[OTHER_ES]);
    LOAD_SELECTOR(fs, slot->other_regs[OTHER_FS]);
    LOAD_SELECTOR(gs, slot->other_regs[OTHER_GS]);
    __asm__ volatile("wrfsbase %0" : : "r"(slot->other_regs[OTHER_FS_BASE]));
    if (hide && gs_base == 0 && slot->other_regs[OTHER_GS] == 0)
        gs_base = (uint64_t)worker - GS_HIDDEN;
    __asm__ volatile("wrgsbase %0" : : "r"(gs_base));
}

/* The FP state that is in the processor. */
static inline void arch_save_live_fp(uint8_t *image, uint64_t features)
{
    __asm__ volatile("xsaveopt64 (%0)"
                     :
                     : "r"(image), "a"((uint32_t)features), "d"((uint32_t)(features >> 32))
                     : "memory");
}

static inline void arch_load_live_fp(const uint8_t *image, uint64_t features)
{
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(image), "a"((uint32_t)features), "d"((uint32_t)(features >> 32))
                     : "memory");
}

/* The FP state of the thread that the frame belongs to is in the frame. */
static inline void arch_save_fp(uint8_t *image, uint64_t size, const struct stub_sigframe *frame)
{
    copy_bytes(image, frame->fpstate, size);
}

/* All but what the kernel wrote there for itself. */
static inline void arch_load_fp(const uint8_t *image, uint64_t size, const struct stub_sigframe *frame)
{
    copy_bytes(frame->fpstate, image, XSAVE_SW_RESERVED);
    copy_bytes(frame->fpstate + XSAVE_LEGACY_END, image + XSAVE_LEGACY_END, size - XSAVE_LEGACY_END);
}

#endif
