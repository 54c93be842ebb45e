/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/systrap/orders.h"
#include "core/systrap/patching/trampolines.h"
#include "core/systrap/shared_words.h"

_Static_assert((SYSTRAP_CONTROL - SYSTRAP_TRAMPOLINES) / SYSTRAP_TRAMPOLINE <= RETURN_IPS_AT_ONCE * RETURN_IPS_PARTS,
               "each trampoline has its place");

/* ---- places ---- */

uint32_t trampolines_max(void)
{
    const uint64_t by_table = tgi_arch_patching ? tgi_arch_patching->table_size / sizeof(uint64_t) : 0;
    const uint64_t by_memory = (SYSTRAP_CONTROL - SYSTRAP_TRAMPOLINES) / SYSTRAP_TRAMPOLINE;

    return (uint32_t)(by_table < by_memory ? by_table : by_memory);
}

uint64_t trampoline_table_entry(uint32_t number)
{
    return tgi_arch_patching->table_start + tgi_arch_patching->table_place(number) * sizeof(uint64_t);
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

static uint64_t *pointer_of(const struct systrap_subprocess *subprocess, uint32_t number)
{
    return (uint64_t *)(subprocess->memory + SYSTRAP_TABLE) + tgi_arch_patching->table_place(number);
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

bool trampolines_table_is_mapped(const struct systrap_subprocess *subprocess)
{
    return subprocess->patches.table_mapped;
}

void trampolines_note_table(struct systrap_subprocess *subprocess)
{
    subprocess->patches.table_mapped = true;
}

/* ---- behind the calls ---- */

/* Events are made from these without a lock, so they never move. */
static bool make_return_ips(struct systrap_patches *patches, uint32_t number)
{
    struct return_ips *ips = atomic_load(&patches->return_ips);
    const uint32_t part = number / RETURN_IPS_AT_ONCE;

    if (!ips) {
        ips = calloc(1, sizeof(*ips));
        atomic_store(&patches->return_ips, ips);
    }
    if (ips && part < RETURN_IPS_PARTS && !atomic_load(&ips->parts[part]))
        atomic_store(&ips->parts[part], calloc(RETURN_IPS_AT_ONCE, sizeof(*ips->parts[part])));
    return ips && part < RETURN_IPS_PARTS && atomic_load(&ips->parts[part]);
}

/* NULL: no trampoline with this number was ever prepared. */
static _Atomic uint64_t *return_ip_of(const struct systrap_patches *patches, uint32_t number)
{
    const struct return_ips *ips = atomic_load_explicit(&patches->return_ips, memory_order_acquire);
    const uint32_t part = number / RETURN_IPS_AT_ONCE;
    _Atomic uint64_t *some;

    if (!ips || part >= RETURN_IPS_PARTS)
        return NULL;
    some = atomic_load_explicit(&ips->parts[part], memory_order_acquire);
    return some ? &some[number % RETURN_IPS_AT_ONCE] : NULL;
}

int trampolines_prepare(struct systrap_subprocess *subprocess, uint32_t number)
{
    return make_return_ips(&subprocess->patches, number) ? 0 : -ENOMEM;
}

void trampolines_forget(struct systrap_patches *patches)
{
    struct return_ips *ips = atomic_load(&patches->return_ips);

    for (uint32_t i = 0; ips && i < RETURN_IPS_PARTS; i++)
        free(ips->parts[i]);
    free(ips);
}

uint64_t trampoline_return_ip(const struct systrap_patches *patches, uint32_t number)
{
    const _Atomic uint64_t *ip = return_ip_of(patches, number);

    return ip ? atomic_load_explicit(ip, memory_order_relaxed) : 0;
}

/* ---- one of them ---- */

void trampoline_write(struct systrap_subprocess *subprocess, uint32_t number, const uint8_t *code, size_t length,
                      uint64_t return_ip)
{
    memcpy(trampolines_of(subprocess) + (size_t)number * SYSTRAP_TRAMPOLINE, code, length);
    SHARED_STORE(*pointer_of(subprocess, number), trampoline_addr(subprocess, number));
    atomic_store(return_ip_of(&subprocess->patches, number), return_ip);
}

/* ---- children ---- */

int trampolines_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother)
{
    const uint32_t n = mother->patches.sites.count;

    for (uint32_t i = 0; i < n; i++) {
        if (!make_return_ips(&child->patches, i))
            return -ENOMEM;
        atomic_store(return_ip_of(&child->patches, i), trampoline_return_ip(&mother->patches, i));
        *pointer_of(child, i) = trampoline_addr(child, i);
    }
    child->patches.table_mapped = mother->patches.table_mapped;
    memcpy(trampolines_of(child), trampolines_of(mother), (size_t)n * SYSTRAP_TRAMPOLINE);
    return 0;
}
