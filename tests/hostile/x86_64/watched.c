/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guests that answer no interrupt, and what could make the library take them
 * for honest ones. Its rounds are short here: hostile_rounds.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch.h"
#include "clock.h"
#include "footprint.h"
#include "forger.h"
#include "hostile.h"
#include "proc.h"
#include "threads.h"

#define LAST_RESORT     (300 * SHORT_ROUND_NS)
#define SOON            (150 * SHORT_ROUND_NS) /* long before that */
#define ALL_FORGED_NS   500000000
#define ATTEMPTS        5
#define STARVED_NS      (50 * SHORT_ROUND_NS)
#define RUNS_TO_GIVE_UP 3 /* five rounds in which it ran, and two may be seen as one */
#define WAITERS         6
#define OTHERS_COUNT_AT (FORGED_COUNTER_AT + 0x100)

GUEST_DECLARE(seem_moving);

/*
 * Its slot, the first that was given out, says that it waits in a run ring, the ring is full of it and never stands
 * still in the first lap, and there seems to be a worker that only has to be woken: no other is made. One that is there
 * already takes the slot and does the same.
 */
static int64_t seem_to_move(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    forger_open(&forger, backend, GUEST_CODE(seem_moving));
    const struct region *region = &forger.text.region;
    struct signal_frame frame = forger_frame(SIGNAL(SIGCHLD));
    frame.rdi = region_slot(region, 0) + offsetof(struct systrap_slot, state);
    frame.rsi = SLOT_READY;
    frame.r9 = region_control(region, offsetof(struct systrap_control, run[0].head));
    frame.rdx = region_control(region, offsetof(struct systrap_control, run_small));
    frame.r8 = RING_SMALL;
    frame.r13 = RING_SMALL - 1;
    frame.r10 = 1; /* the slot's number plus one */
    frame.r12 = region_worker(region, 0) + offsetof(struct systrap_worker, asleep);
    frame.rbx = FORGED_COUNTER_AT;
    forger_forge(&forger, &frame);
    const pthread_t thread = forger_start(&forger);
    pause_ns(ALL_FORGED_NS);
    const int64_t start = clock_ns();
    CHECK_OK(tg_context_interrupt(forger.guest.context));
    join_thread(thread);
    CHECK_DEAD(&forger.guest.event, TG_DEAD_CORRUPT, 0);
    const int64_t lasted = clock_ns() - start;
    BOUNDED_VOID(forger.destroyer, tg_subprocess_destroy(forger.guest.subprocess));
    forger_close(&forger);
    footprint_check(&before);
    return lasted;
}

/* Where the guest gets no processor for some rounds it does not seem to move, and is given up sooner. */
void hostile_seems_moving(uint32_t backend)
{
    int64_t lasted = 0;
    for (int i = 0; i < ATTEMPTS && lasted < LAST_RESORT; i++)
        lasted = seem_to_move(backend);
    CHECK(lasted >= LAST_RESORT);
}

static void signal_stub(const struct forger *forger, int signo)
{
    const pid_t pid = tg_subprocess_pid(forger->guest.subprocess);
    if (pid > 0)
        kill(pid, signo);
}

/* Stopped for two rounds of five: that is no fault of its own, but the other three are. */
void hostile_stopped_now_and_then(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    forger_open(&forger, backend, GUEST_CODE(spin_counting));
    const struct signal_frame frame = forger_frame(SIGNAL(SIGCHLD));
    forger_forge(&forger, &frame);
    const pthread_t thread = forger_start(&forger);
    const int64_t start = clock_ns();
    CHECK_OK(tg_context_interrupt(forger.guest.context));
    while (bounded_ns(forger.bounded) != 0) {
        signal_stub(&forger, SIGSTOP);
        pause_ns(2 * SHORT_ROUND_NS);
        signal_stub(&forger, SIGCONT);
        pause_ns(3 * SHORT_ROUND_NS);
        CHECK(clock_ns() - start < SOON);
    }
    join_thread(thread);
    CHECK_DEAD(&forger.guest.event, TG_DEAD_CORRUPT, 0);
    BOUNDED_VOID(forger.destroyer, tg_subprocess_destroy(forger.guest.subprocess));
    forger_close(&forger);
    footprint_check(&before);
}

/* What a guest owes is known without /proc, too. */
void hostile_watched_without_proc(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    forger_open(&forger, backend, GUEST_CODE(spin_counting));
    const struct signal_frame frame = forger_frame(SIGNAL(SIGCHLD));
    forger_forge(&forger, &frame);
    const int root = proc_leave();
    const pthread_t thread = forger_start(&forger);
    const int64_t start = clock_ns();
    CHECK_OK(tg_context_interrupt(forger.guest.context));
    join_thread(thread);
    CHECK_DEAD(&forger.guest.event, TG_DEAD_CORRUPT, 0);
    CHECK(clock_ns() - start < SOON);
    BOUNDED_VOID(forger.destroyer, tg_subprocess_destroy(forger.guest.subprocess));
    forger_close(&forger);
    proc_return(root);
    footprint_check(&before);
}

static void *keep_busy(void *stop)
{
    while (!atomic_load((_Atomic bool *)stop))
        ;
    return NULL;
}

static cpu_set_t first_processor(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    return one;
}

/* Where the host shares processors out between sessions first: stubs are one of their own. */
static void set_niceness(pid_t pid, const char *niceness)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/autogroup", pid);
    FILE *group = getsid(pid) != getsid(0) ? fopen(path, "we") : NULL;
    if (group) {
        fputs(niceness, group);
        fclose(group);
    }
}

static void schedule_threads(pid_t pid, int policy)
{
    const struct sched_param none = {0};
    const cpu_set_t first = first_processor();
    const struct dirent *entry;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    while (threads && (entry = readdir(threads)) != NULL) {
        const pid_t thread = atoi(entry->d_name);
        /* It may end meanwhile. */
        CHECK(thread <= 0 || !sched_setaffinity(thread, sizeof(first), &first) || errno == ESRCH);
        CHECK(thread <= 0 || !sched_setscheduler(thread, policy, &none) || errno == ESRCH);
    }
    if (threads)
        closedir(threads);
}

/* Its threads get what the processor has left, which is next to nothing. */
static void starve(pid_t pid)
{
    set_niceness(pid, "19");
    schedule_threads(pid, SCHED_IDLE);
}

static bool may_use_first_processor(void)
{
    cpu_set_t usable;
    CHECK_SYSTEM(sched_getaffinity(0, sizeof(usable), &usable));
    return CPU_ISSET(0, &usable);
}

static int64_t run_time(pid_t pid)
{
    clockid_t clock;
    struct timespec time;
    CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
    CHECK_SYSTEM(clock_gettime(clock, &time));
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* In how many parts of that time the host gave it a processor all the same. */
static int count_runs(pid_t pid, int64_t ns)
{
    const int64_t until = clock_ns() + ns;
    int64_t before = run_time(pid);
    int runs = 0;
    while (clock_ns() < until) {
        pause_ns(SHORT_ROUND_NS / 8);
        const int64_t now = run_time(pid);
        runs += now != before;
        before = now;
    }
    return runs;
}

/* Others have the processor: as long as that is so it is no fault of its own that it does not answer. */
void hostile_starved(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    _Atomic bool stop = false;
    const cpu_set_t first = first_processor();
    if (!may_use_first_processor())
        SKIP("processor 0 is not ours to be used up");
    forger_open(&forger, backend, GUEST_CODE(spin_counting));
    const struct signal_frame frame = forger_frame(SIGNAL(SIGCHLD));
    forger_forge(&forger, &frame);
    const pthread_t thread = forger_start(&forger);
    const pid_t pid = tg_subprocess_pid(forger.guest.subprocess);
    const pthread_t busy = start_thread(keep_busy, &stop);
    CHECK_EQ(pthread_setaffinity_np(busy, sizeof(first), &first), 0);
    starve(pid);
    CHECK_OK(tg_context_interrupt(forger.guest.context));
    const int runs = count_runs(pid, STARVED_NS);
    if (bounded_ns(forger.bounded) == 0 && runs < RUNS_TO_GIVE_UP)
        check_failed(CHECK_HERE, "given up, and it has run %d times", runs);
    set_niceness(pid, "0");
    schedule_threads(pid, SCHED_OTHER);
    atomic_store(&stop, true);
    join_thread(busy);
    join_thread(thread);
    CHECK_DEAD(&forger.guest.event, TG_DEAD_CORRUPT, 0);
    BOUNDED_VOID(forger.destroyer, tg_subprocess_destroy(forger.guest.subprocess));
    forger_close(&forger);
    footprint_check(&before);
}

struct waiter {
    tg_queue *queue;
    tg_context *context;
    tg_event event;
    struct bounded *bounded;
    pthread_t thread;
};

static void *wait_for_event(void *argument)
{
    struct waiter *waiter = argument;
    size_t count = 0;
    waiter->event = new_event();
    CHECK_OK(BOUNDED(waiter->bounded, tg_queue_wait(waiter->queue, &waiter->event, 1, -1, &count)));
    CHECK_EQ(count, 1);
    return NULL;
}

static void waiter_start(struct waiter *waiter, const struct forger *forger)
{
    waiter->bounded = bounded_new("a waiting thread");
    CHECK_OK(tg_queue_create(forger->guest.platform, &waiter->queue));
    CHECK_OK(tg_queue_submit(waiter->queue, waiter->context, forger->guest.subprocess));
    waiter->thread = start_thread(wait_for_event, waiter);
}

static void waiter_end(struct waiter *waiter)
{
    join_thread(waiter->thread);
    CHECK_DEAD(&waiter->event, TG_DEAD_CORRUPT, 0);
    tg_queue_destroy(waiter->queue);
}

/* Several threads look at it, one a moment after the other: what that one sees is not that it gets no processor. */
void hostile_watched_often(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct forger forger;
    struct waiter waiters[WAITERS] = {{0}};
    forger_open(&forger, backend, GUEST_CODE(spin_counting));
    const struct signal_frame frame = forger_frame(SIGNAL(SIGCHLD));
    forger_forge(&forger, &frame);
    waiters[0].context = forger.guest.context;
    for (size_t i = 1; i < WAITERS; i++) {
        waiters[i].context = create_context(forger.guest.platform);
        CHECK_OK(tg_context_start(waiters[i].context, FORGED_CODE_AT, GUEST_STACK_TOP));
        arch_set_argument(waiters[i].context, 0, OTHERS_COUNT_AT);
    }
    for (size_t i = 0; i < WAITERS; i++)
        waiter_start(&waiters[i], &forger);
    guest_wait_change(forger.guest.subprocess, FORGED_COUNTER_AT, 0);
    const int64_t start = clock_ns();
    CHECK_OK(tg_context_interrupt(forger.guest.context));
    for (size_t i = 0; i < WAITERS; i++)
        waiter_end(&waiters[i]);
    CHECK(clock_ns() - start < SOON);
    BOUNDED_VOID(forger.destroyer, tg_subprocess_destroy(forger.guest.subprocess));
    for (size_t i = 1; i < WAITERS; i++)
        tg_context_destroy(waiters[i].context);
    forger_close(&forger);
    footprint_check(&before);
}
