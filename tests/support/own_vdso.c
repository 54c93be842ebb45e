/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "check.h"
#include "own_vdso.h"

/* As this architecture calls it, or another. */
static int is_clock(const char *name)
{
    return strcmp(name, "__vdso_clock_gettime") == 0 || strcmp(name, "__kernel_clock_gettime") == 0;
}

static const ElfW(Phdr) * find_dynamic(const ElfW(Ehdr) * header)
{
    const ElfW(Phdr) *segment = (const void *)((const char *)header + header->e_phoff);

    for (int i = 0; i < header->e_phnum; i++)
        if (segment[i].p_type == PT_DYNAMIC)
            return &segment[i];
    SKIP("the vDSO of this host has no dynamic section");
}

static const void *find_table(const ElfW(Ehdr) * header, ElfW(Sxword) tag)
{
    const ElfW(Dyn) *entry = (const void *)((const char *)header + find_dynamic(header)->p_offset);

    for (; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == tag)
            return (const char *)header + entry->d_un.d_ptr;
    SKIP("the vDSO of this host has no table %d", (int)tag);
}

uint64_t own_vdso(void)
{
    return getauxval(AT_SYSINFO_EHDR);
}

/* The names lie behind the symbols. */
uint64_t vdso_clock_offset(const void *image)
{
    const ElfW(Ehdr) *header = image;
    const ElfW(Sym) * symbol;
    const char *names;

    names = find_table(header, DT_STRTAB);
    for (symbol = find_table(header, DT_SYMTAB); (const void *)(symbol + 1) <= (const void *)names; symbol++)
        if (symbol->st_value && is_clock(names + symbol->st_name))
            return symbol->st_value;
    SKIP("the vDSO of this host has no clock_gettime()");
}

uint64_t own_vdso_clock_offset(void)
{
    if (!own_vdso())
        SKIP("this host has no vDSO");
    return vdso_clock_offset((const void *)(uintptr_t)own_vdso());
}
