/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How a hot `syscall` instruction is replaced by a jump to a trampoline.
 * Everything here is a pure function of bytes and addresses: nothing is read
 * from a guest, written or allocated. docs/decisions/0013-patch-sites.md has
 * the reasons.
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
 * does so stands for one at the original instruction. The common entry may use rcx and r11, which the instruction
 * it stands for clobbers, finds the original instruction pointer at -8(%rcx)
 * and continues at rcx.
 *
 * A thread that arrives anywhere in the replaced bytes but at the first of
 * them traps, and patch_redirect says what it wanted.
 */
#ifndef ARCH_X86_64_PATCH_SITE_H
#define ARCH_X86_64_PATCH_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/patch_refusal.h"

#define PATCH_JUMP_LENGTH    7
#define PATCH_SITE_MAX       32 /* bytes that one site replaces, at most */
#define PATCH_TRAMPOLINE_MAX 128

/*
 * Where the table of pointers may lie. The third byte of such an address is 06
 * or 07, an invalid instruction, and lands on the old `syscall`.
 */
#define PATCH_TABLE_START 0x00060000ull
#define PATCH_TABLE_END   0x00080000ull

/* The most that the planner can use of the bytes before the syscall instruction, and of those from there on. */
#define PATCH_WINDOW_BEFORE 24 /* 10 of a mov, and 14 of what could cover its first byte */
#define PATCH_WINDOW_AFTER  21 /* the syscall, 4 bytes, and the longest instruction */

enum patch_pattern {
    PATCH_NONE,
    PATCH_BEFORE_MOV_EAX, /* mov $nr,%eax; syscall: the jump replaces both */
    PATCH_BEFORE_OTHER,   /* a longer mov of the number: the jump replaces that alone, the syscall stays */
    PATCH_AFTER,          /* syscall and what follows it */
    PATCH_PATTERNS,
};

struct patch_request {
    uint64_t ip;          /* behind the syscall, as the system call event has it */
    uint64_t nr;          /* the system call number as it was in rax */
    const uint8_t *code;  /* what could be read around the site; any part may be missing */
    uint64_t code_addr;   /* where that is in the guest */
    size_t code_length;   /* and how many bytes of it there are */
    uint64_t table_entry; /* address of the site's 8-byte pointer, which will hold `trampoline` */
    uint64_t trampoline;  /* address where the trampoline will be, 8-byte aligned */
    uint64_t entry;       /* address of the stub's common entry */
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

struct patch_plan {
    struct patch_site site;
    enum patch_refusal refusal;        /* PATCH_OK, or the reason that says most; the two behind it are why */
    enum patch_refusal refusal_before; /* of the instruction before the syscall; PATCH_OK if not asked */
    enum patch_refusal refusal_after;  /* of those behind it */
    uint8_t original[PATCH_SITE_MAX];
    uint8_t replacement[PATCH_SITE_MAX];
    uint8_t trampoline[PATCH_TRAMPOLINE_MAX];
    size_t trampoline_length;
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

/* The plan is written in any case; `site.pattern` is PATCH_NONE unless PATCH_OK is returned. */
enum patch_refusal patch_plan_make(const struct patch_request *request, struct patch_plan *plan);

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
