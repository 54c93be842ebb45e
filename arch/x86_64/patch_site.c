/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Plans the patch of one `syscall` instruction. */
#include "patch_site.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "x86_64.h"

#define SYSCALL_LENGTH  2
#define INSTRUCTION_MAX 15
#define PAGE_SHIFT      12
#define TRAP_FILL       0xcc

/* The displacement of a `disp32(%rip)` counts from the end of its instruction. */
#define LEA_RCX_LENGTH      7
#define JMP_POINTER_LENGTH  6
#define POINTER_LENGTH      8
#define DISPLACEMENT_LENGTH 4

#define NR_RT_SIGRETURN     15
#define NR_X32_RT_SIGRETURN (0x40000000u + 513)

static const uint8_t syscall_code[SYSCALL_LENGTH] = {0x0f, 0x05};

/* The bytes of the request, by address. */
struct window {
    ZydisDecoder decoder;
    const uint8_t *code;
    uint64_t start;
    uint64_t end;
};

struct decoded {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* Bytes */

static bool window_has(const struct window *window, uint64_t from, uint64_t to)
{
    return from >= window->start && from <= to && to <= window->end;
}

static const uint8_t *window_at(const struct window *window, uint64_t addr)
{
    return window->code + (addr - window->start);
}

static void put_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void put_le64(uint8_t *to, uint64_t value)
{
    put_le32(to, (uint32_t)value);
    put_le32(to + 4, (uint32_t)(value >> 32));
}

/*
 * jmp *disp32, without base and index. Two encodings do the same: the scale is
 * ignored where there is no index. With e5 the third byte is `in`.
 */
static void put_jump(uint8_t *to, bool after, uint64_t table_entry)
{
    to[0] = 0xff;
    to[1] = 0x24;
    to[2] = after ? 0xe5 : 0x25;
    put_le32(to + 3, (uint32_t)table_entry);
}

/*
 * First bytes of instructions that trap whatever follows them: invalid in
 * 64-bit mode, or an access to ports, or hlt. Those that newer processors gave
 * a meaning (62, c4, c5, d5, d6) are not here, nor those that merely could get one.
 */
static bool byte_traps(uint8_t byte)
{
    switch (byte) {
    case 0x06: /* push and pop of segment registers */
    case 0x07:
    case 0x0e:
    case 0x16:
    case 0x17:
    case 0x1e:
    case 0x1f:
    case 0x27: /* decimal adjustments */
    case 0x2f:
    case 0x37:
    case 0x3f:
    case 0x60: /* pusha, popa */
    case 0x61:
    case 0xce: /* into */
    case 0xe4: /* in, out: a guest has no port */
    case 0xe5:
    case 0xe6:
    case 0xe7:
    case 0xec:
    case 0xed:
    case 0xee:
    case 0xef:
    case 0xf4: /* hlt */
        return true;
    default:
        return false;
    }
}

/* The instructions behind the syscall */

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

static bool leaves_the_line(const ZydisDecodedInstruction *instruction)
{
    switch (instruction->meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_UNCOND_BR:
        return true;
    default:
        return false;
    }
}

static ZydisRegister whole_register(ZydisRegister reg)
{
    return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
}

/* rcx and r11 have other values behind a patched call than behind a syscall. */
static bool is_syscall_scratch(ZydisRegister reg)
{
    const ZydisRegister whole = whole_register(reg);
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
    if (whole_register(reg) == ZYDIS_REGISTER_RSP && op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
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

/*
 * Can the instruction be executed at another address, with the same effect,
 * and without fault unless accesses are allowed?
 */
static enum patch_refusal neighbour_refusal(const struct decoded *d, bool accesses_allowed)
{
    if (leaves_the_line(&d->instruction))
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

static enum patch_refusal decode_neighbour(const struct window *window, uint64_t addr, bool accesses_allowed,
                                           struct decoded *d)
{
    size_t length = window->end - addr;
    ZyanStatus status;

    if (length > INSTRUCTION_MAX)
        length = INSTRUCTION_MAX;
    status = ZydisDecoderDecodeFull(&window->decoder, window_at(window, addr), length, &d->instruction, d->operands);
    if (status == ZYDIS_STATUS_NO_MORE_DATA)
        return PATCH_REFUSED_UNREADABLE;
    return ZYAN_FAILED(status) ? PATCH_REFUSED_UNDECODABLE : neighbour_refusal(d, accesses_allowed);
}

/* Fills the plan's site and replacement. */
static enum patch_refusal plan_after(const struct patch_request *request, const struct window *window,
                                     bool accesses_allowed, struct patch_plan *plan)
{
    const uint64_t addr = request->ip - SYSCALL_LENGTH;
    uint8_t length = SYSCALL_LENGTH;
    uint8_t boundaries = 0;
    struct decoded d;

    memset(plan->replacement, TRAP_FILL, sizeof(plan->replacement));
    put_jump(plan->replacement, true, request->table_entry);
    while (length < PATCH_JUMP_LENGTH) {
        const enum patch_refusal refusal = decode_neighbour(window, addr + length, accesses_allowed, &d);
        if (refusal != PATCH_OK)
            return refusal;
        if (!byte_traps(plan->replacement[length]))
            return PATCH_REFUSED_NO_ROOM;
        boundaries |= (uint8_t)(1u << length);
        length += d.instruction.length;
    }
    plan->site.pattern = PATCH_AFTER;
    plan->site.start = addr;
    plan->site.length = length;
    plan->site.after_length = length - SYSCALL_LENGTH;
    plan->site.boundaries = boundaries;
    return PATCH_OK;
}

/* The instruction before the syscall */

/*
 * The ways to set the number that assemblers and compilers emit. Only an
 * immediate can be compared with what was seen at run time, and that is the
 * evidence that the instruction is one.
 */
static const struct mov_form {
    enum patch_pattern pattern;
    uint8_t opcode[3];
    uint8_t opcode_length;
    uint8_t length;
} mov_forms[] = {
    {PATCH_BEFORE_OTHER, {0x48, 0xb8}, 2, 10},      /* movabs $imm64,%rax */
    {PATCH_BEFORE_OTHER, {0x48, 0xc7, 0xc0}, 3, 7}, /* mov $simm32,%rax */
    {PATCH_BEFORE_MOV_EAX, {0xb8}, 1, 5},           /* mov $imm32,%eax */
};

/* The bytes behind the opcode that make rax this number; false when none do. */
static bool mov_immediate(const struct mov_form *form, uint64_t nr, uint8_t *to)
{
    const bool sign_extended = form->opcode_length == 3;

    put_le64(to, nr);
    if (form->length - form->opcode_length == 8)
        return true;
    return nr == (sign_extended ? (uint64_t)(int64_t)(int32_t)nr : (uint32_t)nr);
}

static bool is_mov_of(const struct window *window, const struct mov_form *form, uint64_t nr, uint64_t addr)
{
    const uint8_t *code = window_at(window, addr);
    uint8_t immediate[8];

    return mov_immediate(form, nr, immediate) && !memcmp(code, form->opcode, form->opcode_length) &&
           !memcmp(code + form->opcode_length, immediate, form->length - form->opcode_length);
}

/*
 * An access to the first page through rax. Only instructions with one opcode byte: all of those that have a memory
 * operand do access it, but for lea, while others are hints.
 */
static bool accesses_first_page(const struct decoded *d, const ZydisDecodedOperand *op, uint64_t rax)
{
    return d->instruction.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           op->mem.type == ZYDIS_MEMOP_TYPE_MEM && whole_register(op->mem.base) == ZYDIS_REGISTER_RAX &&
           op->mem.index == ZYDIS_REGISTER_NONE && op->mem.segment != ZYDIS_REGISTER_FS &&
           op->mem.segment != ZYDIS_REGISTER_GS && rax + (uint64_t)op->mem.disp.value < 1u << PAGE_SHIFT;
}

static bool writes_rax(const struct decoded *d)
{
    for (size_t i = 0; i < d->instruction.operand_count; i++) {
        const ZydisDecodedOperand *op = &d->operands[i];
        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
            whole_register(op->reg.value) == ZYDIS_REGISTER_RAX)
            return true;
    }
    return false;
}

/* Nothing is mapped at the first page, and a guest has no ports. */
static bool faults(const struct decoded *d, uint64_t rax)
{
    if (d->instruction.meta.category == ZYDIS_CATEGORY_IO)
        return true;
    for (size_t i = 0; i < d->instruction.operand_count; i++)
        if (accesses_first_page(d, &d->operands[i], rax))
            return true;
    return false;
}

/*
 * Is there an instruction at from that goes over addr, and are there others
 * from its end to exactly the syscall? Not if one of these would have faulted
 * with the number in rax that was seen at the syscall: so it has not run.
 */
static bool covers(const struct window *window, uint64_t from, uint64_t addr, uint64_t syscall_addr, uint64_t nr)
{
    bool faulted = false;
    uint64_t at = from;

    while (at < syscall_addr) {
        struct decoded d;
        if (ZYAN_FAILED(ZydisDecoderDecodeFull(&window->decoder, window_at(window, at), syscall_addr - at,
                                               &d.instruction, d.operands)))
            return false;
        if (at == from && at + d.instruction.length <= addr)
            return false;
        /* What comes before a jump, or a change of rax, knew another rax. */
        if (leaves_the_line(&d.instruction) || writes_rax(&d))
            faulted = false;
        else
            faulted |= faults(&d, nr);
        at += d.instruction.length;
    }
    return !faulted;
}

/*
 * Code cannot be read backwards. The mov at addr is one unless its first byte
 * belongs to an instruction that starts earlier, from which the syscall can be
 * reached too. Starts that cannot be seen could be such.
 */
static enum patch_refusal decoy_refusal(const struct window *window, uint64_t addr, uint64_t syscall_addr, uint64_t nr)
{
    for (uint64_t back = 1; back < INSTRUCTION_MAX; back++) {
        if (!window_has(window, addr - back, addr))
            return PATCH_REFUSED_UNREADABLE;
        if (covers(window, addr - back, addr, syscall_addr, nr))
            return PATCH_REFUSED_DECOY;
    }
    return PATCH_OK;
}

/* Fills the plan's site and replacement; the mov is right before the syscall. */
static enum patch_refusal plan_mov(const struct patch_request *request, const struct window *window,
                                   const struct mov_form *form, struct patch_plan *plan)
{
    const uint64_t syscall_addr = request->ip - SYSCALL_LENGTH;
    const uint64_t mov_addr = syscall_addr - form->length;
    const uint8_t length = form->length > PATCH_JUMP_LENGTH ? form->length : PATCH_JUMP_LENGTH;
    enum patch_refusal refusal;

    refusal = decoy_refusal(window, mov_addr, syscall_addr, request->nr);
    if (refusal != PATCH_OK)
        return refusal;
    memset(plan->replacement, TRAP_FILL, sizeof(plan->replacement));
    put_jump(plan->replacement, false, request->table_entry);
    plan->site.pattern = (uint8_t)form->pattern;
    plan->site.start = mov_addr;
    plan->site.length = length;
    plan->site.before_length = form->length;
    return PATCH_OK;
}

/* No more than one of the forms fits the number: their opcodes would have to be part of it. */
static enum patch_refusal plan_before(const struct patch_request *request, const struct window *window,
                                      struct patch_plan *plan)
{
    const uint64_t syscall_addr = request->ip - SYSCALL_LENGTH;
    bool unknown = false;

    for (size_t i = 0; i < sizeof(mov_forms) / sizeof(mov_forms[0]); i++) {
        const struct mov_form *form = &mov_forms[i];
        const uint64_t mov_addr = syscall_addr - form->length;
        if (!window_has(window, mov_addr, syscall_addr))
            unknown = true;
        else if (is_mov_of(window, form, request->nr, mov_addr))
            return plan_mov(request, window, form, plan);
    }
    return unknown ? PATCH_REFUSED_UNREADABLE : PATCH_REFUSED_NO_MOV;
}

/* The trampoline */

static uint8_t *put_rip_relative(uint8_t *at, const uint8_t *opcode, size_t length, const uint8_t *target)
{
    memcpy(at, opcode, length);
    at += length;
    put_le32(at, (uint32_t)(target - (at + DISPLACEMENT_LENGTH)));
    return at + DISPLACEMENT_LENGTH;
}

static size_t align_pointer(size_t offset)
{
    return (offset + POINTER_LENGTH - 1) & ~(size_t)(POINTER_LENGTH - 1);
}

static void write_trampoline(const struct patch_request *request, struct patch_plan *plan)
{
    static const uint8_t lea_rcx[] = {0x48, 0x8d, 0x0d};
    static const uint8_t jmp_pointer[] = {0xff, 0x25};
    struct patch_site *site = &plan->site;
    uint8_t *const start = plan->trampoline;
    const size_t entry = align_pointer(site->before_length + LEA_RCX_LENGTH + JMP_POINTER_LENGTH);
    const size_t after = entry + (size_t)2 * POINTER_LENGTH;
    const size_t back = align_pointer(after + site->after_length + JMP_POINTER_LENGTH);
    uint8_t *at = start;

    site->trampoline = request->trampoline;
    site->after_offset = (uint8_t)after;
    plan->trampoline_length = back + POINTER_LENGTH;

    memset(start, TRAP_FILL, sizeof(plan->trampoline));
    memcpy(at, plan->original, site->before_length);
    at = put_rip_relative(at + site->before_length, lea_rcx, sizeof(lea_rcx), start + after);
    put_rip_relative(at, jmp_pointer, sizeof(jmp_pointer), start + entry);
    put_le64(start + entry, request->entry);
    put_le64(start + after - POINTER_LENGTH, request->ip);

    memcpy(start + after, plan->original + SYSCALL_LENGTH, site->after_length);
    put_rip_relative(start + after + site->after_length, jmp_pointer, sizeof(jmp_pointer), start + back);
    put_le64(start + back, patch_return_ip(site) + site->after_length);
}

static bool request_is_sound(const struct patch_request *request)
{
    const uint64_t reach = PATCH_SITE_MAX;

    return request->ip >= reach && request->ip <= X86_USER_END - reach &&
           request->code_addr + request->code_length >= request->code_addr &&
           request->table_entry >= PATCH_TABLE_START && request->table_entry < PATCH_TABLE_END &&
           request->table_entry % POINTER_LENGTH == 0 && request->trampoline % POINTER_LENGTH == 0;
}

static enum patch_refusal site_refusal(const struct patch_request *request, const struct window *window)
{
    if (!request_is_sound(request))
        return PATCH_REFUSED_OTHER;
    if (!window_has(window, request->ip - SYSCALL_LENGTH, request->ip))
        return PATCH_REFUSED_UNREADABLE;
    if (memcmp(window_at(window, request->ip - SYSCALL_LENGTH), syscall_code, SYSCALL_LENGTH) != 0)
        return PATCH_REFUSED_NO_SYSCALL;
    if (request->nr == NR_RT_SIGRETURN || request->nr == NR_X32_RT_SIGRETURN)
        return PATCH_REFUSED_SIGNAL_RETURN;
    return PATCH_OK;
}

/*
 * Code behind the syscall can be decoded with certainty, so that it is tried
 * first. Displacing an instruction that can fault is the last resort: who looks
 * at the code of such a fault finds the jump there.
 */
static enum patch_refusal choose(const struct patch_request *request, const struct window *window,
                                 struct patch_plan *plan)
{
    plan->refusal_after = plan_after(request, window, false, plan);
    if (plan->refusal_after == PATCH_OK)
        return PATCH_OK;
    plan->refusal_before = plan_before(request, window, plan);
    if (plan->refusal_before == PATCH_OK)
        return PATCH_OK;
    if (plan->refusal_after == PATCH_REFUSED_MEMORY) {
        plan->refusal_after = plan_after(request, window, true, plan);
        if (plan->refusal_after == PATCH_OK)
            return PATCH_OK;
    }
    return plan->refusal_before == PATCH_REFUSED_NO_MOV ? plan->refusal_after : plan->refusal_before;
}

enum patch_refusal patch_plan_make(const struct patch_request *request, struct patch_plan *plan)
{
    struct window window = {
        .code = request->code,
        .start = request->code_addr,
        .end = request->code_addr + request->code_length,
    };

    memset(plan, 0, sizeof(*plan));
    plan->refusal_before = PATCH_OK;
    plan->refusal_after = PATCH_OK;
    plan->refusal = site_refusal(request, &window);
    if (plan->refusal == PATCH_OK &&
        ZYAN_FAILED(ZydisDecoderInit(&window.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        plan->refusal = PATCH_REFUSED_UNDECODABLE;
    if (plan->refusal == PATCH_OK)
        plan->refusal = choose(request, &window, plan);
    if (plan->refusal != PATCH_OK)
        return plan->refusal;

    memcpy(plan->original, window_at(&window, plan->site.start), plan->site.length);
    write_trampoline(request, plan);
    return PATCH_OK;
}

/* Threads inside a site or its trampoline */

uint64_t patch_syscall_ip(const struct patch_site *site)
{
    return site->start + site->before_length;
}

uint64_t patch_return_ip(const struct patch_site *site)
{
    return patch_syscall_ip(site) + SYSCALL_LENGTH;
}

static bool starts_behind_syscall(const struct patch_site *site, uint64_t offset)
{
    return offset < PATCH_JUMP_LENGTH && site->boundaries >> offset & 1;
}

/* The displaced instructions are a copy: as far behind `after` as they were behind the syscall. */
uint64_t patch_original_ip(const struct patch_site *site, size_t offset)
{
    size_t behind;

    if (offset < site->before_length)
        return site->start;
    if (offset < site->after_offset)
        return patch_syscall_ip(site);
    behind = offset - site->after_offset;
    if (behind >= site->after_length)
        return patch_return_ip(site) + site->after_length;
    while (behind && !starts_behind_syscall(site, behind + SYSCALL_LENGTH))
        behind--;
    return patch_return_ip(site) + behind;
}

struct patch_redirect patch_redirect(const struct patch_site *site, uint64_t ip)
{
    const uint64_t offset = ip - site->start;

    if (site->pattern == PATCH_BEFORE_MOV_EAX && offset == site->before_length)
        return (struct patch_redirect){PATCH_SYSCALL, 0};
    if (site->pattern == PATCH_AFTER && starts_behind_syscall(site, offset))
        return (struct patch_redirect){PATCH_CONTINUE_AT,
                                       site->trampoline + site->after_offset + offset - SYSCALL_LENGTH};
    return (struct patch_redirect){PATCH_NOT_OURS, 0};
}
