/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "arch.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cpu.h"

#define PSTATE_SS     (1ull << 21)
#define GENERAL_COUNT 31
#define CALL_NUMBER   8
#define INVERTED_ONES 17 /* the guest invert_then_fault writes to the address in it, inverted */

static tg_regs *writable(tg_context *context)
{
    tg_regs *regs = tg_context_regs_mut(context);

    CHECK(regs != NULL);
    return regs;
}

uint64_t arch_ip(const tg_context *context)
{
    return tg_context_regs(context)->pc;
}

uint64_t arch_sp(const tg_context *context)
{
    return tg_context_regs(context)->sp;
}

void arch_set_ip(tg_context *context, uint64_t ip)
{
    writable(context)->pc = ip;
}

uint64_t arch_argument(const tg_context *context, unsigned int index)
{
    return tg_context_regs(context)->x[index];
}

void arch_set_argument(tg_context *context, unsigned int index, uint64_t value)
{
    writable(context)->x[index] = value;
}

void arch_set_call_number(tg_context *context, uint64_t number)
{
    writable(context)->x[CALL_NUMBER] = number;
}

void arch_set_step(tg_context *context, bool on)
{
    tg_regs *regs = writable(context);

    if (on)
        regs->pstate |= PSTATE_SS;
    else
        regs->pstate &= ~PSTATE_SS;
}

uint64_t arch_call_length(void)
{
    return 4;
}

void arch_fill_registers(tg_context *context, uint64_t seed)
{
    tg_regs *regs = writable(context);

    for (unsigned int i = 0; i < GENERAL_COUNT; i++)
        regs->x[i] = (seed + i + 1) * 0x9e3779b97f4a7c15;
    regs->x[INVERTED_ONES] = UINT64_MAX;
}

/* A call destroys none. */
unsigned int arch_register_words(const tg_context *context, bool skip_call_clobbered, uint64_t words[ARCH_MAX_WORDS])
{
    const tg_regs *regs = tg_context_regs(context);

    (void)skip_call_clobbered;
    memcpy(words, regs->x, GENERAL_COUNT * sizeof(words[0]));
    words[GENERAL_COUNT] = regs->sp;
    return GENERAL_COUNT + 1;
}

static const struct {
    const char *name;
    size_t offset;
} registers[] = {
    {"ip", offsetof(tg_regs, pc)},
    {"pc", offsetof(tg_regs, pc)},
    {"sp", offsetof(tg_regs, sp)},
    {"pstate", offsetof(tg_regs, pstate)},
    {"tpidr_el0", offsetof(tg_regs, tpidr_el0)},
    {"nr", offsetof(tg_regs, x[CALL_NUMBER])},
    {"arg0", offsetof(tg_regs, x[0])},
    {"arg1", offsetof(tg_regs, x[1])},
    {"arg2", offsetof(tg_regs, x[2])},
    {"arg3", offsetof(tg_regs, x[3])},
    {"arg4", offsetof(tg_regs, x[4])},
    {"arg5", offsetof(tg_regs, x[5])},
};

/* "x0" to "x30" */
static bool numbered_offset(const char *name, size_t *offset)
{
    char *end;
    unsigned long number;

    if (name[0] != 'x' || name[1] < '0' || name[1] > '9')
        return false;
    number = strtoul(name + 1, &end, 10);
    *offset = offsetof(tg_regs, x) + number * sizeof(uint64_t);
    return !*end && number < GENERAL_COUNT;
}

static bool register_offset(const char *name, size_t *offset)
{
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        if (strcmp(registers[i].name, name) == 0) {
            *offset = registers[i].offset;
            return true;
        }
    }
    return numbered_offset(name, offset);
}

bool arch_register_get(const tg_context *context, const char *name, uint64_t *value)
{
    size_t offset;

    if (!register_offset(name, &offset))
        return false;
    memcpy(value, (const char *)tg_context_regs(context) + offset, sizeof(*value));
    return true;
}

bool arch_register_set(tg_context *context, const char *name, uint64_t value)
{
    size_t offset;

    if (!register_offset(name, &offset))
        return false;
    memcpy((char *)writable(context) + offset, &value, sizeof(value));
    return true;
}

bool arch_cpu_has(const char *feature, uint64_t *has)
{
    static const struct {
        const char *name;
        enum cpu_feature feature;
    } features[] = {{"any", CPU_ALWAYS}, {"lse", CPU_LSE}, {"pac", CPU_PAC}, {"sve", CPU_SVE}};

    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (strcmp(features[i].name, feature) == 0) {
            *has = cpu_has(features[i].feature);
            return true;
        }
    }
    return false;
}
