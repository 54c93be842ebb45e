/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/systrap/watchdog.h"

#define PATIENCE_NS (5 * WATCHDOG_ROUND_NS)
#define OVERDUE_NS  (300 * WATCHDOG_ROUND_NS)

/* What a stat file of /proc says of a process or a thread; '?': it is gone. */
struct thread_stat {
    char state;
    uint64_t ticks; /* that it has run */
};

static struct thread_stat read_stat(const char *path)
{
    struct thread_stat stat = {.state = '?'};
    char line[512];
    const char *behind_name = NULL;
    uint64_t user = 0;
    uint64_t system = 0;
    FILE *file;

    file = fopen(path, "re");
    if (!file)
        return stat;
    if (fgets(line, sizeof(line), file))
        behind_name = strrchr(line, ')');
    fclose(file);
    if (behind_name && sscanf(behind_name + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                              &stat.state, &user, &system) == 3)
        stat.ticks = user + system;
    return stat;
}

static char process_state(pid_t pid)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    return read_stat(path).state;
}

bool watchdog_is_starved(const struct systrap_subprocess *subprocess, uint64_t *ticks)
{
    uint32_t n = atomic_load(&subprocess->worker_count);
    const uint64_t before = *ticks;
    bool runnable = false;

    *ticks = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct thread_stat stat;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", atomic_load(&subprocess->base.pid),
                 subprocess->workers[i]);
        stat = read_stat(path);
        runnable |= stat.state == 'R';
        *ticks += stat.ticks;
    }
    return runnable && *ticks == before;
}

/* Of the unified hierarchy: "0::/path". */
static bool read_cgroup(pid_t pid, char *group, size_t size)
{
    char path[32];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(group, (int)size, file))
        found = strncmp(group, "0::", 3) == 0;
    fclose(file);
    if (found)
        group[strcspn(group, "\n")] = '\0';
    return found;
}

static bool is_frozen(pid_t pid)
{
    char group[256];
    char path[320];
    char line[64];
    bool frozen = false;
    FILE *file;

    if (!read_cgroup(pid, group, sizeof(group)))
        return false;
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.events", group + 3);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (!frozen && fgets(line, sizeof(line), file))
        frozen = strncmp(line, "frozen 1", 8) == 0;
    fclose(file);
    return frozen;
}

/* Somebody else keeps it from running: no fault of the guest's. */
static bool is_stopped(const struct systrap_subprocess *subprocess)
{
    pid_t pid = atomic_load(&subprocess->base.pid);
    char state;

    if (pid <= 0)
        return false;
    state = process_state(pid);
    return state == 'T' || state == 't' || state == 'D' || is_frozen(pid);
}

/* Should a worker have done something about it long ago? */
static bool is_stuck(const struct systrap_context *context, int64_t now_ns)
{
    struct systrap_subprocess *subprocess = context->bound;
    int64_t moved;

    switch (SHARED_LOAD(slot_of(subprocess, context->number)->state)) {
    case SLOT_RUNNING:
        return interrupt_pending(&context->base.interrupt);
    case SLOT_READY:
        /* In a queue that moves it only has to wait. */
        moved = atomic_load(&subprocess->backlog_moved);
        return !workers_backlog(subprocess) || (moved && now_ns - moved >= WATCHDOG_ROUND_NS);
    case SLOT_HELD:
    case SLOT_ASLEEP:
    case SLOT_EVENT:
    case SLOT_GONE:
        return false;
    default:
        return true;
    }
}

/* In case that a wake-up or a kick went to the wrong worker. */
static void rouse(struct systrap_context *context)
{
    struct systrap_subprocess *subprocess = context->bound;
    uint32_t n = atomic_load(&subprocess->worker_count);
    bool interrupted = interrupt_pending(&context->base.interrupt);

    if (interrupted)
        SHARED_SWAP(slot_of(subprocess, context->number)->kick, 1);
    for (uint32_t i = 0; i < n; i++) {
        worker_wake(subprocess, i);
        if (interrupted)
            worker_kick(subprocess, i);
    }
}

/*
 * However it comes about: a guest can make its workers seem starved, or its
 * ring seem to move, each time that somebody looks.
 */
static bool is_overdue(struct systrap_context *context, bool stuck, int64_t now_ns)
{
    bool has_event = state_has_event(SHARED_LOAD(slot_of(context->bound, context->number)->state));

    if (!stuck && (has_event || !interrupt_pending(&context->base.interrupt)))
        context->overdue_since = 0;
    else if (context->overdue_since == 0 || is_stopped(context->bound))
        context->overdue_since = now_ns;
    return context->overdue_since != 0 && now_ns - context->overdue_since >= OVERDUE_NS;
}

bool watchdog_gives_up(struct systrap_context *context, int64_t now_ns)
{
    bool stuck = is_stuck(context, now_ns);
    bool starved;

    if (is_overdue(context, stuck, now_ns))
        return true;
    if (!stuck) {
        context->stuck_since = 0;
        return false;
    }
    if (context->stuck_since == 0)
        context->stuck_ticks = WATCHDOG_NO_TICKS;
    starved = watchdog_is_starved(context->bound, &context->stuck_ticks);
    if (context->stuck_since == 0 || starved || is_stopped(context->bound))
        context->stuck_since = now_ns;
    rouse(context);
    return now_ns - context->stuck_since >= PATIENCE_NS;
}
