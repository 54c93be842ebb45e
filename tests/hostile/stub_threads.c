/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* SIGKILL and SIGSTOP from outside, to any thread of a stub, at any moment. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "hostile.h"
#include "proc.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define KILLS          300
#define STOPS          200
#define DESTROYS       20
#define QUEUED         3
#define PAUSE_MAX_NS   2000000
#define LOOK_NS        100000
#define STOPPED_NS     10000000
#define LOOKS_ASLEEP   100 /* in a row: a thread that works without end is in no sleep for that long */
#define THREADS_LISTED 64
#define NOTICED_WITHIN (INT64_C(1000000000) * (SANITIZED ? 5 : 1))
#define FOREVER        (-1)

/* A subprocess that one thread switches in, one waits on a queue for and one changes the memory of. */
struct target {
    tg_platform *platform;
    tg_subprocess *subprocess;
    struct soaker switched;
    struct soaker queued[QUEUED];
    tg_queue *queue;
    struct bounded *bounded[3];
    _Atomic bool over;
    _Atomic int dead;
    _Atomic int64_t killed_at;
};

static void target_open(struct target *target, uint32_t backend, uint64_t seed)
{
    static const char *const names[] = {"the switching thread", "the waiting thread", "the mapping thread"};
    *target = (struct target){.platform = open_platform(backend, 0)};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        target->bounded[i] = bounded_new(names[i]);
    soaker_open(&target->switched, target->platform, seed);
    for (size_t i = 0; i < QUEUED; i++) {
        soaker_open(&target->queued[i], target->platform, seed + 1 + i);
        CHECK_OK(tg_context_set_user_data(target->queued[i].context, i));
    }
    CHECK_OK(tg_queue_create(target->platform, &target->queue));
}

static void target_close(struct target *target)
{
    tg_queue_destroy(target->queue);
    soaker_close(&target->switched);
    for (size_t i = 0; i < QUEUED; i++)
        soaker_close(&target->queued[i]);
    tg_platform_close(target->platform);
}

static void target_restart(struct target *target)
{
    target->subprocess = create_loaded_subprocess(target->platform, soak_code());
    soaker_restart(&target->switched);
    for (size_t i = 0; i < QUEUED; i++)
        soaker_restart(&target->queued[i]);
    atomic_store(&target->over, false);
    atomic_store(&target->dead, 0);
    atomic_store(&target->killed_at, 0);
}

/* Right while nobody has killed it: DEAD is for a kill, and then within a second. */
static bool lives(struct target *target, struct soaker *soaker, const tg_event *event)
{
    if (event->kind != TG_EVENT_DEAD) {
        soaker_answer(soaker, event);
        return true;
    }
    const int64_t now = clock_ns();
    const int64_t killed_at = atomic_load(&target->killed_at);
    CHECK_DEAD(event, TG_DEAD_KILLED, SIGKILL);
    CHECK(killed_at != 0);
    if (now - killed_at > NOTICED_WITHIN)
        check_failed(CHECK_HERE, "the death was noticed after %lld ms", (long long)(now - killed_at) / 1000000);
    atomic_fetch_add(&target->dead, 1);
    return false;
}

static void *use_by_switching(void *argument)
{
    struct target *target = argument;
    tg_event event;
    bool alive = true;
    while (alive && !atomic_load(&target->over)) {
        BOUNDED_VOID(target->bounded[0], run_context(target->switched.context, target->subprocess, &event));
        alive = lives(target, &target->switched, &event);
    }
    return NULL;
}

static void *use_by_queue(void *argument)
{
    struct target *target = argument;
    size_t in_flight = QUEUED;
    bool alive = true;
    for (size_t i = 0; i < QUEUED; i++)
        CHECK_OK(tg_queue_submit(target->queue, target->queued[i].context, target->subprocess));
    while (in_flight > 0) {
        tg_event event = new_event();
        size_t count = 0;
        CHECK_OK(BOUNDED(target->bounded[1], tg_queue_wait(target->queue, &event, 1, FOREVER, &count)));
        CHECK_EQ(count, 1);
        CHECK(event.user_data < QUEUED);
        struct soaker *soaker = &target->queued[event.user_data];
        alive = lives(target, soaker, &event) && alive;
        if (alive && !atomic_load(&target->over))
            CHECK_OK(tg_queue_submit(target->queue, soaker->context, target->subprocess));
        else
            in_flight--;
    }
    return NULL;
}

static void *use_memory(void *argument)
{
    struct target *target = argument;
    while (!atomic_load(&target->over)) {
        const int result =
            BOUNDED(target->bounded[2], tg_subprocess_map(target->subprocess, GUEST_HOLE_AT, 65536, PROT_RW, 0, -1, 0));
        if (result == -ESRCH)
            break;
        CHECK_OK(result);
        pause_ns(100000);
    }
    return NULL;
}

struct users {
    pthread_t threads[3];
};

static struct users start_users(struct target *target)
{
    return (struct users){{
        start_thread(use_by_switching, target),
        start_thread(use_by_queue, target),
        start_thread(use_memory, target),
    }};
}

static void join_users(const struct users *users)
{
    for (size_t i = 0; i < ARRAY_SIZE(users->threads); i++)
        join_thread(users->threads[i]);
}

/* A thread of the process, chosen at random; 0: it is gone already. */
static pid_t any_thread(pid_t pid, uint64_t *random)
{
    pid_t threads[THREADS_LISTED];
    size_t count = 0;
    char path[64];
    const struct dirent *entry;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *listing = opendir(path);
    while (listing && (entry = readdir(listing)) != NULL && count < THREADS_LISTED)
        if (isdigit((unsigned char)entry->d_name[0]))
            threads[count++] = atoi(entry->d_name);
    if (listing)
        closedir(listing);
    return count ? threads[next_number(random) % count] : 0;
}

static void send(const struct target *target, int signo, uint64_t *random)
{
    const pid_t pid = tg_subprocess_pid(target->subprocess);
    CHECK(pid > 0);
    const pid_t thread = any_thread(pid, random);
    CHECK(thread > 0);
    CHECK_EQ(syscall(SYS_tgkill, pid, thread, signo), 0);
}

static void wait_for_turns(const struct target *target, uint64_t turns)
{
    while (target->switched.turns < turns)
        pause_ns(100000);
}

void hostile_threads_killed(uint32_t backend)
{
    const struct footprint before = footprint_take();
    const uint64_t seed = hostile_seed();
    uint64_t random = seed;
    struct target target;
    target_open(&target, backend, seed);
    for (size_t i = 0; i < scaled(KILLS); i++) {
        bounded_note("HOSTILE_SEED=%llu kill %zu", (unsigned long long)seed, i);
        target_restart(&target);
        const struct users users = start_users(&target);
        pause_ns((int64_t)(next_number(&random) % PAUSE_MAX_NS));
        atomic_store(&target.killed_at, clock_ns());
        send(&target, SIGKILL, &random);
        join_users(&users);
        /* The switch, and of the queue at least one: others may have had their last event before. */
        CHECK(atomic_load(&target.dead) >= 2);
        CHECK_EQ(tg_subprocess_pid(target.subprocess), 0);
        tg_subprocess_destroy(target.subprocess);
    }
    target_close(&target);
    footprint_check(&before);
}

/* The kernel's own business, and as fast as it likes. */
static void wait_until_stopped(const struct target *target)
{
    const pid_t pid = tg_subprocess_pid(target->subprocess);
    while (proc_state(pid) != 'T')
        pause_ns(LOOK_NS);
}

void hostile_threads_stopped(uint32_t backend)
{
    const struct footprint before = footprint_take();
    const uint64_t seed = hostile_seed();
    uint64_t random = seed;
    struct target target;
    if (backend == TG_BACKEND_PTRACE)
        SKIP("signals for a traced thread go to its tracer, which drops them");
    target_open(&target, backend, seed);
    target_restart(&target);
    const struct users users = start_users(&target);
    for (size_t i = 0; i < scaled(STOPS); i++) {
        bounded_note("HOSTILE_SEED=%llu stop %zu", (unsigned long long)seed, i);
        wait_for_turns(&target, target.switched.turns + 1);
        pause_ns((int64_t)(next_number(&random) % PAUSE_MAX_NS));
        send(&target, SIGSTOP, &random);
        wait_until_stopped(&target);
        pause_ns((int64_t)(next_number(&random) % STOPPED_NS));
        send(&target, SIGCONT, &random);
    }
    wait_for_turns(&target, target.switched.turns + 1);
    atomic_store(&target.over, true);
    join_users(&users);
    CHECK_EQ(atomic_load(&target.dead), 0);
    for (size_t i = 0; i < QUEUED; i++)
        CHECK(target.queued[i].turns > 0);
    tg_subprocess_destroy(target.subprocess);
    target_close(&target);
    footprint_check(&before);
}

/* Tracees go on whatever somebody has stopped; and one that is made meanwhile is stopped before it does anything. */
void hostile_made_stopped(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct target target = {.bounded = {bounded_new("the thread")}};
    tg_context *contexts[QUEUED];
    tg_event event = new_event();
    size_t count = 0;
    if (backend != TG_BACKEND_PTRACE)
        SKIP("a stub that nobody traces does nothing while it is stopped: the cases that are named so");
    target.platform = open_platform(backend, 0);
    target.subprocess = create_loaded_subprocess(target.platform, GUEST_CODE(spin));
    CHECK_OK(tg_queue_create(target.platform, &target.queue));
    CHECK_SYSTEM(kill(tg_subprocess_pid(target.subprocess), SIGSTOP));
    wait_until_stopped(&target);
    for (size_t i = 0; i < QUEUED; i++) {
        contexts[i] = create_started_context(target.platform);
        CHECK_OK(BOUNDED(target.bounded[0], tg_queue_submit(target.queue, contexts[i], target.subprocess)));
    }
    CHECK_OK(BOUNDED(target.bounded[0], tg_queue_wait(target.queue, &event, 1, STOPPED_NS, &count)));
    CHECK_EQ(count, 0);
    for (size_t i = 0; i < QUEUED; i++) {
        CHECK_OK(tg_context_interrupt(contexts[i]));
        CHECK_OK(BOUNDED(target.bounded[0], tg_queue_wait(target.queue, &event, 1, FOREVER, &count)));
        CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    }
    CHECK_EQ(proc_state(tg_subprocess_pid(target.subprocess)), 'T');
    BOUNDED_VOID(target.bounded[0], tg_queue_destroy(target.queue));
    BOUNDED_VOID(target.bounded[0], tg_subprocess_destroy(target.subprocess));
    for (size_t i = 0; i < QUEUED; i++)
        tg_context_destroy(contexts[i]);
    tg_platform_close(target.platform);
    footprint_check(&before);
}

/* Nobody fetches the event of the death: whoever has found it has nothing more to do. */
void hostile_killed_unfetched(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct target target = {.bounded = {bounded_new("the thread")}};
    tg_event event = new_event();
    size_t count = 0;
    target.platform = open_platform(backend, 0);
    target.subprocess = create_loaded_subprocess(target.platform, GUEST_CODE(spin));
    tg_context *context = create_started_context(target.platform);
    CHECK_OK(tg_queue_create(target.platform, &target.queue));
    struct pollfd found = {.fd = tg_queue_fd(target.queue), .events = POLLIN};
    CHECK_OK(tg_queue_submit(target.queue, context, target.subprocess));
    CHECK_SYSTEM(kill(tg_subprocess_pid(target.subprocess), SIGKILL));
    CHECK_EQ(BOUNDED(target.bounded[0], poll(&found, 1, FOREVER)), 1);
    bounded_begin(target.bounded[0], "the wait until all other threads sleep");
    for (int asleep = 0; asleep < LOOKS_ASLEEP;) {
        asleep = proc_threads_not(getpid(), 'S') == 1 ? asleep + 1 : 0;
        pause_ns(LOOK_NS);
    }
    bounded_end(target.bounded[0]);
    CHECK_OK(BOUNDED(target.bounded[0], tg_queue_wait(target.queue, &event, 1, FOREVER, &count)));
    CHECK_DEAD(&event, TG_DEAD_KILLED, SIGKILL);
    BOUNDED_VOID(target.bounded[0], tg_queue_destroy(target.queue));
    tg_subprocess_destroy(target.subprocess);
    tg_context_destroy(context);
    tg_platform_close(target.platform);
    footprint_check(&before);
}

/* ---- destruction of what is stopped ---- */

static void *run_until_destroyed(void *argument)
{
    struct target *target = argument;
    tg_event event;
    do {
        BOUNDED_VOID(target->bounded[0], run_context(target->switched.context, target->subprocess, &event));
        if (event.kind != TG_EVENT_DEAD)
            soaker_answer(&target->switched, &event);
    } while (event.kind != TG_EVENT_DEAD);
    CHECK_EQ(event.u.dead.reason, TG_DEAD_DESTROYED);
    return NULL;
}

void hostile_stopped_destroyed(uint32_t backend)
{
    const struct footprint before = footprint_take();
    const uint64_t seed = hostile_seed();
    uint64_t random = seed;
    struct target target;
    if (backend == TG_BACKEND_PTRACE)
        SKIP("signals for a traced thread go to its tracer, which drops them");
    target_open(&target, backend, seed);
    for (size_t i = 0; i < scaled(DESTROYS); i++) {
        bounded_note("HOSTILE_SEED=%llu destroy %zu", (unsigned long long)seed, i);
        target_restart(&target);
        const uint64_t turns = target.switched.turns;
        const pthread_t user = start_thread(run_until_destroyed, &target);
        wait_for_turns(&target, turns + 10);
        pause_ns((int64_t)(next_number(&random) % PAUSE_MAX_NS));
        send(&target, SIGSTOP, &random);
        wait_until_stopped(&target);
        /* Its thread sits in the switch now, for nothing can end that. */
        pause_ns(STOPPED_NS);
        const pid_t pid = tg_subprocess_pid(target.subprocess);
        BOUNDED_VOID(target.bounded[1], tg_subprocess_destroy(target.subprocess));
        CHECK_EQ(proc_state(pid), 0);
        join_thread(user);
    }
    target_close(&target);
    footprint_check(&before);
}
