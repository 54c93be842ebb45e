/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Did a fault read or write? ptrace does not show the syndrome register, so the
 * instruction at pc says it. One that reads and then writes is told as the
 * processor tells it: a read where the address cannot be read.
 */
#include "aarch64.h"

/* Reads one place and writes another: where neither can be read nobody knows which it was. */
#define COPIES   (TG_ACCESS_READ | TG_ACCESS_WRITE)
/* Reads a place, then writes it. */
#define MODIFIES (TG_ACCESS_READ | TG_ACCESS_WRITE | 1u << 31)

/* The first that fits is right. Instructions that touch no memory may fit too: they do not fault. */
static const struct encoding {
    uint32_t mask;
    uint32_t value;
    uint32_t access;
} encodings[] = {
    /* cache maintenance; those that zero memory first */
    {0xffffff00, 0xd50b7400, TG_ACCESS_WRITE},
    {0xfffff000, 0xd50b7000, TG_ACCESS_READ},
    /* CAS; CASP; exclusive and ordered */
    {0x3fa00000, 0x08a00000, MODIFIES},
    {0xbfa00000, 0x08200000, MODIFIES},
    {0x3f400000, 0x08400000, TG_ACCESS_READ},
    {0x3f400000, 0x08000000, TG_ACCESS_WRITE},
    /* LDR of a literal */
    {0x3b000000, 0x18000000, TG_ACCESS_READ},
    /* SET; CPY */
    {0x3be00c00, 0x19c00400, TG_ACCESS_WRITE},
    {0x3b200c00, 0x19000400, COPIES},
    /* STLUR; LDAPUR; pairs and vectors of that kind */
    {0x3fe00c00, 0x19000000, TG_ACCESS_WRITE},
    {0x3f200c00, 0x19000000, TG_ACCESS_READ},
    {0x3b600c00, 0x19000800, TG_ACCESS_WRITE},
    {0x3b600c00, 0x19400800, TG_ACCESS_READ},
    /* LDG; LDGM; those that store tags */
    {0xffe00c00, 0xd9600000, TG_ACCESS_READ},
    {0xffe00c00, 0xd9e00000, TG_ACCESS_READ},
    {0xff200000, 0xd9200000, TG_ACCESS_WRITE},
    /* pairs */
    {0x3a400000, 0x28400000, TG_ACCESS_READ},
    {0x3a400000, 0x28000000, TG_ACCESS_WRITE},
    /* structures of vectors */
    {0xbe400000, 0x0c400000, TG_ACCESS_READ},
    {0xbe400000, 0x0c000000, TG_ACCESS_WRITE},
    /* LDAPR; the other atomic ones; LDRAA and LDRAB */
    {0x3ffffc00, 0x38bfc000, TG_ACCESS_READ},
    {0x3b200c00, 0x38200000, MODIFIES},
    {0xff200400, 0xf8200400, TG_ACCESS_READ},
    /* a vector register; a general one */
    {0x3e400000, 0x3c400000, TG_ACCESS_READ},
    {0x3e400000, 0x3c000000, TG_ACCESS_WRITE},
    {0x3ec00000, 0x38000000, TG_ACCESS_WRITE},
    {0x3e000000, 0x38000000, TG_ACCESS_READ},
    /* SVE */
    {0xfe000000, 0x84000000, TG_ACCESS_READ},
    {0xfe000000, 0xa4000000, TG_ACCESS_READ},
    {0xfe000000, 0xc4000000, TG_ACCESS_READ},
    {0xfe000000, 0xe4000000, TG_ACCESS_WRITE},
    /* SME */
    {0xbe200000, 0xa0000000, TG_ACCESS_READ},
    {0xbe200000, 0xa0200000, TG_ACCESS_WRITE},
};

static uint32_t instruction_access(uint32_t instruction)
{
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        if ((instruction & encodings[i].mask) == encodings[i].value)
            return encodings[i].access;
    }
    return 0;
}

static bool is_readable(const struct arch_guest *guest, uint64_t addr)
{
    uint8_t byte;

    return guest->read(guest->arg, addr, &byte, sizeof(byte)) == sizeof(byte);
}

static uint32_t data_access(uint32_t instruction, uint64_t addr, const struct arch_guest *guest)
{
    const uint32_t access = instruction_access(instruction);

    if (access != COPIES && access != MODIFIES)
        return access;
    if (is_readable(guest, addr))
        return TG_ACCESS_WRITE;
    return access == MODIFIES ? TG_ACCESS_READ : 0;
}

/* The kernel gives the address without its tag. */
uint32_t a64_fault_access(const tg_regs *regs, uint64_t addr, const struct arch_guest *guest)
{
    uint32_t instruction;
    uint32_t access;

    if (guest->read(guest->arg, regs->pc, &instruction, sizeof(instruction)) != sizeof(instruction))
        return TG_ACCESS_EXEC;
    access = data_access(instruction, addr, guest);
    if (addr - regs->pc < sizeof(instruction)) {
        /* Fetched from there: a data access is the reason only if the page lets code run. */
        return access && guest->executable(guest->arg, addr) ? access : TG_ACCESS_EXEC;
    }
    return access;
}
