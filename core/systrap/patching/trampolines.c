/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/systrap/orders.h"
#include "core/systrap/patching/trampolines.h"
#include "core/systrap/shared_words.h"

/* ---- places ---- */

uint32_t trampolines_max(void)
{
    const uint64_t by_table = tgi_arch_patching ? tgi_arch_patching->table_size / sizeof(uint64_t) : 0;
    const uint64_t by_memory = (SYSTRAP_CONTROL - SYSTRAP_TRAMPOLINES) / SYSTRAP_TRAMPOLINE;

    return (uint32_t)(by_table < by_memory ? by_table : by_memory);
}

uint64_t trampoline_table_entry(uint32_t number)
{
    return tgi_arch_patching->table_start + number * sizeof(uint64_t);
}

uint64_t trampoline_addr(const struct systrap_subprocess *subprocess, uint32_t number)
{
    return systrap_platform(subprocess->base.platform)->region + SYSTRAP_TRAMPOLINES +
           (uint64_t)number * SYSTRAP_TRAMPOLINE;
}

bool trampoline_holds(const struct systrap_subprocess *subprocess, uint64_t addr, uint32_t *number, uint64_t *offset)
{
    const uint64_t behind = addr - trampoline_addr(subprocess, 0);

    if (behind >= SYSTRAP_CONTROL - SYSTRAP_TRAMPOLINES)
        return false;
    *number = (uint32_t)(behind / SYSTRAP_TRAMPOLINE);
    *offset = behind % SYSTRAP_TRAMPOLINE;
    return true;
}

static uint64_t *table_of(const struct systrap_subprocess *subprocess)
{
    return (uint64_t *)(subprocess->memory + SYSTRAP_TABLE);
}

static uint8_t *trampolines_of(const struct systrap_subprocess *subprocess)
{
    return subprocess->memory + SYSTRAP_TRAMPOLINES;
}

/* ---- the table ---- */

struct stub_call trampolines_table_call(const struct systrap_subprocess *subprocess)
{
    return (struct stub_call){
        .nr = tgi_arch.syscalls.mmap,
        .args = {tgi_arch_patching->table_start, tgi_arch_patching->table_size, PROT_READ, MAP_SHARED | MAP_FIXED,
                 (uint64_t)subprocess->file, SYSTRAP_TABLE},
    };
}

static int map_table(struct systrap_subprocess *subprocess)
{
    struct order_reply reply;
    int err;

    if (subprocess->patches.table_mapped)
        return 0;
    orders_of(subprocess)->calls[0] = trampolines_table_call(subprocess);
    err = orders_give(subprocess, 1, &reply);
    if (err)
        return err;
    if (reply.left)
        return (int)reply.result;
    subprocess->patches.table_mapped = true;
    return 0;
}

/* Events are made from these without a lock, so they never move. */
static bool make_return_ips(struct systrap_patches *patches)
{
    if (!atomic_load(&patches->return_ips))
        atomic_store(&patches->return_ips, calloc(patches->sites.max, sizeof(patches->return_ips[0])));
    return atomic_load(&patches->return_ips) != NULL;
}

int trampolines_prepare(struct systrap_subprocess *subprocess)
{
    return make_return_ips(&subprocess->patches) ? map_table(subprocess) : -ENOMEM;
}

/* ---- one of them ---- */

void trampoline_write(struct systrap_subprocess *subprocess, uint32_t number, const uint8_t *code, size_t length,
                      uint64_t return_ip)
{
    memcpy(trampolines_of(subprocess) + (size_t)number * SYSTRAP_TRAMPOLINE, code, length);
    SHARED_STORE(table_of(subprocess)[number], trampoline_addr(subprocess, number));
    atomic_store(&subprocess->patches.return_ips[number], return_ip);
}

uint64_t trampoline_return_ip(const struct systrap_patches *patches, uint32_t number)
{
    const _Atomic uint64_t *ips = atomic_load_explicit(&patches->return_ips, memory_order_acquire);

    return ips && number < patches->sites.max ? atomic_load_explicit(&ips[number], memory_order_relaxed) : 0;
}

/* ---- children ---- */

int trampolines_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother)
{
    const uint32_t n = mother->patches.sites.count;

    if (!make_return_ips(&child->patches))
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        atomic_store(&child->patches.return_ips[i], trampoline_return_ip(&mother->patches, i));
    child->patches.table_mapped = mother->patches.table_mapped;
    memcpy(table_of(child), table_of(mother), n * sizeof(uint64_t));
    memcpy(trampolines_of(child), trampolines_of(mother), (size_t)n * SYSTRAP_TRAMPOLINE);
    return 0;
}
