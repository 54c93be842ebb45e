/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a faulting instruction did: ptrace does not show the page fault's error
 * code, so the instruction is decoded and its memory operands are compared
 * with the address of the fault.
 */
#include <Zydis/Zydis.h>
#include <string.h>

#include "x86_64.h"

#define INSTRUCTION_MAX      15
#define PAGE_MASK            0xfffull
#define UNKNOWN_OPERAND_SIZE 4096 /* XSAVE and the like: no size in the encoding */

struct decoded {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static uint64_t register_value(const tg_regs *regs, ZydisRegister reg)
{
    switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)) {
    case ZYDIS_REGISTER_RAX:
        return regs->rax;
    case ZYDIS_REGISTER_RBX:
        return regs->rbx;
    case ZYDIS_REGISTER_RCX:
        return regs->rcx;
    case ZYDIS_REGISTER_RDX:
        return regs->rdx;
    case ZYDIS_REGISTER_RSI:
        return regs->rsi;
    case ZYDIS_REGISTER_RDI:
        return regs->rdi;
    case ZYDIS_REGISTER_RBP:
        return regs->rbp;
    case ZYDIS_REGISTER_RSP:
        return regs->rsp;
    case ZYDIS_REGISTER_R8:
        return regs->r8;
    case ZYDIS_REGISTER_R9:
        return regs->r9;
    case ZYDIS_REGISTER_R10:
        return regs->r10;
    case ZYDIS_REGISTER_R11:
        return regs->r11;
    case ZYDIS_REGISTER_R12:
        return regs->r12;
    case ZYDIS_REGISTER_R13:
        return regs->r13;
    case ZYDIS_REGISTER_R14:
        return regs->r14;
    case ZYDIS_REGISTER_R15:
        return regs->r15;
    default:
        return 0;
    }
}

static uint64_t segment_base(const tg_regs *regs, ZydisRegister segment)
{
    if (segment == ZYDIS_REGISTER_FS)
        return regs->fs_base;
    if (segment == ZYDIS_REGISTER_GS)
        return regs->gs_base;
    return 0;
}

static uint64_t operand_address(const tg_regs *regs, const struct decoded *d, const ZydisDecodedOperand *op)
{
    uint64_t address = op->mem.disp.has_displacement ? (uint64_t)op->mem.disp.value : 0;

    if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP)
        address += regs->rip + d->instruction.length;
    else
        address += register_value(regs, op->mem.base);
    if (op->mem.index != ZYDIS_REGISTER_NONE)
        address += register_value(regs, op->mem.index) * op->mem.scale;
    if (d->instruction.address_width == 32)
        address = (uint32_t)address;
    return address + segment_base(regs, op->mem.segment);
}

static bool is_stack_operand(const ZydisDecodedOperand *op)
{
    return op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && op->mem.base == ZYDIS_REGISTER_RSP;
}

/* Does the operand reach the address? Vector-indexed operands have no single address: they always may. */
static bool operand_covers(const tg_regs *regs, const struct decoded *d, const ZydisDecodedOperand *op, uint64_t addr)
{
    uint64_t start;
    uint64_t size = op->size ? op->size / 8 : UNKNOWN_OPERAND_SIZE;

    if (op->mem.type == ZYDIS_MEMOP_TYPE_VSIB)
        return true;
    start = operand_address(regs, d, op);
    if (is_stack_operand(op)) {
        /* Pushes store below the stack pointer that the fault reports, pops load above it. */
        start -= size;
        size *= 2;
    }
    return addr - start < size;
}

static uint32_t operand_access(const ZydisDecodedOperand *op)
{
    return op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? TG_ACCESS_WRITE : TG_ACCESS_READ;
}

static bool is_memory_access(const ZydisDecodedOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type != ZYDIS_MEMOP_TYPE_AGEN && op->actions;
}

/*
 * The access to addr by the instruction's data operands, 0 when none reaches
 * it. Loads come before stores, so a load that reaches the address wins.
 */
static uint32_t data_access(const tg_regs *regs, const struct decoded *d, uint64_t addr)
{
    uint32_t found = 0;

    for (size_t i = 0; i < d->instruction.operand_count; i++) {
        const ZydisDecodedOperand *op = &d->operands[i];

        if (is_memory_access(op) && operand_covers(regs, d, op, addr))
            found |= operand_access(op);
    }
    return found & TG_ACCESS_READ ? TG_ACCESS_READ : found;
}

/* For an address that no operand explains: what the instruction does to memory at all. */
static uint32_t any_access(const struct decoded *d)
{
    uint32_t found = 0;

    for (size_t i = 0; i < d->instruction.operand_count; i++) {
        if (is_memory_access(&d->operands[i]))
            found |= operand_access(&d->operands[i]);
    }
    return found & TG_ACCESS_READ ? TG_ACCESS_READ : found;
}

static bool decode(const tg_regs *regs, const uint8_t *code, size_t length, struct decoded *d)
{
    ZydisDecoder decoder;
    bool compat = regs->cs == X86_USER_CS_COMPAT;

    if (ZYAN_FAILED(ZydisDecoderInit(&decoder, compat ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_64,
                                     compat ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64)))
        return false;
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, length, &d->instruction, d->operands));
}

/* Could fetching the instruction at ip have touched addr? */
static bool fetch_reaches(uint64_t ip, uint64_t addr)
{
    if (addr == ip)
        return true;
    return addr - ip < INSTRUCTION_MAX && (addr & PAGE_MASK) == 0;
}

uint32_t x86_fault_access(const tg_regs *regs, uint64_t addr, const struct arch_guest *guest)
{
    uint8_t code[INSTRUCTION_MAX];
    struct decoded d;
    size_t length = guest->read(guest->arg, regs->rip, code, sizeof(code));
    uint32_t access;

    if (!length || !decode(regs, code, length, &d))
        return fetch_reaches(regs->rip, addr) ? TG_ACCESS_EXEC : 0;

    access = data_access(regs, &d, addr);
    if (addr - regs->rip < d.instruction.length && fetch_reaches(regs->rip, addr)) {
        /* Fetched from there: a data access is the reason only if the page lets code run. */
        return access && guest->executable(guest->arg, addr) ? access : TG_ACCESS_EXEC;
    }
    return access ? access : any_access(&d);
}
