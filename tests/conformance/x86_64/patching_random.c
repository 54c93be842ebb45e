/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched system calls among random instructions. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cases.h"
#include "patching.h"

/* ---- random neighbours ---- */

/*
 * A loop of calls with random instructions around them. The test carries out the same instructions itself and compares
 * every register at every call. r13 points to data; rcx, r11 and rsp are left alone.
 */
#define REGISTERS     16
#define RANDOM_SITES  6
#define RANDOM_OPS    ((size_t)RANDOM_SITES * 12)
#define RANDOM_BYTES  2048
#define RANDOM_WORDS  8
#define PROGRAMS      40
#define PROGRAM_CALLS 60
#define DATA_REGISTER 13

enum op_kind {
    OP_NOT,
    OP_NEG,
    OP_INC,
    OP_DEC,
    OP_ADD,
    OP_XOR,
    OP_MOV,
    OP_XCHG,
    OP_ADD_BYTE,
    OP_SUB_LONG,
    OP_LEA,
    OP_SHIFT,
    OP_SET_LOW,
    OP_SET_ALL,
    OP_STORE,
    OP_ADD_TO_WORD,
    OP_LOAD,
    OP_COMPARE,
    OP_NOP,
    OP_JUMP,
    OP_KINDS,
    OP_CALL, /* loads the number and calls */
};

struct op {
    enum op_kind kind;
    unsigned int to;
    unsigned int from;
    int32_t number;
    unsigned int form; /* of a call: how the number is loaded; of a nop: its length */
    uint64_t place;    /* of a call: the instruction; behind it 2 bytes on */
};

struct random_guest {
    uint64_t random;
    struct op ops[RANDOM_OPS];
    size_t op_count;
    unsigned char code[RANDOM_BYTES];
    size_t length;
    uint64_t at;
    uint64_t registers[REGISTERS];
    uint64_t words[RANDOM_WORDS];
    size_t next; /* operation */
};

/* As the processor numbers them. */
static const size_t register_offsets[REGISTERS] = {
    offsetof(tg_regs, rax), offsetof(tg_regs, rcx), offsetof(tg_regs, rdx), offsetof(tg_regs, rbx),
    offsetof(tg_regs, rsp), offsetof(tg_regs, rbp), offsetof(tg_regs, rsi), offsetof(tg_regs, rdi),
    offsetof(tg_regs, r8),  offsetof(tg_regs, r9),  offsetof(tg_regs, r10), offsetof(tg_regs, r11),
    offsetof(tg_regs, r12), offsetof(tg_regs, r13), offsetof(tg_regs, r14), offsetof(tg_regs, r15),
};

static const unsigned int usable[] = {0, 2, 3, 5, 6, 7, 8, 9, 10, 14, 15};

static uint64_t next_random(struct random_guest *r)
{
    r->random = r->random * 6364136223846793005 + 1442695040888963407;
    return r->random >> 33;
}

static unsigned int random_register(struct random_guest *r)
{
    return usable[next_random(r) % ARRAY_SIZE(usable)];
}

static void emit(struct random_guest *r, const void *bytes, size_t length)
{
    CHECK(r->length + length <= RANDOM_BYTES);
    memcpy(r->code + r->length, bytes, length);
    r->length += length;
}

static void emit_byte(struct random_guest *r, unsigned int byte)
{
    const unsigned char value = (unsigned char)byte;

    emit(r, &value, 1);
}

/* A 64-bit instruction with a register and a register or memory operand. */
static void emit_instruction(struct random_guest *r, unsigned int opcode, unsigned int mode, unsigned int reg,
                             unsigned int operand)
{
    emit_byte(r, 0x48 | (reg >> 3) << 2 | operand >> 3);
    emit_byte(r, opcode);
    emit_byte(r, mode << 6 | (reg & 7) << 3 | (operand & 7));
}

static void emit_word_access(struct random_guest *r, unsigned int opcode, const struct op *op)
{
    const int32_t offset = op->number * 8;

    emit_instruction(r, opcode, op->form % 2 ? 2 : 1, op->to, DATA_REGISTER);
    emit(r, &offset, op->form % 2 ? 4 : 1);
}

static void emit_nop(struct random_guest *r, unsigned int length)
{
    static const unsigned char nops[][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    emit(r, nops[(length - 1) % 9], (length - 1) % 9 + 1);
}

/* Over bytes that are no code. */
static void emit_jump(struct random_guest *r, unsigned int over)
{
    emit_byte(r, 0xeb);
    emit_byte(r, over);
    while (over-- > 0)
        emit_byte(r, (unsigned int)next_random(r) & 0xff);
}

static void emit_call(struct random_guest *r, struct op *op)
{
    const uint64_t number = (uint64_t)op->number;

    switch (op->form % 5) {
    case 0:
        emit_byte(r, 0xb8);
        emit(r, &op->number, 4);
        break;
    case 1:
        emit_instruction(r, 0xc7, 3, 0, 0);
        emit(r, &op->number, 4);
        break;
    case 2:
        emit_byte(r, 0x48);
        emit_byte(r, 0xb8);
        emit(r, &number, 8);
        break;
    case 3:
        emit_byte(r, 0x68); /* push, pop %rax */
        emit(r, &op->number, 4);
        emit_byte(r, 0x58);
        break;
    default:
        emit_byte(r, 0x31); /* xor %eax,%eax; or $number,%eax */
        emit_byte(r, 0xc0);
        emit_byte(r, 0x0d);
        emit(r, &op->number, 4);
        break;
    }
    op->place = r->length;
    emit_byte(r, 0x0f);
    emit_byte(r, 0x05);
}

static void emit_one_register(struct random_guest *r, const struct op *op)
{
    switch (op->kind) {
    case OP_NOT:
        emit_instruction(r, 0xf7, 3, 2, op->to);
        break;
    case OP_NEG:
        emit_instruction(r, 0xf7, 3, 3, op->to);
        break;
    case OP_INC:
        emit_instruction(r, 0xff, 3, 0, op->to);
        break;
    case OP_DEC:
        emit_instruction(r, 0xff, 3, 1, op->to);
        break;
    case OP_ADD_BYTE:
        emit_instruction(r, 0x83, 3, 0, op->to);
        emit_byte(r, (unsigned int)op->number & 0x7f);
        break;
    case OP_SUB_LONG:
        emit_instruction(r, 0x81, 3, 5, op->to);
        emit(r, &op->number, 4);
        break;
    case OP_SHIFT:
        emit_instruction(r, 0xc1, 3, 4, op->to);
        emit_byte(r, (unsigned int)op->number & 7);
        break;
    case OP_SET_LOW:
        if (op->to >= 8)
            emit_byte(r, 0x41);
        emit_byte(r, 0xb8 | (op->to & 7));
        emit(r, &op->number, 4);
        break;
    case OP_SET_ALL:
        emit_instruction(r, 0xc7, 3, 0, op->to);
        emit(r, &op->number, 4);
        break;
    default: /* OP_COMPARE */
        emit_instruction(r, 0x81, 3, 7, op->to);
        emit(r, &op->number, 4);
        break;
    }
}

static void emit_op(struct random_guest *r, struct op *op)
{
    switch (op->kind) {
    case OP_ADD:
        emit_instruction(r, 0x01, 3, op->from, op->to);
        break;
    case OP_XOR:
        emit_instruction(r, 0x31, 3, op->from, op->to);
        break;
    case OP_MOV:
        emit_instruction(r, 0x89, 3, op->from, op->to);
        break;
    case OP_XCHG:
        emit_instruction(r, 0x87, 3, op->from, op->to);
        break;
    case OP_LEA:
        emit_instruction(r, 0x8d, 2, op->to, op->from);
        emit(r, &op->number, 4);
        break;
    case OP_STORE:
        emit_word_access(r, 0x89, op);
        break;
    case OP_ADD_TO_WORD:
        emit_word_access(r, 0x01, op);
        break;
    case OP_LOAD:
        emit_word_access(r, 0x8b, op);
        break;
    case OP_NOP:
        emit_nop(r, op->form);
        break;
    case OP_JUMP:
        emit_jump(r, op->form % 5);
        break;
    case OP_CALL:
        emit_call(r, op);
        break;
    default:
        emit_one_register(r, op);
        break;
    }
}

/* What the instruction does, to the test's own registers. */
static void carry_out(struct random_guest *r, const struct op *op)
{
    uint64_t *to = &r->registers[op->to];
    uint64_t *from = &r->registers[op->from];
    uint64_t *word = &r->words[op->kind >= OP_STORE && op->kind <= OP_LOAD ? op->number : 0];
    uint64_t old = *to;

    switch (op->kind) {
    case OP_NOT:
        *to = ~old;
        break;
    case OP_NEG:
        *to = -old;
        break;
    case OP_INC:
        *to = old + 1;
        break;
    case OP_DEC:
        *to = old - 1;
        break;
    case OP_ADD:
        *to = old + *from;
        break;
    case OP_XOR:
        *to = old ^ *from;
        break;
    case OP_MOV:
        *to = *from;
        break;
    case OP_XCHG:
        *to = *from;
        *from = old;
        break;
    case OP_ADD_BYTE:
        *to = old + ((uint64_t)op->number & 0x7f);
        break;
    case OP_SUB_LONG:
        *to = old - (uint64_t)(int64_t)op->number;
        break;
    case OP_LEA:
        *to = *from + (uint64_t)(int64_t)op->number;
        break;
    case OP_SHIFT:
        *to = old << (op->number & 7);
        break;
    case OP_SET_LOW:
        *to = (uint32_t)op->number;
        break;
    case OP_SET_ALL:
        *to = (uint64_t)(int64_t)op->number;
        break;
    case OP_STORE:
        *word = old;
        break;
    case OP_ADD_TO_WORD:
        *word += old;
        break;
    case OP_LOAD:
        *to = *word;
        break;
    case OP_CALL:
        r->registers[0] = (uint64_t)op->number;
        break;
    default:
        break;
    }
}

static void add_op(struct random_guest *r, enum op_kind kind)
{
    struct op *op = &r->ops[r->op_count++];

    CHECK(r->op_count <= RANDOM_OPS);
    *op = (struct op){.kind = kind, .to = random_register(r), .from = random_register(r)};
    op->form = (unsigned int)next_random(r) % 1000 + 1;
    op->number = (int32_t)(next_random(r) * 3);
    if (kind == OP_CALL)
        op->number = 100 + (int32_t)(next_random(r) % (next_random(r) % 2 ? 100 : 1000000000));
    if (kind >= OP_STORE && kind <= OP_LOAD)
        op->number = (int32_t)(next_random(r) % RANDOM_WORDS);
    emit_op(r, op);
}

static void add_ops(struct random_guest *r, uint64_t count)
{
    while (count-- > 0)
        add_op(r, (enum op_kind)(next_random(r) % OP_KINDS));
}

static void make_program(struct random_guest *r)
{
    int32_t back;
    int i;

    for (i = 0; i < RANDOM_SITES; i++) {
        add_ops(r, next_random(r) % 4);
        add_op(r, OP_CALL);
        add_ops(r, 1 + next_random(r) % 5);
    }
    emit_byte(r, 0xe9);
    back = -(int32_t)(r->length + 4);
    emit(r, &back, 4);
}

/* Carries out all up to the next call. */
static const struct op *run_model(struct random_guest *r)
{
    const struct op *op;

    do {
        op = &r->ops[r->next];
        r->next = (r->next + 1) % r->op_count;
        carry_out(r, op);
    } while (op->kind != OP_CALL);
    return op;
}

static void check_against_model(struct random_guest *r, const struct guest *guest, const struct op *call)
{
    const tg_regs *regs = tg_context_regs(guest->context);
    uint64_t words[RANDOM_WORDS];
    size_t i;

    CHECK_CALL(&guest->event, (uint64_t)call->number);
    CHECK_EQ(guest->event.u.syscall.ip, r->at + call->place + 2);
    for (i = 0; i < REGISTERS; i++) {
        if (i != 1 && i != 11)
            CHECK_EQ(word_of(regs, register_offsets[i]), r->registers[i]);
    }
    CHECK_OK(tg_subprocess_read(guest->subprocess, GUEST_DATA_AT, words, sizeof(words), NULL));
    CHECK_BYTES(words, r->words, sizeof(words));
}

static void check_program_bytes(struct random_guest *r, const struct guest *guest)
{
    uint64_t first = page_down(guest, r->at);
    uint64_t length = page_down(guest, r->at + r->length - 1) - first + guest->page;
    unsigned char now[RANDOM_BYTES];

    CHECK_OK(tg_subprocess_protect(guest->subprocess, first, length, PROT_RW));
    CHECK_OK(tg_subprocess_read(guest->subprocess, r->at, now, r->length, NULL));
    CHECK_BYTES(now, r->code, r->length);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, first, length, PROT_RX));
}

/* Things that a guest must not notice: a restart, a jump to the call, code made writable and executable again. */
static void disturb(struct random_guest *r, struct guest *guest, const struct op *call)
{
    switch (next_random(r) % 16) {
    case 0:
        CHECK_OK(tg_context_restart_syscall(guest->context));
        guest_run(guest);
        check_against_model(r, guest, call);
        break;
    case 1:
        tg_context_regs_mut(guest->context)->rip = r->at + call->place;
        guest_run(guest);
        check_against_model(r, guest, call);
        break;
    case 2:
        if (next_random(r) % 4 == 0)
            check_program_bytes(r, guest);
        break;
    default:
        break;
    }
}

static void start_program(struct random_guest *r, struct guest *guest)
{
    tg_regs *regs;
    size_t i;

    r->at = GUEST_HOLE_AT + guest->page - next_random(r) % r->length;
    put_code(guest, r->at, (struct guest_code){r->code, r->code + r->length}, PROT_RX);
    CHECK_OK(tg_context_start(guest->context, r->at, GUEST_STACK_TOP));
    arch_fill_registers(guest->context, next_random(r));
    regs = tg_context_regs_mut(guest->context);
    regs->r13 = GUEST_DATA_AT;
    for (i = 0; i < REGISTERS; i++)
        r->registers[i] = word_of(regs, register_offsets[i]);
    CHECK_OK(tg_subprocess_write(guest->subprocess, GUEST_DATA_AT, r->words, sizeof(r->words), NULL));
}

static void run_program(struct guest *guest, uint64_t seed)
{
    static struct random_guest r;
    const struct op *call;
    int calls;

    memset(&r, 0, sizeof(r));
    r.random = seed;
    next_random(&r);
    make_program(&r);
    start_program(&r, guest);
    for (calls = 0; calls < PROGRAM_CALLS; calls++) {
        check_context("PATCHING_SEED=%llu, call %d", (unsigned long long)seed, calls);
        call = run_model(&r);
        guest_run(guest);
        check_against_model(&r, guest, call);
        disturb(&r, guest, call);
        r.registers[0] = next_random(&r) % 4096 - 4096;
        CHECK_OK(tg_context_set_return(guest->context, (int64_t)r.registers[0]));
    }
    check_program_bytes(&r, guest);
}

static void random_neighbours(uint32_t backend)
{
    const char *wanted = getenv("PATCHING_SEED");
    const uint64_t first = wanted ? strtoull(wanted, NULL, 10) : (uint64_t)getpid() * 1000;
    struct guest guest;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < (wanted ? 1 : PROGRAMS); i++)
        run_program(&guest, first + i);
    if (can_patch(&guest))
        CHECK(platform_stats(guest.platform).patch_sites > i);
    guest_close(&guest);
}

const struct test_case patch_random_cases[] = {
    {"patch.random", "Random instructions around calls do what they say, and the code stays what it was",
     random_neighbours},
    {0},
};
