/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "memory/brings.h"

#include <stddef.h>
#include <sys/syscall.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Which argument is a path. The others that take one are rare, or older forms that C libraries do not use. */
static const struct {
    uint32_t nr;
    uint32_t arg;
} paths[] = {
    {SYS_openat, 1},     {SYS_newfstatat, 1}, {SYS_statx, 1},   {SYS_faccessat, 1}, {SYS_faccessat2, 1},
    {SYS_readlinkat, 1}, {SYS_unlinkat, 1},   {SYS_mkdirat, 1}, {SYS_chdir, 0},
};

/* Argument 1 is an address, argument 2 how many bytes. */
static const uint32_t writes[] = {SYS_write, SYS_pwrite64};

void brings_declare(tg_subprocess *subprocess)
{
    struct tg_bring pieces[COUNT(paths) + COUNT(writes)];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(paths); i++)
        pieces[n++] = (tg_bring){.size = sizeof(tg_bring),
                                 .kind = TG_BRING_STRING,
                                 .nr = paths[i].nr,
                                 .arg = paths[i].arg,
                                 .max = BRING_STRING_MAX};
    for (size_t i = 0; i < COUNT(writes); i++)
        pieces[n++] = (tg_bring){.size = sizeof(tg_bring),
                                 .kind = TG_BRING_COUNTED,
                                 .nr = writes[i],
                                 .arg = 1,
                                 .length_arg = 2,
                                 .max = BRING_BYTES_MAX};
    (void)tg_subprocess_set_brings(subprocess, pieces, n);
}

bool brings_string(uint64_t nr, const uint64_t args[6], uint64_t addr)
{
    for (size_t i = 0; i < COUNT(paths); i++)
        if (paths[i].nr == nr)
            return args[paths[i].arg] == addr;
    return false;
}

bool brings_bytes(uint64_t nr, const uint64_t args[6], uint64_t addr)
{
    for (size_t i = 0; i < COUNT(writes); i++)
        if (writes[i] == nr)
            return args[1] == addr;
    return false;
}
