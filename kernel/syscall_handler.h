/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a system call handler is, and the table that leads from a number to
 * one. Each area of the kernel exports an array of entries; syscall_table.c
 * puts them together.
 *
 * A handler gets the task and the six raw arguments. It returns the result or
 * a negative errno, or one of the two values below, which no call returns.
 */
#ifndef TRAPGATE_KERNEL_SYSCALL_HANDLER_H
#define TRAPGATE_KERNEL_SYSCALL_HANDLER_H

#include <stddef.h>
#include <stdint.h>

struct task;

/*
 * The call waits. Only the task_wait_*() functions of wait.h produce it. When
 * what it waits for happens, the handler is called again with the same
 * arguments and task->wake says what it was; so a handler that can wait
 * changes nothing before it does, and reads the guest's memory with
 * read_once.h.
 */
#define SYSCALL_WAITS INT64_MIN

/*
 * There is no result: the registers are already what the guest shall see
 * (rt_sigreturn, execve), or the task has ended.
 */
#define SYSCALL_NO_RESULT (INT64_MIN + 1)

/* Numbers from here on are nobody's: the highest call of Linux is below 500. */
#define SYSCALL_NR_MAX 512

/* In the place of a number: newer processors have the call in another form only, and arch_older_calls knows which do.
 */
#define SYSCALL_NR_OLDER UINT32_MAX

struct syscall_entry {
    uint32_t nr;
    const char *name;
    int64_t (*handler)(struct task *task, const uint64_t args[6]);
};

/* How often a call was made and how long its handler took. */
struct syscall_counter {
    uint64_t calls;
    uint64_t errors;
    uint64_t handler_ns; /* only while sandbox_options.measure */
};

/* One entry for each number, in order; handler NULL: not implemented. */
struct syscall_table {
    struct syscall_entry entries[SYSCALL_NR_MAX];
};

void syscall_table_init(struct syscall_table *table);

/* The arrays that make up the table. */
extern const struct syscall_entry memory_syscalls[];
extern const size_t memory_syscalls_count;
extern const struct syscall_entry time_syscalls[];
extern const size_t time_syscalls_count;
extern const struct syscall_entry interval_timer_syscalls[];
extern const size_t interval_timer_syscalls_count;
extern const struct syscall_entry identity_syscalls[];
extern const size_t identity_syscalls_count;
extern const struct syscall_entry user_id_syscalls[];
extern const size_t user_id_syscalls_count;
extern const struct syscall_entry capability_syscalls[];
extern const size_t capability_syscalls_count;
extern const struct syscall_entry prctl_syscalls[];
extern const size_t prctl_syscalls_count;
extern const struct syscall_entry limit_syscalls[];
extern const size_t limit_syscalls_count;
extern const struct syscall_entry scheduling_syscalls[];
extern const size_t scheduling_syscalls_count;
extern const struct syscall_entry nice_syscalls[];
extern const size_t nice_syscalls_count;
extern const struct syscall_entry clone_syscalls[];
extern const size_t clone_syscalls_count;
extern const struct syscall_entry exec_syscalls[];
extern const size_t exec_syscalls_count;
extern const struct syscall_entry exit_wait_syscalls[];
extern const size_t exit_wait_syscalls_count;
extern const struct syscall_entry futex_syscalls[];
extern const size_t futex_syscalls_count;
extern const struct syscall_entry signal_syscalls[];
extern const size_t signal_syscalls_count;
extern const struct syscall_entry arch_syscalls[];
extern const size_t arch_syscalls_count;

/* Of the file side: everything that takes a path or a descriptor. */
extern const struct syscall_entry file_syscalls[];
extern const size_t file_syscalls_count;

#endif
