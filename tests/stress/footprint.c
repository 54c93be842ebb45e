/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "footprint.h"

#include <ctype.h>
#include <dirent.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "proc.h"
#include "stress.h"

#define SPARE_MAPPINGS (SANITIZED ? 10000u : 4u)
#define SPARE_KIB      (SANITIZED ? 400u * 1024 : 512u)

/* A thread that was joined, or a stub that was reaped, may be on its way out of /proc. */
#define SETTLE_TRIES    500
#define SETTLE_PAUSE_NS 10000000

static bool is_ours(const char *pid)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/%s/status", pid);
    if (proc_field(path, "PPid:") == (size_t)getpid())
        return true;
    size_t tracer = proc_field(path, "TracerPid:");
    snprintf(path, sizeof(path), "/proc/self/task/%zu", tracer);
    return tracer != 0 && access(path, F_OK) == 0;
}

static size_t count_processes(void)
{
    size_t count = 0;
    const struct dirent *entry;
    DIR *directory = opendir("/proc");
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && is_ours(entry->d_name))
            count++;
    closedir(directory);
    return count;
}

struct footprint footprint_take(void)
{
    /* What was freed is not in use, wherever the allocator keeps it. */
    malloc_trim(0);
    return (struct footprint){
        .descriptors = proc_count("/proc/self/fd"),
        .threads = proc_count("/proc/self/task"),
        .mappings = proc_mappings(getpid(), NULL, 0),
        .processes = count_processes(),
        .memory_kib = proc_field("/proc/self/smaps_rollup", "Anonymous:"),
    };
}

static bool fits(const struct footprint *before, const struct footprint *now)
{
    return now->descriptors == before->descriptors && now->threads == before->threads &&
           now->processes == before->processes && now->mappings <= before->mappings + SPARE_MAPPINGS &&
           now->memory_kib <= before->memory_kib + SPARE_KIB;
}

void footprint_check(const struct footprint *before)
{
    struct footprint now = footprint_take();
    for (int tries = 0; tries < SETTLE_TRIES && !fits(before, &now); tries++) {
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_PAUSE_NS}, NULL);
        now = footprint_take();
    }
    CHECK_EQ(now.descriptors, before->descriptors);
    CHECK_EQ(now.threads, before->threads);
    CHECK_EQ(now.processes, before->processes);
    if (!fits(before, &now))
        check_failed(CHECK_HERE, "grew from %zu to %zu mappings and from %zu to %zu KiB", before->mappings,
                     now.mappings, before->memory_kib, now.memory_kib);
}
