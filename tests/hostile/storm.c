/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Storms over each kind of shared word. HOSTILE_CORRUPTIONS and
 * HOSTILE_SECONDS say how many corruptions and how long at most, HOSTILE_WORD
 * takes other words than the case's own (what their names begin with).
 */
#include "storm.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "footprint.h"
#include "hostile.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define CORRUPTIONS     30000
#define SECONDS         10
#define ANSWERED_SHARE  10 /* each thing that is stuck costs the library's patience there */
#define CANARY_PAUSE_NS 2000000
#define LOOK_NS         1000000
#define AGAIN_NS        5000000
#define STUCK_NS        INT64_C(20000000) /* then it is interrupted */
#define LOST_NS         INT64_C(60000000) /* then its subprocess is killed, where that is allowed */
#define SECOND_NS       INT64_C(1000000000)
#define CORRUPT_CODE_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)

GUEST_DECLARE(corrupt);

/* ---- the canary: a subprocess next door, in which every register is checked ---- */

struct canary {
    struct storm *storm;
    struct bounded *bounded;
    tg_subprocess *subprocess;
    struct soaker soaker;
    _Atomic bool over;
    pthread_t thread;
};

static void *sing(void *argument)
{
    struct canary *canary = argument;
    while (!atomic_load(&canary->over)) {
        BOUNDED_VOID(canary->bounded, soaker_turn(&canary->soaker, canary->subprocess));
        if (canary->soaker.turns % 16 == 0) {
            CHECK_OK(BOUNDED(canary->bounded,
                             tg_subprocess_map(canary->subprocess, GUEST_HOLE_AT, 65536, PROT_RW, 0, -1, 0)));
            guest_store(canary->subprocess, GUEST_HOLE_AT, canary->soaker.turns);
            CHECK_EQ(guest_load(canary->subprocess, GUEST_HOLE_AT), canary->soaker.turns);
        }
        pause_ns(CANARY_PAUSE_NS);
    }
    return NULL;
}

static void canary_start(struct canary *canary, struct storm *storm)
{
    *canary = (struct canary){.storm = storm, .bounded = bounded_new("the canary")};
    canary->subprocess = create_loaded_subprocess(storm->platform, soak_code());
    soaker_open(&canary->soaker, storm->platform, storm->seed);
    canary->thread = start_thread(sing, canary);
}

static void canary_stop(struct canary *canary)
{
    atomic_store(&canary->over, true);
    join_thread(canary->thread);
    CHECK(canary->soaker.turns > 0);
    soaker_close(&canary->soaker);
    tg_subprocess_destroy(canary->subprocess);
}

/* ---- one subprocess ---- */

static tg_subprocess *create_victim(const struct storm *storm)
{
    tg_subprocess *subprocess = create_subprocess(storm->platform);
    load_code(subprocess, GUEST_CODE_AT, soak_code());
    load_code(subprocess, CORRUPT_CODE_AT, GUEST_CODE(corrupt));
    map_pages(subprocess, GUEST_STACK_AT, GUEST_STACK_SIZE, PROT_RW);
    CHECK_OK(
        tg_subprocess_map(subprocess, GUEST_DATA_AT, sizeof(struct plan), PROT_RW, TG_MAP_SHARED, storm->plan_file, 0));
    return subprocess;
}

static int64_t stuck_ns(const struct storm *storm)
{
    int64_t longest = 0;
    for (size_t i = 0; i < REFEREE; i++)
        if (bounded_ns(storm->bounded[i]) > longest)
            longest = bounded_ns(storm->bounded[i]);
    for (size_t i = 0; i < QUEUED; i++)
        if (bounded_ns(storm->flight[i]) > longest)
            longest = bounded_ns(storm->flight[i]);
    return longest;
}

static void kill_stub(const tg_subprocess *subprocess)
{
    const pid_t pid = tg_subprocess_pid(subprocess);
    if (pid > 0)
        kill(pid, SIGKILL);
}

/* Until all actors have ended: interrupts what is stuck, and gives up subprocesses in which that does not help. */
static void look_after(struct life *life, struct actor *actors)
{
    struct storm *storm = life->storm;
    bool killed = false;
    while (atomic_load(&life->running) > 0) {
        pause_ns(LOOK_NS);
        const int64_t stuck = stuck_ns(storm);
        if (stuck < STUCK_NS)
            continue;
        atomic_store(&life->over, true);
        atomic_fetch_add(&storm->interrupted, 1);
        for (size_t i = 0; i < REFEREE; i++)
            actor_interrupt(&actors[i]);
        if (stuck >= LOST_NS && !storm->answered && !killed) {
            kill_stub(life->subprocess);
            atomic_fetch_add(&storm->killed, 1);
            killed = true;
        }
        pause_ns(AGAIN_NS);
    }
}

static void live(struct storm *storm)
{
    struct life life = {.storm = storm, .seed = next_number(&storm->random), .running = REFEREE};
    struct actor actors[REFEREE];
    const bool contexts_first = next_number(&storm->random) % 2;
    life.subprocess = create_victim(storm);
    for (unsigned int i = 0; i < REFEREE; i++)
        actor_open(&actors[i], &life, (enum role)i);
    for (unsigned int i = 0; i < REFEREE; i++)
        actors[i].thread = start_thread(actor_run, &actors[i]);
    look_after(&life, actors);
    for (unsigned int i = 0; i < REFEREE; i++)
        join_thread(actors[i].thread);
    /* What is alive is asked for what it holds, which may take the library's whole patience: only now and then. */
    if (!storm->answered && next_number(&storm->random) % 16 != 0)
        kill_stub(life.subprocess);
    for (unsigned int i = 0; contexts_first && i < REFEREE; i++)
        actor_close(&actors[i]);
    if (tg_subprocess_pid(life.subprocess) == 0)
        atomic_fetch_add(&storm->deaths, 1);
    BOUNDED_VOID(storm->bounded[REFEREE], tg_subprocess_destroy(life.subprocess));
    for (unsigned int i = 0; !contexts_first && i < REFEREE; i++)
        actor_close(&actors[i]);
    atomic_fetch_add(&storm->lives, 1);
}

/* ---- the storm ---- */

static void share_plan(struct storm *storm)
{
    storm->plan_file = CHECK_SYSTEM(memfd_create("plan", MFD_CLOEXEC));
    CHECK_SYSTEM(ftruncate(storm->plan_file, sizeof(struct plan)));
    storm->plan =
        CHECK_SYSTEM(mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, storm->plan_file, 0));
}

static void unshare_plan(struct storm *storm)
{
    CHECK_SYSTEM(munmap(storm->plan, sizeof(struct plan)));
    CHECK_SYSTEM(close(storm->plan_file));
}

static void open_storm(struct storm *storm, uint32_t backend)
{
    static const char *const names[] = {"the switching thread", "the waiting thread", "the spoiling guest's thread",
                                        "the main thread"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        storm->bounded[i] = bounded_new(names[i]);
    for (size_t i = 0; i < QUEUED; i++)
        storm->flight[i] = bounded_new("a submitted context");
    share_plan(storm);
    storm->platform = open_platform(backend, storm->seed % 2 ? TG_OPEN_LATENCY : 0);
}

static void report(const struct storm *storm)
{
    printf("%" PRIu64 " corruptions of %s* in %" PRIu64 " subprocesses, of which %" PRIu64 " died (%" PRIu64
           " killed here because nothing else freed a stuck call): %" PRIu64 " calls, %" PRIu64
           " other events, %" PRIu64 " errors, %" PRIu64 " meddlings, %" PRIu64
           " rounds of interrupts for what was stuck\n",
           atomic_load(&storm->plan->done), storm->names, storm->lives, storm->deaths, storm->killed, storm->calls,
           storm->others, storm->errors, storm->meddled, storm->interrupted);
}

static void rage(uint32_t backend, const char *names, bool answered)
{
    const struct footprint before = footprint_take();
    const uint64_t share = answered ? ANSWERED_SHARE : 1;
    struct canary canary;
    struct storm storm = {
        .names = names,
        .answered = answered,
        .corruptions = hostile_setting("HOSTILE_CORRUPTIONS", scaled(CORRUPTIONS) / share),
        .end = clock_ns() + (int64_t)hostile_setting("HOSTILE_SECONDS", scaled(SECONDS)) * SECOND_NS,
        .seed = hostile_seed(),
    };
    need_shared_memory(backend);
    if (getenv("HOSTILE_WORD"))
        storm.names = getenv("HOSTILE_WORD");
    storm.random = storm.seed;
    open_storm(&storm, backend);
    canary_start(&canary, &storm);
    storm.region = region_of(storm.platform, canary.subprocess);
    while (atomic_load(&storm.plan->done) < storm.corruptions && clock_ns() < storm.end)
        live(&storm);
    canary_stop(&canary);
    BOUNDED_VOID(storm.bounded[REFEREE], tg_platform_close(storm.platform));
    report(&storm);
    CHECK(atomic_load(&storm.plan->done) > 0);
    /* Calls that the stub answers are none of the embedder's: a life may end before it leaves another one. */
    CHECK(storm.calls + storm.others > 0);
    unshare_plan(&storm);
    footprint_check(&before);
}

void hostile_corrupt_control(uint32_t backend)
{
    rage(backend, "control.", false);
}

void hostile_corrupt_workers(uint32_t backend)
{
    rage(backend, "worker.", false);
}

void hostile_corrupt_slots(uint32_t backend)
{
    rage(backend, "slot.", false);
}

void hostile_corrupt_fpstate(uint32_t backend)
{
    rage(backend, "fpstate", false);
}

void hostile_corrupt_stacks(uint32_t backend)
{
    rage(backend, "stack", false);
}

void hostile_corrupt_everything(uint32_t backend)
{
    rage(backend, "", false);
}

void hostile_corrupt_answered(uint32_t backend)
{
    rage(backend, "", true);
}
