/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "bpf_simulator.h"

#include <stdbool.h>
#include <string.h>

/* ---- what the kernel refuses ---- */

#define EVERY_WORD_WRITTEN 0xffffu

static const uint16_t known_codes[] = {BPF_LD | BPF_W | BPF_ABS,
                                       BPF_LD | BPF_W | BPF_LEN,
                                       BPF_LD | BPF_IMM,
                                       BPF_LD | BPF_MEM,
                                       BPF_LDX | BPF_W | BPF_LEN,
                                       BPF_LDX | BPF_IMM,
                                       BPF_LDX | BPF_MEM,
                                       BPF_ST,
                                       BPF_STX,
                                       BPF_MISC | BPF_TAX,
                                       BPF_MISC | BPF_TXA,
                                       BPF_RET | BPF_K,
                                       BPF_RET | BPF_A,
                                       BPF_ALU | BPF_ADD | BPF_K,
                                       BPF_ALU | BPF_ADD | BPF_X,
                                       BPF_ALU | BPF_SUB | BPF_K,
                                       BPF_ALU | BPF_SUB | BPF_X,
                                       BPF_ALU | BPF_MUL | BPF_K,
                                       BPF_ALU | BPF_MUL | BPF_X,
                                       BPF_ALU | BPF_DIV | BPF_K,
                                       BPF_ALU | BPF_DIV | BPF_X,
                                       BPF_ALU | BPF_AND | BPF_K,
                                       BPF_ALU | BPF_AND | BPF_X,
                                       BPF_ALU | BPF_OR | BPF_K,
                                       BPF_ALU | BPF_OR | BPF_X,
                                       BPF_ALU | BPF_XOR | BPF_K,
                                       BPF_ALU | BPF_XOR | BPF_X,
                                       BPF_ALU | BPF_LSH | BPF_K,
                                       BPF_ALU | BPF_LSH | BPF_X,
                                       BPF_ALU | BPF_RSH | BPF_K,
                                       BPF_ALU | BPF_RSH | BPF_X,
                                       BPF_ALU | BPF_NEG,
                                       BPF_JMP | BPF_JA,
                                       BPF_JMP | BPF_JEQ | BPF_K,
                                       BPF_JMP | BPF_JEQ | BPF_X,
                                       BPF_JMP | BPF_JGT | BPF_K,
                                       BPF_JMP | BPF_JGT | BPF_X,
                                       BPF_JMP | BPF_JGE | BPF_K,
                                       BPF_JMP | BPF_JGE | BPF_X,
                                       BPF_JMP | BPF_JSET | BPF_K,
                                       BPF_JMP | BPF_JSET | BPF_X};

static bool code_known(uint16_t code)
{
    for (size_t i = 0; i < sizeof(known_codes) / sizeof(known_codes[0]); i++)
        if (known_codes[i] == code)
            return true;
    return false;
}

static bool reads_memory(uint16_t code)
{
    return code == (BPF_LD | BPF_MEM) || code == (BPF_LDX | BPF_MEM);
}

static bool writes_memory(uint16_t code)
{
    return code == BPF_ST || code == BPF_STX;
}

static bool jump_leaves(const struct sock_filter *in, size_t behind)
{
    if (BPF_CLASS(in->code) != BPF_JMP)
        return false;
    if (BPF_OP(in->code) == BPF_JA)
        return in->k >= behind;
    return in->jt >= behind || in->jf >= behind;
}

/* `behind`: how many instructions follow. */
static const char *instruction_objection(const struct sock_filter *in, size_t behind)
{
    if (!code_known(in->code))
        return "an unknown instruction";
    if (in->code == (BPF_LD | BPF_W | BPF_ABS) && (in->k >= sizeof(struct seccomp_data) || in->k % 4 != 0))
        return "a load from outside seccomp_data, or across its words";
    if ((reads_memory(in->code) || writes_memory(in->code)) && in->k >= BPF_MEMWORDS)
        return "a scratch word that does not exist";
    if (in->code == (BPF_ALU | BPF_DIV | BPF_K) && in->k == 0)
        return "a division by zero";
    if ((in->code == (BPF_ALU | BPF_LSH | BPF_K) || in->code == (BPF_ALU | BPF_RSH | BPF_K)) && in->k >= 32)
        return "a shift by more than a word";
    if (jump_leaves(in, behind))
        return "a jump out of the program";
    return NULL;
}

/* Jumps go forward only, so one pass knows which scratch words are written on every way to an instruction. */
static bool reads_unwritten_memory(const struct sock_fprog *program)
{
    uint16_t written_at[BPF_MAXINSNS];
    uint16_t written = 0;

    memset(written_at, 0xff, sizeof(written_at));
    for (size_t i = 0; i < program->len; i++) {
        const struct sock_filter *in = &program->filter[i];

        written &= written_at[i];
        if (writes_memory(in->code))
            written |= (uint16_t)(1u << in->k);
        if (reads_memory(in->code) && !(written & (1u << in->k)))
            return true;
        if (BPF_CLASS(in->code) != BPF_JMP)
            continue;
        if (BPF_OP(in->code) == BPF_JA) {
            written_at[i + 1 + in->k] &= written;
        } else {
            written_at[i + 1 + in->jt] &= written;
            written_at[i + 1 + in->jf] &= written;
        }
        written = EVERY_WORD_WRITTEN;
    }
    return false;
}

const char *bpf_objection(const struct sock_fprog *program)
{
    if (!program->filter || program->len == 0 || program->len > BPF_MAXINSNS)
        return "no instructions, or too many";
    for (size_t i = 0; i < program->len; i++) {
        const char *objection = instruction_objection(&program->filter[i], program->len - i - 1);

        if (objection)
            return objection;
    }
    if (BPF_CLASS(program->filter[program->len - 1].code) != BPF_RET)
        return "an end without a return";
    return reads_unwritten_memory(program) ? "a read of a scratch word that nobody wrote" : NULL;
}

/* ---- what it answers ---- */

struct machine {
    uint32_t a;
    uint32_t x;
    uint32_t memory[BPF_MEMWORDS];
};

static uint32_t load(const struct machine *machine, const struct sock_filter *in, const struct seccomp_data *call)
{
    uint32_t word;

    switch (BPF_MODE(in->code)) {
    case BPF_IMM:
        return in->k;
    case BPF_MEM:
        return machine->memory[in->k];
    case BPF_LEN:
        return sizeof(*call);
    default:
        memcpy(&word, (const char *)call + in->k, sizeof(word));
        return word;
    }
}

static uint32_t calculate(uint16_t operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return a / b;
    case BPF_AND:
        return a & b;
    case BPF_OR:
        return a | b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return a << (b & 31);
    case BPF_RSH:
        return a >> (b & 31);
    default:
        return 0u - a;
    }
}

static bool holds(uint16_t comparison, uint32_t a, uint32_t b)
{
    switch (comparison) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default:
        return a & b;
    }
}

static size_t jump(const struct sock_filter *in, uint32_t a, uint32_t operand)
{
    if (BPF_OP(in->code) == BPF_JA)
        return in->k;
    return holds(BPF_OP(in->code), a, operand) ? in->jt : in->jf;
}

uint32_t bpf_run(const struct sock_fprog *program, const struct seccomp_data *call)
{
    struct machine machine = {0};

    for (size_t i = 0;; i++) {
        const struct sock_filter *in = &program->filter[i];
        const uint32_t operand = BPF_SRC(in->code) == BPF_X ? machine.x : in->k;

        switch (BPF_CLASS(in->code)) {
        case BPF_LD:
            machine.a = load(&machine, in, call);
            break;
        case BPF_LDX:
            machine.x = load(&machine, in, call);
            break;
        case BPF_ST:
            machine.memory[in->k] = machine.a;
            break;
        case BPF_STX:
            machine.memory[in->k] = machine.x;
            break;
        case BPF_ALU:
            /* Only X can be zero, and then the whole program returns zero. */
            if (BPF_OP(in->code) == BPF_DIV && operand == 0)
                return 0;
            machine.a = calculate(BPF_OP(in->code), machine.a, operand);
            break;
        case BPF_JMP:
            i += jump(in, machine.a, operand);
            break;
        case BPF_RET:
            return BPF_RVAL(in->code) == BPF_A ? machine.a : in->k;
        default:
            if (BPF_MISCOP(in->code) == BPF_TAX)
                machine.x = machine.a;
            else
                machine.a = machine.x;
        }
    }
}

/* Actions are ordered as signed numbers, the strictest first. */
static int32_t leniency(uint32_t answer)
{
    return (int32_t)(answer & SECCOMP_RET_ACTION_FULL);
}

uint32_t bpf_run_stack(const struct sock_fprog *programs, size_t n, const struct seccomp_data *call)
{
    uint32_t strictest = SECCOMP_RET_ALLOW;

    /* The newest runs first; of equal actions its data counts. */
    for (size_t i = n; i-- > 0;) {
        const uint32_t answer = bpf_run(&programs[i], call);

        if (leniency(answer) < leniency(strictest))
            strictest = answer;
    }
    return strictest;
}
