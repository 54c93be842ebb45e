/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "time/cpu_usage.h"

#include <string.h>
#include <time.h>

#include "memory/address_space.h"
#include "tasks/process.h"

static struct timeval to_timeval(int64_t ns)
{
    return (struct timeval){.tv_sec = ns / 1000000000, .tv_usec = ns / 1000 % 1000000};
}

static int64_t to_ns(const struct timeval *value)
{
    return (int64_t)value->tv_sec * 1000000000 + (int64_t)value->tv_usec * 1000;
}

/* As clock_getcpuclockid(3), which would ask the host whether the process is there: the reading says that too. */
static clockid_t process_clock(int32_t pid)
{
    return (clockid_t)(~(uint32_t)pid << 3 | 2);
}

int64_t cpu_usage_ns(const struct address_space *space)
{
    int32_t pid = space && space->subprocess ? tg_subprocess_pid(space->subprocess) : 0;
    struct timespec used;

    if (pid <= 0 || clock_gettime(process_clock(pid), &used) != 0)
        return 0;
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* The time before an execve was another stub's, and is kept. */
void cpu_usage_of_self(const struct process *process, struct rusage *usage)
{
    memset(usage, 0, sizeof(*usage));
    usage->ru_utime = to_timeval(process->cpu_ns + cpu_usage_ns(process->space));
}

void cpu_usage_keep(struct process *process)
{
    /* What a child of vfork ran in is its parent's. */
    if (process->space && process->space->references == 1)
        process->cpu_ns += cpu_usage_ns(process->space);
}

void cpu_usage_of_child(const struct process *child, struct rusage *usage)
{
    memset(usage, 0, sizeof(*usage));
    usage->ru_utime = to_timeval(child->cpu_ns + to_ns(&child->children_usage.ru_utime));
}

void cpu_usage_add_child(struct process *parent, const struct process *child)
{
    struct rusage usage;

    cpu_usage_of_child(child, &usage);
    parent->children_usage.ru_utime = to_timeval(to_ns(&parent->children_usage.ru_utime) + to_ns(&usage.ru_utime));
}
