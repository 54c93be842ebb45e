/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What patched calls of the systrap backend need of a processor. */
#ifndef ARCH_ARCH_PATCHING_H
#define ARCH_ARCH_PATCHING_H

#include "arch/arch_systrap.h"
#include "arch/patch_refusal.h"

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

struct arch_patching {
    uint64_t table_start; /* where an absolute jump reaches it, in user space: reserved */
    uint64_t table_size;
    uint32_t code_before; /* bytes that planning looks at, before the event's ip and from there on */
    uint32_t code_after;
    uint32_t proof_before; /* the same for proving, which looks at nothing behind the ip: more than code_before */
    uint8_t trap_byte;     /* stands for code that is not there */

    /* Where in the table the pointer to the trampoline of this number is: each has one place. */
    uint32_t (*table_place)(uint32_t number);
    /* PATCH_OK: the patch and its trampoline are written. */
    enum patch_refusal (*plan)(const struct arch_patch_request *request, struct arch_patch *patch, uint8_t *trampoline,
                               size_t *trampoline_length);
    /*
     * Bit n: what a patch of the call that ends at ip replaces may begin n bytes before ip, for every program with this
     * code, whatever the guest did from which the ip comes. 0: nothing may be patched there for others.
     */
    uint32_t (*proven_starts)(const uint8_t *code, uint64_t code_addr, size_t length, uint64_t ip);
    /* Behind the original instruction. */
    uint64_t (*return_ip)(const struct arch_patch *patch);
    /* Where a thread is that was stopped at this offset in the trampoline. */
    uint64_t (*original_ip)(const struct arch_patch *patch, uint64_t offset);
    void (*set_ip)(tg_regs *regs, uint64_t ip);
    /* Changes regs to what they are at the call, or to where to go on. */
    enum arch_patch_meaning (*explain)(const struct arch_patch *patch, tg_regs *regs, struct arch_syscall *out);

    /* As arch_systrap.read_syscall, of a patched call; ip: behind the original instruction. */
    void (*read_syscall)(const struct systrap_slot *slot, uint64_t ip, struct arch_syscall *out);
    /* The registers that were written are those of the patched call that the context came with: it may go on directly.
     */
    void (*keep_resume)(struct systrap_slot *slot, bool keep);
    /* Registers with which patched calls would not work or be seen. */
    bool (*forbids)(const tg_regs *regs);
    /* Whether the signal came from an instruction that uses what a worker hides from guests. NULL: it hides nothing. */
    bool (*met_hidden)(const struct systrap_slot *slot, const siginfo_t *info, const tg_regs *regs,
                       const struct arch_guest *guest);
};

/* NULL: no call is patched on this processor. */
extern const struct arch_patching *const tgi_arch_patching;

#endif
