/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "arch.h"

#include <stddef.h>
#include <string.h>

#include "check.h"
#include "cpu.h"

#define FLAG_TF 0x100

static const size_t argument_offsets[6] = {
    offsetof(tg_regs, rdi), offsetof(tg_regs, rsi), offsetof(tg_regs, rdx),
    offsetof(tg_regs, r10), offsetof(tg_regs, r8),  offsetof(tg_regs, r9),
};

/* rcx and r11 come last: the syscall instruction writes them. */
static const size_t general_offsets[] = {
    offsetof(tg_regs, rax), offsetof(tg_regs, rbx), offsetof(tg_regs, rdx), offsetof(tg_regs, rsi),
    offsetof(tg_regs, rdi), offsetof(tg_regs, rbp), offsetof(tg_regs, r8),  offsetof(tg_regs, r9),
    offsetof(tg_regs, r10), offsetof(tg_regs, r12), offsetof(tg_regs, r13), offsetof(tg_regs, r14),
    offsetof(tg_regs, r15), offsetof(tg_regs, rsp), offsetof(tg_regs, rcx), offsetof(tg_regs, r11),
};

#define GENERAL_COUNT   (sizeof(general_offsets) / sizeof(general_offsets[0]))
#define CLOBBERED_COUNT 2

static uint64_t *word(tg_regs *regs, size_t offset)
{
    return (uint64_t *)(void *)((char *)regs + offset);
}

static tg_regs *writable(tg_context *context)
{
    tg_regs *regs = tg_context_regs_mut(context);

    CHECK(regs != NULL);
    return regs;
}

uint64_t arch_ip(const tg_context *context)
{
    return tg_context_regs(context)->rip;
}

uint64_t arch_sp(const tg_context *context)
{
    return tg_context_regs(context)->rsp;
}

void arch_set_ip(tg_context *context, uint64_t ip)
{
    writable(context)->rip = ip;
}

uint64_t arch_argument(const tg_context *context, unsigned int index)
{
    return *(const uint64_t *)(const void *)((const char *)tg_context_regs(context) + argument_offsets[index]);
}

void arch_set_argument(tg_context *context, unsigned int index, uint64_t value)
{
    *word(writable(context), argument_offsets[index]) = value;
}

void arch_set_call_number(tg_context *context, uint64_t number)
{
    writable(context)->rax = number;
}

void arch_set_step(tg_context *context, bool on)
{
    tg_regs *regs = writable(context);

    if (on)
        regs->eflags |= FLAG_TF;
    else
        regs->eflags &= ~(uint64_t)FLAG_TF;
}

uint64_t arch_call_length(void)
{
    return 2;
}

void arch_fill_registers(tg_context *context, uint64_t seed)
{
    tg_regs *regs = writable(context);
    size_t i;

    for (i = 0; i < GENERAL_COUNT; i++) {
        if (general_offsets[i] != offsetof(tg_regs, rsp))
            *word(regs, general_offsets[i]) = (seed + i + 1) * 0x9e3779b97f4a7c15;
    }
}

unsigned int arch_register_words(const tg_context *context, bool skip_call_clobbered, uint64_t words[ARCH_MAX_WORDS])
{
    const tg_regs *regs = tg_context_regs(context);
    size_t count = GENERAL_COUNT - (skip_call_clobbered ? CLOBBERED_COUNT : 0);
    size_t i;

    for (i = 0; i < count; i++)
        words[i] = *(const uint64_t *)(const void *)((const char *)regs + general_offsets[i]);
    return (unsigned int)count;
}

#define REGISTER(name)                                                                                                 \
    {                                                                                                                  \
#name, offsetof(tg_regs, name)                                                                                 \
    }
#define REGISTER_CALLED(word, at)                                                                                      \
    {                                                                                                                  \
        word, offsetof(tg_regs, at)                                                                                    \
    }

static const struct {
    const char *name;
    size_t offset;
} registers[] = {
    REGISTER(r15),
    REGISTER(r14),
    REGISTER(r13),
    REGISTER(r12),
    REGISTER(rbp),
    REGISTER(rbx),
    REGISTER(r11),
    REGISTER(r10),
    REGISTER(r9),
    REGISTER(r8),
    REGISTER(rax),
    REGISTER(rcx),
    REGISTER(rdx),
    REGISTER(rsi),
    REGISTER(rdi),
    REGISTER(rip),
    REGISTER(cs),
    REGISTER(eflags),
    REGISTER(rsp),
    REGISTER(ss),
    REGISTER(fs_base),
    REGISTER(gs_base),
    REGISTER(ds),
    REGISTER(es),
    REGISTER(fs),
    REGISTER(gs),
    REGISTER(orig_rax),

    REGISTER_CALLED("ip", rip),
    REGISTER_CALLED("sp", rsp),
    REGISTER_CALLED("nr", rax),
    REGISTER_CALLED("arg0", rdi),
    REGISTER_CALLED("arg1", rsi),
    REGISTER_CALLED("arg2", rdx),
    REGISTER_CALLED("arg3", r10),
    REGISTER_CALLED("arg4", r8),
    REGISTER_CALLED("arg5", r9),
};

static bool register_offset(const char *name, size_t *offset)
{
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        if (strcmp(registers[i].name, name) == 0) {
            *offset = registers[i].offset;
            return true;
        }
    }
    return false;
}

bool arch_register_get(const tg_context *context, const char *name, uint64_t *value)
{
    size_t offset;

    if (!register_offset(name, &offset))
        return false;
    *value = *(const uint64_t *)(const void *)((const char *)tg_context_regs(context) + offset);
    return true;
}

bool arch_register_set(tg_context *context, const char *name, uint64_t value)
{
    size_t offset;

    if (!register_offset(name, &offset))
        return false;
    *word(writable(context), offset) = value;
    return true;
}

bool arch_cpu_has(const char *feature, uint64_t *has)
{
    static const struct {
        const char *name;
        enum cpu_feature feature;
    } features[] = {{"any", CPU_ALWAYS},        {"xsave", CPU_XSAVE},   {"avx2", CPU_AVX2}, {"avx512f", CPU_AVX512},
                    {"fsgsbase", CPU_FSGSBASE}, {"rdtscp", CPU_RDTSCP}, {"cx16", CPU_CX16}};

    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (strcmp(features[i].name, feature) == 0) {
            *has = cpu_has(features[i].feature);
            return true;
        }
    }
    return false;
}
