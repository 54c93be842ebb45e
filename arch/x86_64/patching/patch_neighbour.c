/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_neighbour.h"

static bool is_listed(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_BSWAP:
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_CBW:
    case ZYDIS_MNEMONIC_CDQ:
    case ZYDIS_MNEMONIC_CDQE:
    case ZYDIS_MNEMONIC_CMOVB:
    case ZYDIS_MNEMONIC_CMOVBE:
    case ZYDIS_MNEMONIC_CMOVL:
    case ZYDIS_MNEMONIC_CMOVLE:
    case ZYDIS_MNEMONIC_CMOVNB:
    case ZYDIS_MNEMONIC_CMOVNBE:
    case ZYDIS_MNEMONIC_CMOVNL:
    case ZYDIS_MNEMONIC_CMOVNLE:
    case ZYDIS_MNEMONIC_CMOVNS:
    case ZYDIS_MNEMONIC_CMOVNZ:
    case ZYDIS_MNEMONIC_CMOVS:
    case ZYDIS_MNEMONIC_CMOVZ:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_CQO:
    case ZYDIS_MNEMONIC_CWD:
    case ZYDIS_MNEMONIC_CWDE:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_LEA:
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_SETB:
    case ZYDIS_MNEMONIC_SETBE:
    case ZYDIS_MNEMONIC_SETL:
    case ZYDIS_MNEMONIC_SETLE:
    case ZYDIS_MNEMONIC_SETNB:
    case ZYDIS_MNEMONIC_SETNBE:
    case ZYDIS_MNEMONIC_SETNL:
    case ZYDIS_MNEMONIC_SETNLE:
    case ZYDIS_MNEMONIC_SETNS:
    case ZYDIS_MNEMONIC_SETNZ:
    case ZYDIS_MNEMONIC_SETS:
    case ZYDIS_MNEMONIC_SETZ:
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_XCHG:
    case ZYDIS_MNEMONIC_XOR:
        return true;
    default:
        return false;
    }
}

/* rcx and r11 have other values behind a patched call than behind a syscall. */
static bool is_syscall_scratch(ZydisRegister reg)
{
    const ZydisRegister whole = patch_whole_register(reg);
    return whole == ZYDIS_REGISTER_RCX || whole == ZYDIS_REGISTER_R11;
}

/* Nothing of the register's old value is seen: all of it is written, whatever happens. */
static bool overwrites(const ZydisDecodedOperand *op)
{
    return op->actions == ZYDIS_OPERAND_ACTION_WRITE && op->size >= 32;
}

static enum patch_refusal register_refusal(const ZydisDecodedOperand *op)
{
    const ZydisRegister reg = op->reg.value;

    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        break;
    case ZYDIS_REGCLASS_FLAGS:
        return PATCH_OK;
    default:
        return PATCH_REFUSED_UNLISTED;
    }
    if (patch_whole_register(reg) == ZYDIS_REGISTER_RSP && op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
        return PATCH_REFUSED_REGISTER;
    return is_syscall_scratch(reg) && !overwrites(op) ? PATCH_REFUSED_REGISTER : PATCH_OK;
}

/* What a patched call hides from a guest's own accesses is the base of gs. */
static enum patch_refusal memory_refusal(const ZydisDecodedOperand *op, bool accesses_allowed)
{
    if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP)
        return PATCH_REFUSED_RELATIVE;
    if (op->mem.type != ZYDIS_MEMOP_TYPE_AGEN && (!accesses_allowed || op->mem.segment == ZYDIS_REGISTER_GS))
        return PATCH_REFUSED_MEMORY;
    return is_syscall_scratch(op->mem.base) || is_syscall_scratch(op->mem.index) ? PATCH_REFUSED_REGISTER : PATCH_OK;
}

static enum patch_refusal operand_refusal(const ZydisDecodedOperand *op, bool accesses_allowed)
{
    if (op->type == ZYDIS_OPERAND_TYPE_MEMORY)
        return memory_refusal(op, accesses_allowed);
    return op->type == ZYDIS_OPERAND_TYPE_REGISTER ? register_refusal(op) : PATCH_OK;
}

static enum patch_refusal neighbour_refusal(const struct patch_instruction *d, bool accesses_allowed)
{
    if (patch_leaves_the_line(d))
        return PATCH_REFUSED_RELATIVE;
    /* The operand of a nop is never accessed. */
    if (d->instruction.mnemonic == ZYDIS_MNEMONIC_NOP)
        return PATCH_OK;
    for (size_t i = 0; i < d->instruction.operand_count; i++) {
        const enum patch_refusal refusal = operand_refusal(&d->operands[i], accesses_allowed);
        if (refusal != PATCH_OK)
            return refusal;
    }
    return is_listed(d->instruction.mnemonic) ? PATCH_OK : PATCH_REFUSED_UNLISTED;
}

enum patch_refusal patch_neighbour_decode(const struct patch_window *window, uint64_t addr, bool accesses_allowed,
                                          struct patch_instruction *d)
{
    const ZyanStatus status = patch_window_decode(window, addr, window->end, d);

    if (status == ZYDIS_STATUS_NO_MORE_DATA)
        return PATCH_REFUSED_UNREADABLE;
    return ZYAN_FAILED(status) ? PATCH_REFUSED_UNDECODABLE : neighbour_refusal(d, accesses_allowed);
}
