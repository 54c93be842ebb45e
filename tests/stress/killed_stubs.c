/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stubs are killed from outside while their subprocesses are used in every
 * way. Each death shows up within a second as a DEAD event, memory calls say
 * -ESRCH, and the subprocesses next door do not notice.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "clock.h"
#include "footprint.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define KILLS          1000
#define PAUSE_MAX_NS   2000000
#define BYSTANDERS     2
#define QUEUED         4
#define NOTICED_WITHIN (INT64_C(10000000000))
#define FOREVER        (-1)

/* A subprocess that may be killed. The lock keeps the killer off while the worker replaces it. */
struct slot {
    tg_platform *platform;
    pthread_mutex_t lock;
    tg_subprocess *subprocess;
    bool killed;
    int64_t killed_at;
    struct soaker soakers[QUEUED]; /* workers without a queue use the first */
    tg_queue *queue;
    const struct way *way;
    const _Atomic bool *over;
    size_t deaths;
    int64_t slowest;
    pthread_t thread;
};

/* A way to use a subprocess: works until it finds the subprocess dead or the test over. */
struct way {
    const char *name;
    void (*use)(struct slot *slot);
};

struct bystander {
    struct soaker soaker;
    tg_subprocess *subprocess;
    const _Atomic bool *over;
    pthread_t thread;
};

static void check_killed(const tg_event *event)
{
    CHECK_DEAD(event, TG_DEAD_KILLED, SIGKILL);
}

/* The kill may come between the end of the loop and this switch, or never. */
static bool found_dead(struct slot *slot)
{
    tg_event event;
    run_context(slot->soakers[0].context, slot->subprocess, &event);
    if (event.kind == TG_EVENT_SYSCALL) {
        soaker_answer(&slot->soakers[0], &event);
        return false;
    }
    check_killed(&event);
    return true;
}

static void use_by_switching(struct slot *slot)
{
    while (!atomic_load(slot->over) && !found_dead(slot))
        ;
}

/* True when the result says that the subprocess is alive. */
static bool alive(int result)
{
    if (result != -ESRCH)
        CHECK_OK(result);
    return result == 0;
}

static bool change_memory(struct slot *slot)
{
    uint64_t word = slot->deaths;
    return alive(tg_subprocess_map(slot->subprocess, GUEST_HOLE_AT, 65536, PROT_RW, 0, -1, 0)) &&
           alive(tg_subprocess_write(slot->subprocess, GUEST_HOLE_AT + 8, &word, sizeof(word), NULL)) &&
           alive(tg_subprocess_read(slot->subprocess, GUEST_HOLE_AT + 8, &word, sizeof(word), NULL)) &&
           alive(tg_subprocess_unmap(slot->subprocess, GUEST_HOLE_AT, 65536));
}

static void use_memory(struct slot *slot)
{
    while (!atomic_load(slot->over)) {
        if (change_memory(slot))
            continue;
        CHECK(found_dead(slot));
        return;
    }
}

static void use_by_forking(struct slot *slot)
{
    while (!atomic_load(slot->over)) {
        tg_subprocess *copy = NULL;
        if (!alive(tg_subprocess_fork(slot->subprocess, &copy))) {
            CHECK(copy == NULL);
            CHECK(found_dead(slot));
            return;
        }
        soaker_turn(&slot->soakers[0], copy);
        tg_subprocess_destroy(copy);
    }
}

static struct soaker *soaker_of(struct slot *slot, const tg_event *event)
{
    for (size_t i = 0; i < QUEUED; i++)
        if (slot->soakers[i].context == event->context)
            return &slot->soakers[i];
    check_failed(CHECK_HERE, "an event of a context that is not of this queue");
}

/* All of the queue's contexts are in the subprocess, so each of them reports the death. */
static void use_queue(struct slot *slot)
{
    size_t in_flight = QUEUED;
    bool dead = false;
    for (size_t i = 0; i < QUEUED; i++)
        CHECK_OK(tg_queue_submit(slot->queue, slot->soakers[i].context, slot->subprocess));
    while (in_flight > 0) {
        tg_event event = new_event();
        size_t count = 0;
        CHECK_OK(tg_queue_wait(slot->queue, &event, 1, FOREVER, &count));
        CHECK_EQ(count, 1);
        struct soaker *soaker = soaker_of(slot, &event);
        if (event.kind == TG_EVENT_SYSCALL)
            soaker_answer(soaker, &event);
        else
            check_killed(&event);
        dead = dead || event.kind == TG_EVENT_DEAD;
        if (dead || atomic_load(slot->over))
            in_flight--;
        else
            CHECK_OK(tg_queue_submit(slot->queue, soaker->context, slot->subprocess));
    }
}

static const struct way ways[] = {
    {"switching", use_by_switching},
    {"switching", use_by_switching},
    {"switching", use_by_switching},
    {"memory", use_memory},
    {"forking", use_by_forking},
    {"queue", use_queue},
    {"queue", use_queue},
};

#define SLOTS (sizeof(ways) / sizeof(ways[0]))

static void check_dead_handle(tg_subprocess *subprocess)
{
    tg_subprocess *copy = NULL;
    char byte;
    CHECK_EQ(tg_subprocess_pid(subprocess), 0);
    CHECK_RESULT(tg_subprocess_read(subprocess, GUEST_DATA_AT, &byte, 1, NULL), -ESRCH);
    CHECK_RESULT(tg_subprocess_unmap(subprocess, GUEST_DATA_AT, 4096), -ESRCH);
    CHECK_RESULT(tg_subprocess_fork(subprocess, &copy), -ESRCH);
}

static void replace_dead(struct slot *slot)
{
    const int64_t noticed = clock_ns();
    CHECK_EQ(pthread_mutex_lock(&slot->lock), 0);
    if (slot->killed) {
        const int64_t took = noticed - slot->killed_at;
        CHECK(took <= NOTICED_WITHIN);
        if (took > slot->slowest)
            slot->slowest = took;
        check_dead_handle(slot->subprocess);
        tg_subprocess_destroy(slot->subprocess);
        slot->subprocess = create_loaded_subprocess(slot->platform, soak_code());
        for (size_t i = 0; i < QUEUED; i++)
            soaker_restart(&slot->soakers[i]);
        slot->killed = false;
        slot->deaths++;
    } else {
        CHECK(atomic_load(slot->over));
    }
    CHECK_EQ(pthread_mutex_unlock(&slot->lock), 0);
}

static void *work(void *argument)
{
    struct slot *slot = argument;
    check_context("%s", slot->way->name);
    while (!atomic_load(slot->over)) {
        slot->way->use(slot);
        replace_dead(slot);
    }
    return NULL;
}

/* False when this one is dead already and nobody has noticed yet. */
static bool kill_slot(struct slot *slot)
{
    CHECK_EQ(pthread_mutex_lock(&slot->lock), 0);
    const bool killing = !slot->killed;
    if (killing) {
        const int32_t pid = tg_subprocess_pid(slot->subprocess);
        CHECK(pid > 0);
        slot->killed = true;
        CHECK_SYSTEM(kill(pid, SIGKILL));
        slot->killed_at = clock_ns();
    }
    CHECK_EQ(pthread_mutex_unlock(&slot->lock), 0);
    return killing;
}

static void kill_at_random(struct slot *slots, size_t kills)
{
    uint64_t random = 0;
    for (size_t done = 0; done < kills;) {
        if (kill_slot(&slots[next_number(&random) % SLOTS]))
            done++;
        pause_ns((int64_t)(next_number(&random) % PAUSE_MAX_NS));
    }
    /* Workers end with their last death noticed. */
    for (size_t i = 0; i < SLOTS; i++) {
        const int64_t deadline = clock_ns() + NOTICED_WITHIN;
        bool killed = true;
        while (killed) {
            CHECK_EQ(pthread_mutex_lock(&slots[i].lock), 0);
            killed = slots[i].killed;
            CHECK_EQ(pthread_mutex_unlock(&slots[i].lock), 0);
            CHECK(clock_ns() <= deadline);
            pause_ns(1000000);
        }
    }
}

static void *stand_by(void *argument)
{
    struct bystander *bystander = argument;
    while (!atomic_load(bystander->over))
        soaker_turn(&bystander->soaker, bystander->subprocess);
    return NULL;
}

static void slot_open(struct slot *slot, tg_platform *platform, const struct way *way, const _Atomic bool *over)
{
    *slot = (struct slot){.platform = platform, .way = way, .over = over};
    CHECK_EQ(pthread_mutex_init(&slot->lock, NULL), 0);
    CHECK_OK(tg_queue_create(platform, &slot->queue));
    for (size_t i = 0; i < QUEUED; i++)
        soaker_open(&slot->soakers[i], platform, i << 32);
    slot->subprocess = create_loaded_subprocess(platform, soak_code());
    slot->thread = start_thread(work, slot);
}

static void slot_close(struct slot *slot)
{
    join_thread(slot->thread);
    tg_queue_destroy(slot->queue);
    for (size_t i = 0; i < QUEUED; i++)
        soaker_close(&slot->soakers[i]);
    tg_subprocess_destroy(slot->subprocess);
    CHECK_EQ(pthread_mutex_destroy(&slot->lock), 0);
}

static void bystander_open(struct bystander *bystander, tg_platform *platform, const _Atomic bool *over)
{
    bystander->over = over;
    bystander->subprocess = create_loaded_subprocess(platform, soak_code());
    soaker_open(&bystander->soaker, platform, 1);
    bystander->thread = start_thread(stand_by, bystander);
}

static void bystander_close(struct bystander *bystander, size_t kills)
{
    join_thread(bystander->thread);
    CHECK(bystander->soaker.turns >= kills);
    soaker_close(&bystander->soaker);
    tg_subprocess_destroy(bystander->subprocess);
}

static void run_massacre(uint32_t backend, size_t kills)
{
    struct slot slots[SLOTS];
    struct bystander bystanders[BYSTANDERS];
    _Atomic bool over = false;
    size_t deaths = 0;
    int64_t slowest = 0;
    tg_platform *platform = open_platform(backend, 0);
    for (size_t i = 0; i < SLOTS; i++)
        slot_open(&slots[i], platform, &ways[i], &over);
    for (size_t i = 0; i < BYSTANDERS; i++)
        bystander_open(&bystanders[i], platform, &over);
    kill_at_random(slots, kills);
    atomic_store(&over, true);
    for (size_t i = 0; i < BYSTANDERS; i++)
        bystander_close(&bystanders[i], kills);
    for (size_t i = 0; i < SLOTS; i++) {
        slot_close(&slots[i]);
        deaths += slots[i].deaths;
        slowest = slots[i].slowest > slowest ? slots[i].slowest : slowest;
    }
    CHECK_EQ(deaths, kills);
    CHECK_EQ(platform_stats(platform).deaths, kills);
    CHECK_EQ(platform_stats(platform).subprocesses, 0);
    tg_platform_close(platform);
    printf("%zu stubs killed, the slowest death noticed after %lld us\n", kills, (long long)(slowest / 1000));
}

void stress_killed_stubs(uint32_t backend)
{
    run_massacre(backend, 1);
    const struct footprint before = footprint_take();
    run_massacre(backend, scaled(KILLS));
    footprint_check(&before);
}
