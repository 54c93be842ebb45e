/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which exception a signal stands for. ptrace shows the signal alone; what the
 * kernel made it from follows from its code and from the instruction. Where
 * that leaves a choice, trapgate.h says which one is made.
 */
#include <signal.h>

#include "x86_64.h"

#define DIVIDE_ERROR       0
#define DEBUG_EXCEPTION    1
#define BREAKPOINT         3
#define BOUND_RANGE        5
#define INVALID_OPCODE     6
#define STACK_SEGMENT      12
#define GENERAL_PROTECTION 13
#define X87_ERROR          16
#define ALIGNMENT_CHECK    17
#define SIMD_ERROR         19
#define CONTROL_PROTECTION 21

#define SEGV_CONTROL_DENIED 10 /* SEGV_CPERR of newer C libraries */

#define OPCODE_INT        0xcd
#define OPCODE_FWAIT      0x9b
#define OPCODE_X87        0xd8 /* and the seven that follow */
/* The error code of an interrupt that user code must not raise names the gate. */
#define INT_ERROR(vector) ((uint64_t)(vector) << 3 | 0x2)

/* The kernel calls each access above user space a protection fault, so as to hide what it has there. */
static bool is_kernel_address(uint64_t addr)
{
    return addr >> 63 || (addr >= X86_USER_END && addr >> 47 == 0);
}

static bool is_readable(const struct arch_guest *guest, uint64_t addr)
{
    uint8_t byte;

    return guest->read(guest->arg, addr, &byte, sizeof(byte)) == sizeof(byte);
}

static uint64_t page_fault_error(const siginfo_t *info, uint32_t access, const struct arch_guest *guest)
{
    const uint64_t addr = (uint64_t)(uintptr_t)info->si_addr;
    uint64_t error = X86_FAULT_USER;

    if (access == TG_ACCESS_WRITE)
        error |= X86_FAULT_WRITE;
    if (access == TG_ACCESS_EXEC)
        error |= X86_FAULT_FETCH;
    if (info->si_signo == SIGBUS)
        return error;
    if (info->si_code == SEGV_PKUERR)
        return error | X86_FAULT_PRESENT | X86_FAULT_KEY;
    if (is_kernel_address(addr) || (info->si_code == SEGV_ACCERR && is_readable(guest, addr)))
        error |= X86_FAULT_PRESENT;
    return error;
}

static uint64_t protection_error(const tg_regs *regs, const struct arch_guest *guest)
{
    uint8_t code[2];

    if (guest->read(guest->arg, regs->rip, code, sizeof(code)) != sizeof(code) || code[0] != OPCODE_INT)
        return 0;
    return INT_ERROR(code[1]);
}

/* An x87 error comes with the next x87 instruction, an SSE error with its own. */
static uint32_t fp_error(const tg_regs *regs, const struct arch_guest *guest)
{
    uint8_t opcode;

    if (guest->read(guest->arg, regs->rip, &opcode, sizeof(opcode)) != sizeof(opcode))
        return X87_ERROR;
    return opcode == OPCODE_FWAIT || (opcode & 0xf8) == OPCODE_X87 ? X87_ERROR : SIMD_ERROR;
}

static uint32_t segv_number(const siginfo_t *info)
{
    switch (info->si_code) {
    case SI_KERNEL:
        return GENERAL_PROTECTION;
    case SEGV_BNDERR:
        return BOUND_RANGE;
    case SEGV_CONTROL_DENIED:
        return CONTROL_PROTECTION;
    default:
        return X86_PAGE_FAULT;
    }
}

static uint32_t bus_number(const siginfo_t *info)
{
    if (info->si_code == BUS_ADRALN)
        return ALIGNMENT_CHECK;
    return info->si_code == SI_KERNEL ? STACK_SEGMENT : X86_PAGE_FAULT;
}

static uint32_t number_of(const tg_regs *regs, const siginfo_t *info, const struct arch_guest *guest)
{
    switch (info->si_signo) {
    case SIGSEGV:
        return segv_number(info);
    case SIGBUS:
        return bus_number(info);
    case SIGFPE:
        return info->si_code == FPE_INTDIV ? DIVIDE_ERROR : fp_error(regs, guest);
    case SIGTRAP:
        return info->si_code == SI_KERNEL ? BREAKPOINT : DEBUG_EXCEPTION;
    default:
        return INVALID_OPCODE;
    }
}

struct arch_exception x86_derive_exception(const tg_regs *regs, const siginfo_t *info, uint32_t access,
                                           const struct arch_guest *guest)
{
    struct arch_exception exception = {.number = number_of(regs, info, guest),
                                       .flags = TG_FLAG_TRAP | TG_FLAG_TRAP_DERIVED};

    if (exception.number == X86_PAGE_FAULT)
        exception.error_code = page_fault_error(info, access, guest);
    else if (exception.number == GENERAL_PROTECTION)
        exception.error_code = protection_error(regs, guest);
    return exception;
}
