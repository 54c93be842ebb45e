/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the library may do to the process that links it, and what is left when that process dies. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"
#include "scale.h"
#include "threads.h"

#define SIGNALS 65 /* 0 is none */

static void sleep_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* Orphans come to us and have to end by themselves; a stub that lives on makes the wait run into the time limit. */
static void wait_for_orphans(void)
{
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
    CHECK_EQ(errno, ECHILD);
}

/* An embedder with an idle, a used and a running subprocess; says so and waits to be killed. */
static _Noreturn void be_an_embedder(uint32_t backend, int report)
{
    struct guest guest;
    struct guest used;
    pid_t pids[2];

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    used = guest;
    used.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(call_loop));
    used.context = create_started_context(guest.platform);
    GUEST_RUN_TO_CALL(&used);
    create_subprocess(guest.platform);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    pids[0] = tg_subprocess_pid(guest.subprocess);
    pids[1] = tg_subprocess_pid(used.subprocess);
    CHECK_EQ(CHECK_SYSTEM(write(report, pids, sizeof(pids))), sizeof(pids));
    for (;;)
        pause();
}

static void killed_leaves_no_orphan(uint32_t backend)
{
    pid_t pids[2];
    int ends[2];
    pid_t child;
    int i;

    CHECK_SYSTEM(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    CHECK_SYSTEM(pipe(ends));
    child = CHECK_SYSTEM(fork());
    if (child == 0)
        be_an_embedder(backend, ends[1]);
    close(ends[1]);
    CHECK_EQ(CHECK_SYSTEM(read(ends[0], pids, sizeof(pids))), sizeof(pids));
    for (i = 0; i < 2; i++)
        CHECK(proc_alive(pids[i]));
    CHECK_SYSTEM(kill(child, SIGKILL));
    for (i = 0; i < 2; i++)
        proc_wait_gone(pids[i]);
    wait_for_orphans();
    close(ends[0]);
}

static _Noreturn void live_in_a_hurry(uint32_t backend, int report)
{
    CHECK_EQ(CHECK_SYSTEM(write(report, "x", 1)), 1);
    for (;;) {
        struct guest guest;
        tg_subprocess *copy = NULL;

        guest_open(&guest, backend, GUEST_CODE(call_loop));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
        run_context(guest.context, copy, &guest.event);
        guest_close(&guest);
    }
}

static void killed_at_any_moment(uint32_t backend)
{
    unsigned int seed = 3;
    int round;

    CHECK_SYSTEM(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    for (round = 0; round < 60; round++) {
        char byte;
        pid_t child;
        int ends[2];

        CHECK_SYSTEM(pipe(ends));
        child = CHECK_SYSTEM(fork());
        if (child == 0)
            live_in_a_hurry(backend, ends[1]);
        close(ends[1]);
        CHECK_EQ(CHECK_SYSTEM(read(ends[0], &byte, 1)), 1);
        close(ends[0]);
        sleep_us(rand_r(&seed) % 8000);
        CHECK_SYSTEM(kill(child, SIGKILL));
        wait_for_orphans();
    }
}

/* The embedder leaves by exit() without closing anything. */
static void exit_leaves_no_orphan(uint32_t backend)
{
    pid_t child;
    int status;

    CHECK_SYSTEM(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    child = CHECK_SYSTEM(fork());
    if (child == 0) {
        struct guest guest;

        guest_open(&guest, backend, GUEST_CODE(call_loop));
        GUEST_RUN_TO_CALL(&guest);
        _exit(5);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    wait_for_orphans();
}

static atomic_ulong child_signals;

static void count_child_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&child_signals, 1);
}

static void *call_many_times(void *argument)
{
    struct guest *guest = argument;
    int i;

    for (i = 0; i < 300; i++)
        GUEST_RUN_TO_CALL(guest);
    return NULL;
}

/* Own children are reaped by the embedder with their own status, while stubs come, run and go. */
static void own_children_are_not_stolen(uint32_t backend)
{
    struct guest guest;
    pthread_t thread;
    int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    thread = start_thread(call_many_times, &guest);
    for (i = 0; i < 30; i++) {
        tg_subprocess *subprocess = create_subprocess(guest.platform);
        pid_t child = CHECK_SYSTEM(fork());
        int status;

        if (child == 0)
            _exit(i);
        if (i % 2)
            tg_subprocess_destroy(subprocess);
        CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i);
    }
    join_thread(thread);
    guest_close(&guest);
}

/* With no switch in progress, a wait for any child sees the embedder's children and no living stub. */
static void stubs_are_not_waited_for(uint32_t backend)
{
    struct guest guest;
    int status;
    pid_t child;
    pid_t found;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    create_subprocess(guest.platform);
    GUEST_RUN_TO_CALL(&guest);
    found = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED);
    CHECK(found == 0 || (found == -1 && errno == ECHILD));
    printf("with idle stubs and no child, waitpid(-1, WNOHANG) %s\n", found == 0 ? "returns 0" : "fails with ECHILD");
    child = CHECK_SYSTEM(fork());
    if (child == 0)
        _exit(7);
    CHECK_EQ(CHECK_SYSTEM(waitpid(-1, &status, 0)), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/*
 * ptrace(2) makes the death of a tracee visible to any wait of its tracer's process. An embedder that takes it that
 * way keeps no event from anybody.
 */
static void stolen_deaths_are_found(uint32_t backend)
{
    struct guest guest;
    int32_t victim;
    pid_t found;
    int stolen = 0;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    victim = tg_subprocess_pid(guest.subprocess);
    CHECK_SYSTEM(kill(victim, SIGKILL));
    proc_wait_gone(victim);
    do {
        found = waitpid(-1, NULL, __WALL | WNOHANG);
        stolen += found > 0;
    } while (found > 0);
    printf("waitpid(-1, __WALL) took the deaths of %d stub threads\n", stolen);
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    guest_close(&guest);
}

/*
 * Stubs have no exit signal, and without SA_NOCLDSTOP in the embedder no stop raises SIGCHLD; ptrace(2) itself raises
 * it for the death of a traced thread that is not the first of its process. The handler of an embedder that asks for
 * its own children by pid is not disturbed by that.
 */
static void child_signals_mean_children(uint32_t backend)
{
    struct sigaction action = {.sa_handler = count_child_signal, .sa_flags = SA_NOCLDSTOP};
    struct guest guest;
    unsigned long before;
    pid_t child;
    int i;

    CHECK_SYSTEM(sigaction(SIGCHLD, &action, NULL));
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < 100; i++)
        GUEST_RUN_TO_CALL(&guest);
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    CHECK_EQ(atomic_load(&child_signals), 0);
    child = CHECK_SYSTEM(fork());
    if (child == 0)
        _exit(0);
    while (waitpid(child, NULL, 0) < 0)
        CHECK_EQ(errno, EINTR);
    CHECK_EQ(atomic_load(&child_signals), 1);
    before = atomic_load(&child_signals);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    guest_close(&guest);
    printf("a stub's death and a close raised SIGCHLD %lu times\n", atomic_load(&child_signals) - before);
}

/* Without SA_NOCLDSTOP ptrace(2) raises SIGCHLD at every stop. Everything works all the same. */
static void child_signals_of_stops(uint32_t backend)
{
    struct sigaction action = {.sa_handler = count_child_signal};
    struct guest guest;
    uint64_t i;

    CHECK_SYSTEM(sigaction(SIGCHLD, &action, NULL));
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (i = 1; i <= 100; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    printf("100 calls raised SIGCHLD %lu times\n", atomic_load(&child_signals));
    guest_close(&guest);
}

/* SIGCHLD ignored reaps children by itself in the kernel: stubs must still be reaped and found dead. */
static void child_signals_ignored(uint32_t backend)
{
    struct guest guest;
    int i;

    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    for (i = 0; i < 3; i++) {
        guest_open(&guest, backend, GUEST_CODE(counting_calls));
        GUEST_RUN_TO_CALL(&guest);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
        guest_run(&guest);
        CHECK_KIND(&guest.event, TG_EVENT_DEAD);
        guest_close(&guest);
    }
}

static void read_dispositions(struct sigaction actions[SIGNALS], sigset_t *mask)
{
    int signo;

    memset(actions, 0, sizeof(actions[0]) * SIGNALS);
    for (signo = 1; signo < SIGNALS; signo++)
        sigaction(signo, NULL, &actions[signo]);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, mask), 0);
}

static void check_dispositions(const struct sigaction *before, const sigset_t *mask_before)
{
    static struct sigaction after[SIGNALS];
    sigset_t mask_after;
    int signo;

    read_dispositions(after, &mask_after);
    for (signo = 1; signo < SIGNALS; signo++) {
        check_context("signal %d", signo);
        CHECK(before[signo].sa_handler == after[signo].sa_handler);
        CHECK_EQ(before[signo].sa_flags, after[signo].sa_flags);
        CHECK_EQ(sigismember(mask_before, signo), sigismember(&mask_after, signo));
    }
}

static void signals_are_left_alone(uint32_t backend)
{
    static struct sigaction before[SIGNALS];
    sigset_t mask_before;
    struct guest guest;

    read_dispositions(before, &mask_before);
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_interrupt(guest.context));
    guest_run(&guest);
    check_dispositions(before, &mask_before);
    guest_close(&guest);
    check_dispositions(before, &mask_before);
}

/* An embedder that blocks every signal, as signalfd programs do, is interrupted all the same. */
static void all_signals_blocked(uint32_t backend)
{
    struct guest guest;
    pthread_t thread;
    sigset_t all;

    sigfillset(&all);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

/* The library places stub threads, never the embedder's. */
static void affinity_is_left_alone(uint32_t backend)
{
    struct guest guest;
    cpu_set_t before;
    cpu_set_t after;
    int i;

    CHECK_SYSTEM(sched_getaffinity(0, sizeof(before), &before));
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < 100; i++)
        GUEST_RUN_TO_CALL(&guest);
    CHECK_SYSTEM(sched_getaffinity(0, sizeof(after), &after));
    CHECK(CPU_EQUAL(&before, &after));
    guest_close(&guest);
}

/* fork() in the embedder: the child leaves, the parent goes on. */
static void embedder_forks(uint32_t backend)
{
    struct guest guest;
    int status;
    pid_t child;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    child = CHECK_SYSTEM(fork());
    if (child == 0)
        _exit(3);
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 2);
    guest_close(&guest);
}

#define FORKS         200
#define CHILD_SECONDS 5 /* for what takes it microseconds */

/* What threads of the parent are doing while it forks: each has handles of its own. */
struct busy {
    tg_platform *platform;
    atomic_bool stop;
};

static void *make_contexts(void *argument)
{
    struct busy *busy = argument;

    while (!atomic_load(&busy->stop)) {
        tg_context *context = create_context(busy->platform);
        tg_stats stats = {.size = sizeof(stats)};

        CHECK_OK(tg_platform_stats(busy->platform, &stats));
        tg_context_destroy(context);
    }
    return NULL;
}

static void *make_queues(void *argument)
{
    struct busy *busy = argument;

    while (!atomic_load(&busy->stop)) {
        tg_queue *queue = NULL;

        CHECK_OK(tg_queue_create(busy->platform, &queue));
        CHECK(tg_queue_fd(queue) >= 0);
        tg_queue_destroy(queue);
    }
    return NULL;
}

static void *make_subprocesses(void *argument)
{
    struct busy *busy = argument;

    while (!atomic_load(&busy->stop)) {
        tg_subprocess *subprocess = create_subprocess(busy->platform);

        map_pages(subprocess, GUEST_DATA_AT, 4096, PROT_RW);
        tg_subprocess_destroy(subprocess);
    }
    return NULL;
}

/* All that the parent's main thread knows. */
static _Noreturn void leave_all(const struct guest *guest, tg_queue *queue)
{
    alarm(CHILD_SECONDS);
    tg_context_destroy(guest->context);
    tg_queue_destroy(queue);
    tg_subprocess_destroy(guest->subprocess);
    tg_platform_close(guest->platform);
    _exit(0);
}

static void fork_and_leave(const struct guest *guest, tg_queue *queue)
{
    pid_t child = CHECK_SYSTEM(fork());
    int status;

    if (child == 0)
        leave_all(guest, queue);
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
}

static void embedder_forks_at_any_moment(uint32_t backend)
{
    static void *(*const jobs[])(void *) = {make_contexts, make_contexts, make_contexts, make_queues,
                                            make_subprocesses};
    pthread_t threads[ARRAY_SIZE(jobs)];
    const size_t forks = scaled(FORKS);
    struct busy busy = {.stop = false};
    tg_queue *queue = NULL;
    struct guest guest;
    size_t i;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    SKIP("the sanitizer's allocator can be locked for ever in a child of a process that has several threads");
#endif
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    CHECK(tg_queue_fd(queue) >= 0);
    busy.platform = guest.platform;
    for (i = 0; i < ARRAY_SIZE(jobs); i++)
        threads[i] = start_thread(jobs[i], &busy);
    for (i = 0; i < forks; i++)
        fork_and_leave(&guest, queue);
    atomic_store(&busy.stop, true);
    for (i = 0; i < ARRAY_SIZE(jobs); i++)
        join_thread(threads[i]);
    GUEST_RUN_TO_CALL(&guest);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case embedder_cases[] = {
    {"embedder.killed", "SIGKILL of the embedder: idle, used and running stubs all vanish", killed_leaves_no_orphan},
    {"embedder.killed_any_moment", "The same at sixty random moments of opening, creating, forking and closing",
     killed_at_any_moment},
    {"embedder.exits", "An embedder that exits without closing leaves nothing running", exit_leaves_no_orphan},
    {"embedder.own_children", "The embedder's children are reaped by the embedder, with their own status",
     own_children_are_not_stolen},
    {"embedder.wait_any", "waitpid(-1) with no switch in progress returns the embedder's children and no living stub",
     stubs_are_not_waited_for},
    {"embedder.wait_any_death", "A stub's death that the embedder's waitpid takes away is found all the same",
     stolen_deaths_are_found},
    {"embedder.sigchld", "With SA_NOCLDSTOP, stubs that run raise no SIGCHLD and an own child raises one",
     child_signals_mean_children},
    {"embedder.sigchld_stops", "A SIGCHLD handler without SA_NOCLDSTOP does not disturb guests",
     child_signals_of_stops},
    {"embedder.sigchld_ignored", "Everything works with SIGCHLD ignored", child_signals_ignored},
    {"embedder.signals_left_alone", "No handler is installed and no mask changed", signals_are_left_alone},
    {"embedder.signals_blocked", "Everything works with all signals blocked", all_signals_blocked},
    {"embedder.affinity_left_alone", "The embedder's processor affinity does not change", affinity_is_left_alone},
    {"embedder.forks", "The embedder may fork; the parent's guests go on", embedder_forks},
    {"embedder.forks_any_moment",
     "A forked child destroys and closes what it has, whatever other threads did when it was made",
     embedder_forks_at_any_moment},
    {0},
};
