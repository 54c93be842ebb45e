/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The library's side of the systrap backend on x86-64: slots, page fault codes, and whether it works here. */
#include <cpuid.h>
#include <linux/audit.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "between_looks.h"
#include "stub/systrap_protocol.h"
#include "systrap_slot.h"
#include "x86_64.h"

#define HWCAP2_FSGSBASE 0x2
#define CPUID_OSXSAVE   (1u << 27) /* leaf 1, ecx */
#define CPUID_XSTATE    0xd
#define CPUID_XSAVEOPT  1u /* leaf 0xd.1, eax */
#define XSTATE_BASE     576
#define XSTATE_AMX      0x60000ull /* needs a permission of its own, which stubs do not have */
#define XSTATE_TILES    0x40000ull /* what that permission is about */
#define XSTATE_LAST     62
#define GET_XCOMP_PERM  0x1022 /* of arch_prctl(2), Linux 5.16 */
#define SW_RESERVED     464
#define SW_RESERVED_END 512
#define XSTATE_BV       512
#define XFEATURE_X87    1ull
#define XFEATURE_SSE    2ull
#define LEGACY_MXCSR    24
#define LEGACY_X87_REGS 32
#define LEGACY_XMM_REGS 160
#define VSYSCALL_PAGE   0xffffffffff600000ull
#define CACHE_LINE      64
#define USER_RPL        3 /* the privilege level that a selector asks for */

void x86_systrap_pause(void)
{
    __builtin_ia32_pause();
}

void x86_systrap_between_looks(void)
{
    x86_between_looks();
}

/* By name, for the compiler's own prefetch asks for lines to read unless it may use what not all processors have. */
void x86_systrap_fetch_to_write(void *place, size_t length)
{
    for (size_t at = 0; at < length; at += CACHE_LINE)
        __asm__ volatile("prefetchw %0" : : "m"(*((char *)place + at)));
}

/* Not before what is written above it has happened. */
uint64_t x86_systrap_ticks(void)
{
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
}

/* Nobody can give that permission back, and nothing here saves the tiles: one context would see another's. */
static bool amx_is_permitted(void)
{
    uint64_t permitted = 0;

    return !syscall(SYS_arch_prctl, GET_XCOMP_PERM, &permitted) && permitted & XSTATE_TILES;
}

const char *x86_systrap_missing(void)
{
    unsigned int a;
    unsigned int b;
    unsigned int c;
    unsigned int d;

    if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE))
        return "the processor or the kernel has no FSGSBASE instructions";
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & CPUID_OSXSAVE))
        return "the processor or the kernel has no XSAVE";
    if (!__get_cpuid_count(CPUID_XSTATE, 1, &a, &b, &c, &d) || !(a & CPUID_XSAVEOPT))
        return "the processor has no XSAVEOPT";
    if (amx_is_permitted())
        return "this process may use AMX, and stubs would inherit that";
    return NULL;
}

/* The standard format: every feature has its own place, whichever are in use. CPUID is slow in virtual machines. */
static struct xstate {
    uint64_t features;
    size_t size;
    struct {
        uint32_t offset;
        uint32_t length;
    } parts[XSTATE_LAST + 1];
} xstate;

static pthread_once_t xstate_once = PTHREAD_ONCE_INIT;

static void learn_xstate(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    xstate.features = ((uint64_t)high << 32 | low) & ~XSTATE_AMX;
    xstate.size = XSTATE_BASE;
    for (unsigned int i = 2; i <= XSTATE_LAST; i++) {
        unsigned int length;
        unsigned int offset;
        unsigned int c;
        unsigned int d;

        if (!(xstate.features >> i & 1))
            continue;
        __cpuid_count(CPUID_XSTATE, i, length, offset, c, d);
        xstate.parts[i].offset = offset;
        xstate.parts[i].length = length;
        if (offset + length > xstate.size)
            xstate.size = offset + length;
    }
}

size_t x86_systrap_fp_learn(void *image, size_t capacity, uint64_t *features)
{
    pthread_once(&xstate_once, learn_xstate);
    *features = xstate.features;
    if (xstate.size > capacity)
        return 0;
    /* For the processor's MXCSR mask; what else is in there, x86_fp_init() replaces. */
    __asm__ volatile("xsave64 (%0)"
                     :
                     : "r"(image), "a"((uint32_t)*features), "d"((uint32_t)(*features >> 32))
                     : "memory");
    memset((uint8_t *)image + SW_RESERVED, 0, SW_RESERVED_END - SW_RESERVED);
    memcpy((uint8_t *)image + SW_RESERVED, features, sizeof(*features));
    return xstate.size;
}

/* XSAVEOPT leaves out what is in its initial state; the memory holds what was there before. */
static void fill_initial(uint8_t *image, const uint8_t *initial, size_t size)
{
    uint64_t present;
    const uint64_t legacy = XFEATURE_X87 | XFEATURE_SSE;

    memcpy(&present, image + XSTATE_BV, sizeof(present));
    if (!(present & XFEATURE_X87)) {
        memcpy(image, initial, LEGACY_MXCSR);
        memcpy(image + LEGACY_X87_REGS, initial + LEGACY_X87_REGS, LEGACY_XMM_REGS - LEGACY_X87_REGS);
    }
    if (!(present & XFEATURE_SSE))
        memcpy(image + LEGACY_XMM_REGS, initial + LEGACY_XMM_REGS, SW_RESERVED - LEGACY_XMM_REGS);
    for (unsigned int i = 2; i <= XSTATE_LAST; i++) {
        if (!(present >> i & 1) && xstate.parts[i].offset + xstate.parts[i].length <= size)
            memset(image + xstate.parts[i].offset, 0, xstate.parts[i].length);
    }
    present |= legacy;
    memcpy(image + XSTATE_BV, &present, sizeof(present));
}

void x86_systrap_fp_repair(void *image, const void *initial, size_t size)
{
    fill_initial(image, initial, size);
    memcpy((uint8_t *)image + SW_RESERVED, (const uint8_t *)initial + SW_RESERVED, SW_RESERVED_END - SW_RESERVED);
    if (x86_fp_check(image, initial, size))
        memcpy(image, initial, size);
}

void x86_systrap_read_regs(const struct systrap_slot *slot, tg_regs *regs)
{
    regs->rax = slot->call_regs[CALL_RAX];
    regs->rdi = slot->call_regs[CALL_RDI];
    regs->rsi = slot->call_regs[CALL_RSI];
    regs->rdx = slot->call_regs[CALL_RDX];
    regs->r10 = slot->call_regs[CALL_R10];
    regs->r8 = slot->call_regs[CALL_R8];
    regs->r9 = slot->call_regs[CALL_R9];
    regs->rip = slot->other_regs[OTHER_RIP];
    regs->rsp = slot->other_regs[OTHER_RSP];
    regs->eflags = slot->other_regs[OTHER_EFLAGS];
    regs->rcx = slot->other_regs[OTHER_RCX];
    regs->r11 = slot->other_regs[OTHER_R11];
    regs->rbx = slot->other_regs[OTHER_RBX];
    regs->rbp = slot->other_regs[OTHER_RBP];
    regs->r12 = slot->other_regs[OTHER_R12];
    regs->r13 = slot->other_regs[OTHER_R13];
    regs->r14 = slot->other_regs[OTHER_R14];
    regs->r15 = slot->other_regs[OTHER_R15];
    regs->fs_base = slot->other_regs[OTHER_FS_BASE];
    regs->gs_base = slot->other_regs[OTHER_GS_BASE];
    /* As the processor would have it: what a guest made up for another privilege level could not be set again. */
    regs->cs = (uint16_t)slot->other_regs[OTHER_CS] | USER_RPL;
    regs->ss = (uint16_t)slot->other_regs[OTHER_SS] | USER_RPL;
    regs->ds = (uint16_t)slot->other_regs[OTHER_DS];
    regs->es = (uint16_t)slot->other_regs[OTHER_ES];
    regs->fs = (uint16_t)slot->other_regs[OTHER_FS];
    regs->gs = (uint16_t)slot->other_regs[OTHER_GS];
    regs->orig_rax = regs->rax;
}

void x86_systrap_write_regs(struct systrap_slot *slot, const tg_regs *regs)
{
    slot->call_regs[CALL_RAX] = regs->rax;
    slot->call_regs[CALL_RDI] = regs->rdi;
    slot->call_regs[CALL_RSI] = regs->rsi;
    slot->call_regs[CALL_RDX] = regs->rdx;
    slot->call_regs[CALL_R10] = regs->r10;
    slot->call_regs[CALL_R8] = regs->r8;
    slot->call_regs[CALL_R9] = regs->r9;
    slot->other_regs[OTHER_RIP] = regs->rip;
    slot->other_regs[OTHER_RSP] = regs->rsp;
    slot->other_regs[OTHER_EFLAGS] = regs->eflags;
    slot->other_regs[OTHER_RCX] = regs->rcx;
    slot->other_regs[OTHER_R11] = regs->r11;
    slot->other_regs[OTHER_RBX] = regs->rbx;
    slot->other_regs[OTHER_RBP] = regs->rbp;
    slot->other_regs[OTHER_R12] = regs->r12;
    slot->other_regs[OTHER_R13] = regs->r13;
    slot->other_regs[OTHER_R14] = regs->r14;
    slot->other_regs[OTHER_R15] = regs->r15;
    slot->other_regs[OTHER_FS_BASE] = regs->fs_base;
    slot->other_regs[OTHER_GS_BASE] = regs->gs_base;
    slot->other_regs[OTHER_CS] = regs->cs;
    slot->other_regs[OTHER_SS] = regs->ss;
    slot->other_regs[OTHER_DS] = regs->ds;
    slot->other_regs[OTHER_ES] = regs->es;
    slot->other_regs[OTHER_FS] = regs->fs;
    slot->other_regs[OTHER_GS] = regs->gs;
}

void x86_systrap_set_return(struct systrap_slot *slot, int64_t value)
{
    slot->call_regs[CALL_RAX] = (uint64_t)value;
}

_Static_assert(CALL_RSI == CALL_RDI + 1 && CALL_RDX == CALL_RDI + 2 && CALL_R10 == CALL_RDI + 3 &&
                   CALL_R8 == CALL_RDI + 4 && CALL_R9 == CALL_RDI + 5,
               "arguments are in the slot as in an event");

/* In one go: what is stored in small pieces and then copied in larger ones has to wait for the stores. */
static void read_native(const struct systrap_slot *slot, struct arch_syscall *out)
{
    out->arch = AUDIT_ARCH_X86_64;
    memcpy(out->args, &slot->call_regs[CALL_RDI], sizeof(out->args));
}

static void read_compat(const struct systrap_slot *slot, struct arch_syscall *out)
{
    out->arch = AUDIT_ARCH_I386;
    out->args[0] = slot->other_regs[OTHER_RBX];
    out->args[1] = slot->other_regs[OTHER_RCX];
    out->args[2] = slot->call_regs[CALL_RDX];
    out->args[3] = slot->call_regs[CALL_RSI];
    out->args[4] = slot->call_regs[CALL_RDI];
    out->args[5] = slot->other_regs[OTHER_RBP];
}

bool x86_systrap_read_syscall(const struct systrap_slot *slot, const struct arch_signal *details,
                              struct arch_syscall *out)
{
    /* The vsyscall page is for x86_syscall_from_signal(). */
    if (details->addr >= VSYSCALL_PAGE)
        return false;
    if (details->syscall_arch == AUDIT_ARCH_X86_64)
        read_native(slot, out);
    else if (details->syscall_arch == AUDIT_ARCH_I386)
        read_compat(slot, out);
    else
        return false;
    out->nr = slot->call_regs[CALL_RAX];
    out->ip = details->addr;
    x86_syscall_entered(out);
    return true;
}

void x86_systrap_read_patched(const struct systrap_slot *slot, uint64_t ip, struct arch_syscall *out)
{
    read_native(slot, out);
    out->nr = slot->call_regs[CALL_RAX];
    out->ip = ip;
    x86_syscall_entered(out);
    out->flags |= TG_FLAG_PATCHED;
}

void x86_systrap_keep_resume(struct systrap_slot *slot, bool keep)
{
    const uint64_t *regs = slot->other_regs;

    if (!keep || regs[OTHER_CS] != X86_USER_CS || regs[OTHER_SS] != X86_USER_DS || regs[OTHER_GS_BASE] ||
        regs[OTHER_DS] || regs[OTHER_ES] || regs[OTHER_FS] || regs[OTHER_GS])
        slot->resume = 0;
}

uint32_t x86_systrap_error_access(const struct arch_signal *details)
{
    if (details->number != X86_PAGE_FAULT)
        return 0;
    if (details->error_code & X86_FAULT_FETCH)
        return TG_ACCESS_EXEC;
    return details->error_code & X86_FAULT_WRITE ? TG_ACCESS_WRITE : TG_ACCESS_READ;
}

bool x86_systrap_hides_base(const struct systrap_slot *slot)
{
    return slot->other_regs[OTHER_HIDDEN];
}

/* The signal frame's image is in the same format. */
bool x86_systrap_fp_from_frame(void *image, size_t size, const uint8_t *frame_fp, size_t room)
{
    if (room < size)
        return false;
    memcpy(image, frame_fp, size);
    return true;
}
