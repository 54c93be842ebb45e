/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/systrap/watchdog.h"

#define LOOK_NS     (WATCHDOG_ROUND_NS / 2) /* in less a worker that runs may not get a tick */
#define PATIENCE_NS (5 * WATCHDOG_ROUND_NS)
#define ANSWER_NS   (2 * WATCHDOG_ROUND_NS)
/*
 * However it comes about: a guest can make its workers seem starved, or its
 * ring seem to move, each time that somebody looks.
 */
#define OVERDUE_NS  (300 * WATCHDOG_ROUND_NS)

/* ---- looking at a stub ---- */

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

/*
 * Since the last look workers wanted to run and none of them was given a
 * processor for as much as one tick: the machine's fault, not theirs, that they
 * have done nothing.
 */
static bool is_starved(struct systrap_subprocess *subprocess)
{
    uint32_t n = atomic_load(&subprocess->worker_count);
    const uint64_t before = subprocess->watch.ticks;
    uint64_t ticks = 0;
    bool runnable = false;

    for (uint32_t i = 0; i < n; i++) {
        struct thread_stat stat;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", atomic_load(&subprocess->base.pid),
                 subprocess->workers[i]);
        stat = read_stat(path);
        runnable |= stat.state == 'R';
        ticks += stat.ticks;
    }
    subprocess->watch.ticks = ticks;
    return runnable && ticks == before;
}

/* Of the unified hierarchy: "0::/path", which may be as long as any. To be freed; NULL: there is none. */
static char *read_cgroup(pid_t pid)
{
    char path[32];
    char *group = NULL;
    size_t size = 0;
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    file = fopen(path, "re");
    if (!file)
        return NULL;
    while (!found && getline(&group, &size, file) > 0)
        found = strncmp(group, "0::", 3) == 0;
    fclose(file);
    if (!found) {
        free(group);
        return NULL;
    }
    group[strcspn(group, "\n")] = '\0';
    return group;
}

static FILE *open_cgroup_events(const char *group)
{
    FILE *file;
    char *path;

    if (asprintf(&path, "/sys/fs/cgroup%s/cgroup.events", group + 3) < 0)
        return NULL;
    file = fopen(path, "re");
    free(path);
    return file;
}

static bool is_frozen(pid_t pid)
{
    char line[64];
    bool frozen = false;
    char *group = read_cgroup(pid);
    FILE *file = group ? open_cgroup_events(group) : NULL;

    free(group);
    if (!file)
        return false;
    while (!frozen && fgets(line, sizeof(line), file))
        frozen = strncmp(line, "frozen 1", 8) == 0;
    fclose(file);
    return frozen;
}

bool watchdog_is_stopped(const struct systrap_subprocess *subprocess)
{
    pid_t pid = atomic_load(&subprocess->base.pid);
    char state;

    if (pid <= 0)
        return false;
    state = process_state(pid);
    return state == 'T' || state == 't' || state == 'D' || is_frozen(pid);
}

/* Whose turn it is to look. What nobody watched counts as one round at most. */
static void take_look(struct systrap_subprocess *subprocess, int64_t now_ns)
{
    struct systrap_watch *watch = &subprocess->watch;
    int64_t passed = now_ns - watch->looked_at;
    bool starved;

    if (passed < LOOK_NS)
        return;
    if (passed > WATCHDOG_ROUND_NS)
        passed = WATCHDOG_ROUND_NS;
    watch->looked_at = now_ns;
    starved = is_starved(subprocess);
    if (watchdog_is_stopped(subprocess)) {
        atomic_fetch_add(&watch->stopped, passed);
        return;
    }
    atomic_fetch_add(&watch->lived, passed);
    if (!starved)
        atomic_fetch_add(&watch->could_run, passed);
}

/*
 * Whoever comes first in half a round takes the look for all. False: somebody
 * does, and what he finds is of a time before this: no measurement may begin.
 */
static bool look(struct systrap_subprocess *subprocess, int64_t now_ns)
{
    if (atomic_exchange(&subprocess->watch.looking, true))
        return false;
    take_look(subprocess, now_ns);
    atomic_store(&subprocess->watch.looking, false);
    return true;
}

/* What the looks have said so far. */
static struct watchdog_times times_of(const struct systrap_subprocess *subprocess)
{
    return (struct watchdog_times){
        .could_run = atomic_load(&subprocess->watch.could_run),
        .lived = atomic_load(&subprocess->watch.lived),
        .stopped = atomic_load(&subprocess->watch.stopped),
    };
}

bool watchdog_waits_in_vain(struct systrap_subprocess *subprocess, struct watchdog_wait *wait, int64_t stopped_ns)
{
    int64_t now = clock_monotonic_ns();
    bool is_new = wait->look_at == 0;
    struct watchdog_times times;

    if (now < wait->look_at)
        return false;
    wait->look_at = now + LOOK_NS;
    /* Most are answered in microseconds. */
    if (is_new)
        return false;
    if (!look(subprocess, now) && !wait->begun)
        return false;
    times = times_of(subprocess);
    if (!wait->begun)
        wait->since = times;
    wait->begun = true;
    return times.could_run - wait->since.could_run >= ANSWER_NS || times.lived - wait->since.lived >= OVERDUE_NS ||
           times.stopped - wait->since.stopped >= stopped_ns;
}

/* ---- contexts in flight ---- */

/* Should a worker have done something about it long ago? */
static bool is_stuck(const struct systrap_context *context, int64_t now_ns)
{
    struct systrap_subprocess *subprocess = context->bound;
    int64_t moved;

    switch (SHARED_LOAD(context->slot->state)) {
    case SLOT_RUNNING:
        return interrupt_pending(&context->base.interrupt);
    case SLOT_READY:
        /* In a queue that moves it only has to wait. */
        moved = atomic_load(&subprocess->backlog_moved);
        return !workers_backlog(subprocess) || (moved && now_ns - moved >= WATCHDOG_ROUND_NS);
    case SLOT_HELD:
    case SLOT_ASLEEP:
    case SLOT_EVENT:
    case SLOT_DROP:
    case SLOT_GONE:
        return false;
    default:
        return true;
    }
}

/* What workers are to be told, once for all contexts: a guest can make all of them seem stuck. */
struct rousing {
    bool wake;
    bool kick;
};

static void ask_to_rouse(struct systrap_context *context, struct rousing *rousing)
{
    rousing->wake = true;
    if (interrupt_pending(&context->base.interrupt)) {
        SHARED_SWAP(context->slot->kick, 1);
        rousing->kick = true;
    }
}

/* In case that a wake-up or a kick went to the wrong worker. */
static void rouse(struct systrap_subprocess *subprocess, const struct rousing *rousing)
{
    uint32_t n = rousing->wake ? atomic_load(&subprocess->worker_count) : 0;

    for (uint32_t i = 0; i < n; i++) {
        worker_wake(subprocess, i);
        if (rousing->kick)
            worker_kick(subprocess, i);
    }
}

/* False: all is well with it, and what was is forgotten. */
static bool is_in_trouble(struct systrap_context *context, int64_t now_ns, bool *stuck)
{
    bool has_event = state_has_event(SHARED_LOAD(context->slot->state));

    *stuck = is_stuck(context, now_ns);
    if (!*stuck)
        context->stuck_since = 0;
    if (*stuck || (!has_event && interrupt_pending(&context->base.interrupt)))
        return true;
    context->overdue_since = 0;
    return false;
}

/* The times are those after a look. */
static bool is_hopeless(struct systrap_context *context, int64_t now_ns, const struct watchdog_times *times,
                        struct rousing *rousing)
{
    bool stuck;

    if (!is_in_trouble(context, now_ns, &stuck))
        return false;
    if (!context->overdue_since)
        context->overdue_since = times->lived;
    if (stuck) {
        if (!context->stuck_since)
            context->stuck_since = times->could_run;
        ask_to_rouse(context, rousing);
    }
    return (stuck && times->could_run - context->stuck_since >= PATIENCE_NS) ||
           times->lived - context->overdue_since >= OVERDUE_NS;
}

bool watchdog_gives_up(struct systrap_context *context, int64_t now_ns)
{
    struct rousing rousing = {0};
    struct watchdog_times times;
    bool hopeless;
    bool stuck;

    if (!is_in_trouble(context, now_ns, &stuck) || !look(context->bound, now_ns))
        return false;
    times = times_of(context->bound);
    hopeless = is_hopeless(context, now_ns, &times, &rousing);
    rouse(context->bound, &rousing);
    return hopeless;
}

/* Without times: is one in trouble? */
static bool is_any_queued(struct systrap_subprocess *subprocess, int64_t now_ns, const struct watchdog_times *times)
{
    struct rousing rousing = {0};
    bool found = false;

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < subprocess->next_slot; i++) {
        struct systrap_context *context = subprocess->owners[i];
        bool stuck;

        if (context && atomic_load(&context->flight))
            found |= times ? is_hopeless(context, now_ns, times, &rousing) : is_in_trouble(context, now_ns, &stuck);
    }
    pthread_mutex_unlock(&subprocess->lock);
    rouse(subprocess, &rousing);
    return found;
}

bool watchdog_gives_up_queued(struct systrap_subprocess *subprocess, int64_t now_ns)
{
    struct watchdog_times times;

    if (!is_any_queued(subprocess, now_ns, NULL) || !look(subprocess, now_ns))
        return false;
    times = times_of(subprocess);
    return is_any_queued(subprocess, now_ns, &times);
}
