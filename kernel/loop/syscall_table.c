/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "syscall_handler.h"

#include <string.h>

#include "arch.h"

/* SYSCALL_NR_MAX: this processor has no such call. */
static uint32_t older_number(const char *name)
{
    for (size_t i = 0; i < arch_older_calls_count; i++)
        if (strcmp(arch_older_calls[i].name, name) == 0)
            return arch_older_calls[i].nr;
    return SYSCALL_NR_MAX;
}

static void add(struct syscall_table *table, const struct syscall_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct syscall_entry entry = entries[i];

        if (entry.nr == SYSCALL_NR_OLDER)
            entry.nr = older_number(entry.name);
        if (entry.nr < SYSCALL_NR_MAX)
            table->entries[entry.nr] = entry;
    }
}

void syscall_table_init(struct syscall_table *table)
{
    memset(table, 0, sizeof(*table));
    add(table, memory_syscalls, memory_syscalls_count);
    add(table, time_syscalls, time_syscalls_count);
    add(table, interval_timer_syscalls, interval_timer_syscalls_count);
    add(table, identity_syscalls, identity_syscalls_count);
    add(table, user_id_syscalls, user_id_syscalls_count);
    add(table, capability_syscalls, capability_syscalls_count);
    add(table, prctl_syscalls, prctl_syscalls_count);
    add(table, limit_syscalls, limit_syscalls_count);
    add(table, scheduling_syscalls, scheduling_syscalls_count);
    add(table, nice_syscalls, nice_syscalls_count);
    add(table, clone_syscalls, clone_syscalls_count);
    add(table, exec_syscalls, exec_syscalls_count);
    add(table, exit_wait_syscalls, exit_wait_syscalls_count);
    add(table, futex_syscalls, futex_syscalls_count);
    add(table, signal_syscalls, signal_syscalls_count);
    add(table, file_syscalls, file_syscalls_count);
    add(table, arch_syscalls, arch_syscalls_count);
}
