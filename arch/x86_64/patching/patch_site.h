/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How a hot `syscall` instruction is replaced by a jump to a trampoline.
 * patch_plan.h plans that; here is what has to be remembered of it, and what it
 * says of a thread inside. All files named patch_* are pure functions of bytes
 * and addresses: nothing is read from a guest, written or allocated.
 * docs/decisions/0013-patch-sites.md has the reasons.
 *
 *      site                          trampoline (stub memory, the guest may run it)
 *
 *      mov $39,%eax   \               [mov $39,%eax]            displaced, BEFORE
 *      syscall        / jmp *table     lea after(%rip),%rcx
 *      cmp $-4095,%rax                 jmp *entry(%rip)
 *                                      .quad entry
 *                                      .quad the address behind the syscall
 *                               after: [cmp $-4095,%rax]         displaced, AFTER
 *                                      jmp *back(%rip)
 *                                      .quad back
 *
 * A site has either a displaced instruction before the syscall or some behind
 * it, never both. Those behind it may fault, as the last resort; a thread that
 * does so stands for one at the original instruction. The common entry may use
 * rcx and r11, which the instruction it stands for clobbers, finds the original
 * instruction pointer at -8(%rcx) and continues at rcx.
 *
 * A thread that arrives anywhere in the replaced bytes but at the first of
 * them traps, and patch_redirect says what it wanted.
 */
#ifndef ARCH_X86_64_PATCHING_PATCH_SITE_H
#define ARCH_X86_64_PATCHING_PATCH_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATCH_JUMP_LENGTH 7
#define PATCH_SITE_MAX    32 /* bytes that one site replaces, at most */

enum patch_pattern {
    PATCH_NONE,
    PATCH_BEFORE_MOV_EAX, /* mov $nr,%eax; syscall: the jump replaces both */
    PATCH_BEFORE_OTHER,   /* a longer mov of the number: the jump replaces that alone, the syscall stays */
    PATCH_AFTER,          /* syscall and what follows it */
    PATCH_PATTERNS,
};

/* What has to be remembered of a patched site. */
struct patch_site {
    uint64_t start;        /* address of the first replaced byte */
    uint64_t trampoline;   /* address of the trampoline */
    uint8_t pattern;       /* enum patch_pattern */
    uint8_t length;        /* replaced bytes */
    uint8_t before_length; /* of the displaced mov, 0 for PATCH_AFTER */
    uint8_t after_offset;  /* in the trampoline: where the common entry continues */
    uint8_t after_length;  /* of the displaced instructions behind the call, 0 for the others */
    uint8_t boundaries;    /* bit n: an instruction behind the syscall started at byte n of the site */
};

enum patch_redirect_kind {
    PATCH_NOT_OURS,    /* the guest's own fault */
    PATCH_SYSCALL,     /* it came to the old syscall instruction: make the call with the registers that it has */
    PATCH_CONTINUE_AT, /* go on at the address: a displaced instruction is there */
};

struct patch_redirect {
    enum patch_redirect_kind kind;
    uint64_t addr; /* PATCH_CONTINUE_AT alone, else 0 */
};

/*
 * The original address that stands for a thread interrupted at this offset of
 * the trampoline. Its registers are those of that address, but for rcx (and
 * r11 inside the common entry), which the syscall that follows clobbers.
 */
uint64_t patch_original_ip(const struct patch_site *site, size_t offset);

/* The address of the syscall instruction, and the one behind it. */
uint64_t patch_syscall_ip(const struct patch_site *site);
uint64_t patch_return_ip(const struct patch_site *site);

/* What a thread wanted that trapped (SIGILL, SIGSEGV) at this instruction pointer. */
struct patch_redirect patch_redirect(const struct patch_site *site, uint64_t ip);

#endif
