/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The death of a stub, by any cause at any moment, is an event and costs nobody else. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"
#include "threads.h"

static void kill_stub(const struct guest *guest)
{
    int32_t pid = tg_subprocess_pid(guest->subprocess);

    CHECK(pid > 0);
    CHECK_SYSTEM(kill(pid, SIGKILL));
}

static void check_gone(tg_subprocess *subprocess)
{
    tg_subprocess *copy = NULL;
    unsigned char byte = 0;
    size_t done = 99;
    tg_mem_op op = {.size = sizeof(op), .kind = TG_MEM_UNMAP, .addr = GUEST_HOLE_AT, .length = 1};

    CHECK_EQ(tg_subprocess_pid(subprocess), 0);
    CHECK_RESULT(tg_subprocess_map(subprocess, GUEST_HOLE_AT, 4096, PROT_RW, 0, -1, 0), -ESRCH);
    CHECK_RESULT(tg_subprocess_unmap(subprocess, GUEST_HOLE_AT, 4096), -ESRCH);
    CHECK_RESULT(tg_subprocess_protect(subprocess, GUEST_DATA_AT, 4096, PROT_RW), -ESRCH);
    CHECK_RESULT(tg_subprocess_apply(subprocess, &op, 1, &done), -ESRCH);
    CHECK_EQ(done, 0);
    CHECK_RESULT(tg_subprocess_read(subprocess, GUEST_DATA_AT, &byte, 1, &done), -ESRCH);
    CHECK_EQ(done, 0);
    CHECK_RESULT(tg_subprocess_write(subprocess, GUEST_DATA_AT, &byte, 1, &done), -ESRCH);
    CHECK_RESULT(tg_subprocess_fork(subprocess, &copy), -ESRCH);
    CHECK(copy == NULL);
}

/* The context of a dead subprocess runs elsewhere. */
static void check_context_lives(struct guest *guest)
{
    tg_subprocess *other = create_loaded_subprocess(guest->platform, GUEST_CODE(counting_calls));

    guest_restart(guest);
    run_context(guest->context, other, &guest->event);
    CHECK_CALL(&guest->event, GUEST_CALL);
    CHECK_EQ(guest->event.u.syscall.args[0], 1);
    tg_subprocess_destroy(other);
}

static void while_running(uint32_t backend)
{
    struct guest guest;
    pthread_t thread;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    pid = tg_subprocess_pid(guest.subprocess);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    kill_stub(&guest);
    join_thread(thread);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGKILL);
    check_gone(guest.subprocess);
    proc_wait_gone(pid);
    CHECK_EQ(platform_stats(guest.platform).deaths, 1);
    guest_run(&guest);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGKILL);
    check_context_lives(&guest);
    guest_close(&guest);
}

static void while_idle(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    kill_stub(&guest);
    guest_run(&guest);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGKILL);
    check_gone(guest.subprocess);
    check_context_lives(&guest);
    guest_close(&guest);
}

static void before_first_use(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    kill_stub(&guest);
    guest_run(&guest);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGKILL);
    check_gone(guest.subprocess);
    guest_close(&guest);
}

/* Nobody switches: the memory operations themselves find out. */
static void seen_by_memory_operations(uint32_t backend)
{
    struct guest guest;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    pid = tg_subprocess_pid(guest.subprocess);
    kill_stub(&guest);
    proc_wait_gone(pid);
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW, 0, -1, 0), -ESRCH);
    check_gone(guest.subprocess);
    guest_run(&guest);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGKILL);
    guest_close(&guest);
}

static void seen_by_copies(uint32_t backend)
{
    struct guest guest;
    uint64_t word;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    pid = tg_subprocess_pid(guest.subprocess);
    kill_stub(&guest);
    proc_wait_gone(pid);
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT, &word, sizeof(word), NULL), -ESRCH);
    CHECK_RESULT(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, &word, sizeof(word), NULL), -ESRCH);
    guest_close(&guest);
}

struct applier {
    tg_subprocess *subprocess;
    atomic_ulong rounds;
    int result;
};

static void *apply_until_it_fails(void *argument)
{
    struct applier *applier = argument;

    do {
        applier->result = tg_subprocess_map(applier->subprocess, GUEST_HOLE_AT, 4096, PROT_RW, 0, -1, 0);
        atomic_fetch_add(&applier->rounds, 1);
    } while (applier->result == 0);
    return NULL;
}

static void during_apply(uint32_t backend)
{
    int round;

    for (round = 0; round < 10; round++) {
        struct applier applier = {0};
        struct guest guest;
        pthread_t thread;

        guest_open(&guest, backend, GUEST_CODE(counting_calls));
        applier.subprocess = guest.subprocess;
        thread = start_thread(apply_until_it_fails, &applier);
        while (atomic_load(&applier.rounds) < 3 + (unsigned long)round)
            nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
        kill_stub(&guest);
        join_thread(thread);
        CHECK_RESULT(applier.result, -ESRCH);
        check_gone(guest.subprocess);
        check_context_lives(&guest);
        guest_close(&guest);
    }
}

struct victim {
    tg_platform *platform;
    tg_subprocess *subprocess;
    atomic_ulong rounds;
    tg_event event;
};

static void *call_until_dead(void *argument)
{
    struct victim *victim = argument;
    tg_context *context = create_started_context(victim->platform);

    do {
        run_context(context, victim->subprocess, &victim->event);
        atomic_fetch_add(&victim->rounds, 1);
    } while (victim->event.kind == TG_EVENT_SYSCALL);
    tg_context_destroy(context);
    return NULL;
}

/* The kill meets calls, stops and resumes; the other subprocess goes on all the while. */
static void during_calls(uint32_t backend)
{
    struct guest guest;
    unsigned int seed = 7;
    int round;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (round = 0; round < 50; round++) {
        struct victim victim = {.platform = guest.platform};
        pthread_t thread;

        victim.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(call_loop));
        thread = start_thread(call_until_dead, &victim);
        while (atomic_load(&victim.rounds) < 2)
            nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
        nanosleep(&(struct timespec){.tv_nsec = rand_r(&seed) % 300000}, NULL);
        CHECK_SYSTEM(kill(tg_subprocess_pid(victim.subprocess), SIGKILL));
        join_thread(thread);
        CHECK_DEAD(&victim.event, TG_DEAD_KILLED, SIGKILL);
        tg_subprocess_destroy(victim.subprocess);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], round + 1);
    }
    guest_close(&guest);
}

/* Everybody who runs there hears of it. */
static void all_contexts_hear(uint32_t backend)
{
    enum { THREADS = 6 };
    struct guest guest;
    struct guest copies[THREADS];
    pthread_t threads[THREADS];
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    for (i = 0; i < THREADS; i++) {
        copies[i] = guest;
        copies[i].context = create_started_context(guest.platform);
        arch_set_argument(copies[i].context, 0, GUEST_DATA_AT + 8 * (uint64_t)i);
        threads[i] = start_thread(guest_run_thread, &copies[i]);
    }
    for (i = 0; i < THREADS; i++)
        guest_wait_change(guest.subprocess, GUEST_DATA_AT + 8 * (uint64_t)i, 0);
    kill_stub(&guest);
    for (i = 0; i < THREADS; i++) {
        join_thread(threads[i]);
        CHECK_DEAD(&copies[i].event, TG_DEAD_KILLED, SIGKILL);
        tg_context_destroy(copies[i].context);
    }
    CHECK_EQ(platform_stats(guest.platform).deaths, 1);
    guest_close(&guest);
}

static void destroy_while_running(uint32_t backend)
{
    struct guest guest;
    pthread_t thread;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    pid = tg_subprocess_pid(guest.subprocess);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    tg_subprocess_destroy(guest.subprocess);
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    CHECK_EQ(guest.event.u.dead.reason, TG_DEAD_DESTROYED);
    CHECK(!proc_alive(pid));
    CHECK_EQ(platform_stats(guest.platform).deaths, 0);
    check_context_lives(&guest);
    guest.subprocess = NULL;
    guest_close(&guest);
}

/* Destroy reaps: when it returns there is not even a zombie. */
static void destroy_reaps(uint32_t backend)
{
    struct guest guest;
    int32_t pid;
    int used;

    for (used = 0; used < 2; used++) {
        guest_open(&guest, backend, GUEST_CODE(call_loop));
        if (used)
            GUEST_RUN_TO_CALL(&guest);
        pid = tg_subprocess_pid(guest.subprocess);
        tg_subprocess_destroy(guest.subprocess);
        CHECK_EQ(proc_state(pid), 0);
        guest.subprocess = NULL;
        guest_close(&guest);
    }
}

static void destroy_of_a_dead_one(uint32_t backend)
{
    struct guest guest;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    pid = tg_subprocess_pid(guest.subprocess);
    kill_stub(&guest);
    tg_subprocess_destroy(guest.subprocess);
    CHECK_EQ(proc_state(pid), 0);
    guest.subprocess = NULL;
    check_context_lives(&guest);
    guest_close(&guest);
}

/* Signals that other programs send by mistake: the default action of most would end a process. */
static void stray_signals(uint32_t backend)
{
    static const int signals[] = {SIGUSR1, SIGTERM, SIGHUP,  SIGINT,  SIGCHLD, SIGALRM, SIGCONT,
                                  SIGSEGV, SIGTRAP, SIGFPE,  SIGILL,  SIGBUS,  SIGSYS,  SIGABRT,
                                  SIGPIPE, SIGIO,   SIGQUIT, SIGPROF, SIGXCPU};
    struct guest guest;
    unsigned int i;
    uint64_t calls = 0;
    int real_time;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (i = 0; i < ARRAY_SIZE(signals); i++) {
        check_context("signal %d", signals[i]);
        CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), signals[i]));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], ++calls);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], ++calls);
        map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    }
    for (real_time = SIGRTMIN; real_time <= SIGRTMAX; real_time++) {
        check_context("signal %d", real_time);
        CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), real_time));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], ++calls);
    }
    guest_close(&guest);
}

static void stray_signals_while_running(uint32_t backend)
{
    static const int signals[] = {SIGUSR1, SIGTERM, SIGCHLD, SIGSEGV, SIGTRAP, SIGHUP, SIGCONT};
    struct guest guest;
    pthread_t thread;
    unsigned int i;
    uint64_t seen;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    for (i = 0; i < ARRAY_SIZE(signals); i++) {
        CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), signals[i]));
        seen = guest_load(guest.subprocess, GUEST_DATA_AT);
        guest_wait_change(guest.subprocess, GUEST_DATA_AT, seen);
    }
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

/* To every stub of the platform, those that nobody has been told of included. */
struct stray {
    pid_t group;
    _Atomic bool over;
};

static void *send_until_over(void *argument)
{
    static const int signals[] = {SIGSEGV, SIGTRAP, SIGFPE, SIGILL, SIGBUS, SIGSYS, SIGCHLD, SIGTERM};
    struct stray *stray = argument;

    for (unsigned int i = 0; !atomic_load(&stray->over); i++) {
        CHECK_SYSTEM(kill(-stray->group, signals[i % ARRAY_SIZE(signals)]));
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    return NULL;
}

static void stray_signals_while_made(uint32_t backend)
{
    struct guest guest;
    struct stray stray = {0};
    pthread_t sender;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    stray.group = getpgid(tg_subprocess_pid(guest.subprocess));
    CHECK(stray.group > 0);
    CHECK(stray.group != getpgrp());
    sender = start_thread(send_until_over, &stray);
    for (int round = 0; round < 100; round++) {
        struct guest other = guest;
        pthread_t runner;

        check_context("round %d", round);
        CHECK_OK(tg_subprocess_fork(guest.subprocess, &other.subprocess));
        other.context = create_started_context(guest.platform);
        /* The runner's stub threads are made for it, and given back when it ends. */
        runner = start_thread(guest_run_thread, &other);
        join_thread(runner);
        CHECK_CALL(&other.event, GUEST_CALL);
        guest_run(&other);
        CHECK_CALL(&other.event, GUEST_CALL);
        tg_context_destroy(other.context);
        tg_subprocess_destroy(other.subprocess);
    }
    atomic_store(&stray.over, true);
    join_thread(sender);
    CHECK_EQ(platform_stats(guest.platform).deaths, 0);
    guest_close(&guest);
}

static void *operate_until_dead(void *argument)
{
    struct victim *victim = argument;
    int result;

    do {
        tg_subprocess *copy = NULL;

        result = tg_subprocess_fork(victim->subprocess, &copy);
        tg_subprocess_destroy(copy);
        atomic_fetch_add(&victim->rounds, 1);
    } while (result == 0);
    CHECK_RESULT(result, -ESRCH);
    return NULL;
}

static void during_fork(uint32_t backend)
{
    unsigned int seed = 11;
    struct guest guest;
    int round;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (round = 0; round < 20; round++) {
        struct victim victim = {.platform = guest.platform};
        pthread_t thread;

        victim.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(call_loop));
        thread = start_thread(operate_until_dead, &victim);
        while (atomic_load(&victim.rounds) < 1)
            nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
        nanosleep(&(struct timespec){.tv_nsec = rand_r(&seed) % 500000}, NULL);
        CHECK_SYSTEM(kill(tg_subprocess_pid(victim.subprocess), SIGKILL));
        join_thread(thread);
        tg_subprocess_destroy(victim.subprocess);
        GUEST_RUN_TO_CALL(&guest);
    }
    CHECK_EQ(platform_stats(guest.platform).subprocesses, 1);
    guest_close(&guest);
}

/* A thread that gives this advice ends, and nobody else: this process does not, and nor does opening. */
static void end_threads_that_advise(int advice)
{
    const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)advice, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {ARRAY_SIZE(code), (struct sock_filter *)(uintptr_t)code};

    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_SYSTEM(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void thread_ends_alone(uint32_t backend)
{
    const tg_mem_op op = {.size = sizeof(op),
                          .kind = TG_MEM_ADVISE,
                          .addr = GUEST_DATA_AT,
                          .length = 4096,
                          .fd = -1,
                          .advice = MADV_PAGEOUT};
    struct guest guest;
    size_t done = 99;

    end_threads_that_advise(MADV_PAGEOUT);
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, &done), -ESRCH);
    CHECK_EQ(done, 0);
    CHECK(strstr(tg_platform_last_error(guest.platform), "filter") != NULL);
    guest_run(&guest);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGSYS);
    check_gone(guest.subprocess);
    check_context_lives(&guest);
    guest_close(&guest);
}

const struct test_case death_cases[] = {
    {"death.running", "SIGKILL of a stub that runs a guest: a DEAD event, -ESRCH afterwards, the context lives",
     while_running},
    {"death.idle", "SIGKILL of an idle stub: the next switch says DEAD", while_idle},
    {"death.unused", "SIGKILL of a stub that never ran anything", before_first_use},
    {"death.memory_operations", "A memory operation on a dead stub is -ESRCH also when nobody noticed before",
     seen_by_memory_operations},
    {"death.copies", "A memory copy on a dead stub is -ESRCH also when nobody noticed before", seen_by_copies},
    {"death.during_apply", "SIGKILL in the middle of memory operations: -ESRCH, never a hang", during_apply},
    {"death.thread_ended",
     "A filter of the embedder's ends a stub's thread alone: -ESRCH that names it, DEAD, never a hang",
     thread_ends_alone},
    {"death.during_calls", "SIGKILL at random moments of calls: DEAD each time, others go on", during_calls},
    {"death.during_fork", "SIGKILL at random moments of forks: -ESRCH each time, others go on", during_fork},
    {"death.all_contexts", "Every context that runs in a stub hears of its death, and it counts once",
     all_contexts_hear},
    {"death.destroyed", "Destroying a subprocess under a running context is a DEAD event with its own reason",
     destroy_while_running},
    {"death.reaped", "A destroyed subprocess leaves not even a zombie", destroy_reaps},
    {"death.destroy_dead", "A dead subprocess can be destroyed", destroy_of_a_dead_one},
    {"death.stray_signals", "Signals from outside to an idle stub change nothing", stray_signals},
    {"death.stray_signals_running", "Signals from outside to a running stub change nothing",
     stray_signals_while_running},
    {"death.stray_signals_making", "Signals from outside to stubs and threads that are just being made change nothing",
     stray_signals_while_made},
    {0},
};
