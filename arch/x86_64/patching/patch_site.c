/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_site.h"

#include "x86_64.h"

uint64_t patch_syscall_ip(const struct patch_site *site)
{
    return site->start + site->before_length;
}

uint64_t patch_return_ip(const struct patch_site *site)
{
    return patch_syscall_ip(site) + X86_SYSCALL_LENGTH;
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
    while (behind && !starts_behind_syscall(site, behind + X86_SYSCALL_LENGTH))
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
                                       site->trampoline + site->after_offset + offset - X86_SYSCALL_LENGTH};
    return (struct patch_redirect){PATCH_NOT_OURS, 0};
}
