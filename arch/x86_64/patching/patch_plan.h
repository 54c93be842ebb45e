/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Plans the patch of one `syscall` instruction: a pure function of bytes and addresses. */
#ifndef ARCH_X86_64_PATCHING_PATCH_PLAN_H
#define ARCH_X86_64_PATCHING_PATCH_PLAN_H

#include "arch/patch_refusal.h"
#include "patch_site.h"

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

/* Calls that are left alone, by their number: they never come back, and unwinders know their bytes. */
static inline bool patch_is_signal_return(uint64_t nr)
{
    return nr == 15 /* rt_sigreturn */ || nr == 0x40000000u + 513 /* the same of x32 */;
}

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

/* The plan is written in any case; `site.pattern` is PATCH_NONE unless PATCH_OK is returned. */
enum patch_refusal patch_plan_make(const struct patch_request *request, struct patch_plan *plan);

#endif
