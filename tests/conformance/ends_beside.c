/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Handles and threads that end while another thread uses something that they had to do with. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"
#include "queue_drive.h"
#include "threads.h"

static void pause_a_little(unsigned int at_most)
{
    volatile unsigned int left;

    for (left = (unsigned int)rand() % at_most; left > 0; left--)
        ;
}

/* ---- a context whose FP state is still in a stub thread ---- */

enum turn { DESTROY, RUN, END };

struct evictor {
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_context *first; /* its state is left in the stub thread; the other thread destroys it */
    tg_context *second;
    _Atomic enum turn turn;
};

static tg_context *create_one_thread_context(tg_platform *platform)
{
    tg_context *context = create_started_context(platform);

    CHECK_OK(tg_context_set_flags(context, TG_CONTEXT_ONE_THREAD));
    return context;
}

static void *run_one_after_the_other(void *argument)
{
    struct evictor *evictor = argument;
    enum turn turn;
    tg_event event;

    while ((turn = atomic_load(&evictor->turn)) != END) {
        if (turn != RUN) {
            sched_yield();
            continue;
        }
        run_context(evictor->first, evictor->subprocess, &event);
        atomic_store(&evictor->turn, DESTROY);
        run_context(evictor->second, evictor->subprocess, &event);
    }
    return NULL;
}

static void fp_of_destroyed_context(uint32_t backend)
{
    struct evictor evictor = {0};
    struct guest guest;
    pthread_t thread;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    evictor.platform = guest.platform;
    evictor.subprocess = guest.subprocess;
    evictor.second = create_one_thread_context(guest.platform);
    thread = start_thread(run_one_after_the_other, &evictor);
    for (i = 0; i < 1000; i++) {
        evictor.first = create_one_thread_context(guest.platform);
        atomic_store(&evictor.turn, RUN);
        while (atomic_load(&evictor.turn) == RUN)
            sched_yield();
        pause_a_little(8000);
        tg_context_destroy(evictor.first);
    }
    atomic_store(&evictor.turn, END);
    join_thread(thread);
    tg_context_destroy(evictor.second);
    guest_close(&guest);
}

/* Whoever asks for an FP state while the subprocess that holds it is destroyed gets it, or hears who has it. */
static void *ask_for_fp(void *argument)
{
    struct evictor *evictor = argument;
    const size_t size = platform_info(evictor->platform).fpstate_size;
    void *image = malloc(size);

    CHECK(image);
    while (atomic_load(&evictor->turn) != END) {
        int err = tg_context_get_fpstate(evictor->first, image, size);

        CHECK(err == 0 || err == -EBUSY);
    }
    free(image);
    return NULL;
}

static void fp_of_destroyed_subprocess(uint32_t backend)
{
    struct evictor evictor = {0};
    struct guest guest;
    pthread_t thread;
    tg_event event;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    evictor.platform = guest.platform;
    for (i = 0; i < 100; i++) {
        evictor.first = create_one_thread_context(guest.platform);
        evictor.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
        run_context(evictor.first, evictor.subprocess, &event);
        atomic_store(&evictor.turn, RUN);
        thread = start_thread(ask_for_fp, &evictor);
        pause_a_little(80000);
        tg_subprocess_destroy(evictor.subprocess);
        /* Makes the library notice that it has gone. */
        GUEST_RUN_TO_CALL(&guest);
        tg_subprocess_destroy(create_subprocess(guest.platform));
        atomic_store(&evictor.turn, END);
        join_thread(thread);
        tg_context_destroy(evictor.first);
    }
    guest_close(&guest);
}

/* ---- a queue whose last waiter ends ---- */

struct short_thread {
    tg_queue *queue;
    tg_subprocess *subprocesses[8];
    atomic_bool waited;
};

static void *wait_and_end(void *argument)
{
    struct short_thread *ending = argument;
    tg_event event;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(ending->subprocesses); i++)
        map_pages(ending->subprocesses[i], GUEST_DATA_AT, 4096, PROT_RW);
    CHECK_EQ(wait_events(ending->queue, &event, 1, 0), 0);
    atomic_store(&ending->waited, true);
    return NULL;
}

/* Two platforms, so that the destroying thread has used the other one last. */
static void queue_beside_ending_thread(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    tg_platform *other = open_platform(backend, 0);
    struct short_thread ending = {0};
    pthread_t thread;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(ending.subprocesses); i++)
        ending.subprocesses[i] = create_subprocess(other);
    for (i = 0; i < 100; i++) {
        ending.queue = create_queue(platform);
        atomic_store(&ending.waited, false);
        thread = start_thread(wait_and_end, &ending);
        while (!atomic_load(&ending.waited))
            sched_yield();
        pause_a_little(80000);
        tg_queue_destroy(ending.queue);
        join_thread(thread);
    }
    tg_platform_close(other);
    tg_platform_close(platform);
}

/* ---- platforms that are closed while threads end that have used them ---- */

static void *use_and_end(void *argument)
{
    struct short_thread *ending = argument;

    map_pages(ending->subprocesses[0], GUEST_DATA_AT, 4096, PROT_RW);
    map_pages(ending->subprocesses[1], GUEST_DATA_AT, 4096, PROT_RW);
    atomic_store(&ending->waited, true);
    return NULL;
}

static void close_beside_ending_thread(uint32_t backend)
{
    struct short_thread ending = {0};
    pthread_t thread;
    int i;

    for (i = 0; i < 60; i++) {
        tg_platform *platform = open_platform(backend, 0);

        ending.subprocesses[0] = create_subprocess(platform);
        ending.subprocesses[1] = create_subprocess(platform);
        atomic_store(&ending.waited, false);
        thread = start_thread(use_and_end, &ending);
        while (!atomic_load(&ending.waited))
            sched_yield();
        pause_a_little(80000);
        tg_platform_close(platform);
        join_thread(thread);
    }
}

/* ---- a stub thread's number that becomes somebody else's ---- */

static void *map_one(void *argument)
{
    map_pages(argument, GUEST_DATA_AT, 4096, PROT_RW);
    return NULL;
}

/* The highest number among the process's threads; /proc belongs to another namespace of numbers here. */
static pid_t newest_thread(pid_t process)
{
    pid_t newest = 0;
    pid_t thread;

    for (thread = process; thread < process + 64; thread++) {
        if (!syscall(SYS_tgkill, process, thread, 0))
            newest = thread;
    }
    return newest;
}

/* A child with this number, or 0 where numbers cannot be chosen. */
static pid_t fork_as(pid_t number)
{
    struct clone_args args = {
        .exit_signal = SIGCHLD,
        .set_tid = (uint64_t)(uintptr_t)&number,
        .set_tid_size = 1,
    };
    long child = syscall(SYS_clone3, &args, sizeof(args));

    while (child == 0)
        pause();
    return child > 0 ? (pid_t)child : 0;
}

/* In a namespace of its own. */
static void attach_to_reused_number(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    tg_subprocess *subprocess = create_subprocess(platform);
    pid_t process = tg_subprocess_pid(subprocess);
    pid_t parked;
    pid_t stranger;
    int status;

    run_in_thread(map_one, subprocess);
    parked = newest_thread(process);
    CHECK(parked > process);
    CHECK_SYSTEM(kill(process, SIGKILL));
    while (!syscall(SYS_tgkill, process, parked, 0))
        sched_yield();
    stranger = fork_as(parked);
    if (!stranger)
        SKIP("process numbers cannot be chosen here: %m");
    CHECK_EQ(stranger, parked);
    CHECK_RESULT(tg_subprocess_map(subprocess, GUEST_STACK_AT, 4096, PROT_RW, 0, -1, 0), -ESRCH);
    tg_subprocess_destroy(subprocess);
    tg_platform_close(platform);
    /* Nobody has touched it: it is there, it is no tracee, and it ends as this process wants. */
    CHECK_EQ(waitpid(stranger, &status, WNOHANG | WUNTRACED), 0);
    CHECK_SYSTEM(kill(stranger, SIGTERM));
    CHECK_EQ(CHECK_SYSTEM(waitpid(stranger, &status, 0)), stranger);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* How a child that runs this ends is how this one does. */
static void in_child(void (*run)(uint32_t backend), uint32_t backend)
{
    pid_t child = CHECK_SYSTEM(fork());
    int status;

    if (child == 0) {
        run(backend);
        _exit(0); /* a look at leaks would need /proc of its namespace */
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status))
        _exit(WEXITSTATUS(status));
}

static void enter_namespace(uint32_t backend)
{
    if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID))
        SKIP("no namespace of process numbers: %m");
    in_child(attach_to_reused_number, backend);
}

static void number_becomes_anothers(uint32_t backend)
{
    if (backend != TG_BACKEND_PTRACE)
        SKIP("only stubs that are traced are left without a tracer");
    in_child(enter_namespace, backend);
}

/* ---- the process that the others were copied from ---- */

static void *wake_later(void *queue)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    CHECK_OK(tg_queue_wake(queue));
    return NULL;
}

/* The leader of the process group that all stubs are in. */
static void kill_first_process(const struct guest *guest)
{
    pid_t first = getpgid(tg_subprocess_pid(guest->subprocess));

    CHECK(first > 0 && first != getpgid(0));
    CHECK_SYSTEM(kill(first, SIGKILL));
    proc_wait_gone(first);
}

/* Killed before the queue has ever waited, or while its waiter may already use a thread of that process. */
static void wait_without_first_process(uint32_t backend, bool waited_before)
{
    const int64_t moment = 5000000;
    struct guest guest;
    tg_queue *queue;
    tg_event event;
    pthread_t waker;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    if (waited_before)
        CHECK_EQ(wait_events(queue, &event, 1, moment), 0);
    kill_first_process(&guest);
    for (i = 1; i <= 20; i++) {
        CHECK_EQ(wait_events(queue, &event, 1, i % 4 ? 0 : moment), 0);
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        event = wait_one(queue);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
    }
    waker = start_thread(wake_later, queue);
    CHECK_EQ(wait_events(queue, &event, 1, FOREVER), 0);
    join_thread(waker);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void first_process_killed(uint32_t backend)
{
    wait_without_first_process(backend, false);
    wait_without_first_process(backend, true);
}

/* ---- threads that are cancelled inside a call ---- */

struct cancelled {
    struct guest *guest;
    tg_queue *queue;
    atomic_int returned;
};

static void *switch_and_end(void *argument)
{
    struct cancelled *cancelled = argument;

    guest_run(cancelled->guest);
    atomic_store(&cancelled->returned, 1);
    pthread_testcancel();
    return NULL;
}

static void *wait_in_queue_and_end(void *argument)
{
    struct cancelled *cancelled = argument;
    tg_event event;

    CHECK_EQ(wait_events(cancelled->queue, &event, 1, FOREVER), 0);
    atomic_store(&cancelled->returned, 1);
    pthread_testcancel();
    return NULL;
}

/* The call goes on until it has something to return; the thread ends then. */
static void cancel(struct cancelled *cancelled, pthread_t thread)
{
    CHECK_EQ(pthread_cancel(thread), 0);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    CHECK_EQ(atomic_load(&cancelled->returned), 0);
}

static void check_cancelled(struct cancelled *cancelled, pthread_t thread)
{
    void *result;

    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == PTHREAD_CANCELED);
    CHECK_EQ(atomic_exchange(&cancelled->returned, 0), 1);
}

static void thread_cancelled(uint32_t backend)
{
    struct guest guest;
    struct cancelled cancelled = {.guest = &guest};
    pthread_t thread;

    /* Without it the C library ends the process at a cancellation. */
    if (!dlopen("libgcc_s.so.1", RTLD_NOW))
        SKIP("no libgcc_s.so.1 here, which cancellation needs");
    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(switch_and_end, &cancelled);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    cancel(&cancelled, thread);
    CHECK_OK(tg_context_interrupt(guest.context));
    check_cancelled(&cancelled, thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);

    cancelled.queue = create_queue(guest.platform);
    thread = start_thread(wait_in_queue_and_end, &cancelled);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    cancel(&cancelled, thread);
    CHECK_OK(tg_queue_wake(cancelled.queue));
    check_cancelled(&cancelled, thread);
    tg_queue_destroy(cancelled.queue);
    tg_subprocess_destroy(guest.subprocess);
    tg_context_destroy(guest.context);
    tg_platform_close(guest.platform);
}

const struct test_case ends_beside_cases[] = {
    {"end.context_with_fp", "A context is destroyed while its stub thread's FP state is saved to run another one",
     fp_of_destroyed_context},
    {"end.subprocess_with_fp", "A subprocess is destroyed while another thread asks for an FP state that it holds",
     fp_of_destroyed_subprocess},
    {"end.queue_beside_thread", "A queue is destroyed while the thread ends that waited on it last",
     queue_beside_ending_thread},
    {"end.platform_beside_thread", "A platform is closed while threads end that have used it",
     close_beside_ending_thread},
    {"end.number_reused", "A process that gets the number of a stub thread that was killed is not touched",
     number_becomes_anothers},
    {"end.first_process",
     "A queue serves subprocesses, times out and is woken after the process they were copied from "
     "was killed",
     first_process_killed},
    {"end.thread_cancelled", "A thread that is cancelled in a switch or a wait ends when that has returned",
     thread_cancelled},
    {0},
};
