/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Stubs as processes of the host: who may have their numbers, and what a host refuses to do with them. */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

#define UNUSED_USER 64124

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* Zombies too; one of them in *last. */
static size_t count_children(pid_t *last)
{
    const struct dirent *entry;
    size_t count = 0;
    DIR *processes = opendir("/proc");

    CHECK(processes != NULL);
    while ((entry = readdir(processes)) != NULL) {
        const pid_t pid = atoi(entry->d_name);

        if (pid <= 0 || proc_parent(pid) != getpid())
            continue;
        *last = pid;
        count++;
    }
    closedir(processes);
    return count;
}

/* ---- numbers ---- */

/* Whoever still acts by the number of a dead stub can meet nobody else. */
static void number_is_kept(uint32_t backend)
{
    struct guest guest;
    pid_t pid;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    pid = tg_subprocess_pid(guest.subprocess);
    CHECK_SYSTEM(kill(pid, SIGKILL));
    guest_run(&guest);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGKILL);
    CHECK_EQ(tg_subprocess_pid(guest.subprocess), 0);
    pause_us(50000);
    CHECK_EQ(proc_state(pid), 'Z');
    tg_subprocess_destroy(guest.subprocess);
    CHECK_EQ(proc_state(pid), 0);
    guest.subprocess = NULL;
    guest_close(&guest);
}

/* Its number is that of the stubs' process group, too. */
static void number_of_the_first_is_kept(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    tg_subprocess *refused = NULL;
    pid_t first = 0;

    CHECK_EQ(count_children(&first), 1);
    CHECK_SYSTEM(kill(first, SIGKILL));
    proc_wait_gone(first);
    CHECK_RESULT(tg_subprocess_create(platform, &refused), -EIO);
    pause_us(50000);
    CHECK_EQ(proc_state(first), 'Z');
    tg_platform_close(platform);
    CHECK_EQ(proc_state(first), 0);
}

/* A child of the embedder's cannot know when its parent reaps a stub. */
static void numbers_are_the_openers(uint32_t backend)
{
    struct guest guest;
    uint64_t word = 7;
    size_t done = 1;
    pid_t child;
    int status;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    child = CHECK_SYSTEM(fork());
    if (child == 0) {
        CHECK_RESULT(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT, &word, sizeof(word), &done), -EPERM);
        CHECK_RESULT(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, &word, sizeof(word), &done), -EPERM);
        CHECK_EQ(done, 0);
        CHECK_EQ(word, 7);
        _exit(0);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT), 0);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* What reaches a stub is refused, and what is given up is given up for this process alone. */
static void use_what_is_the_parents(struct guest *guest)
{
    tg_event event = new_event();
    tg_subprocess *other;
    tg_queue *queue;
    size_t count;

    CHECK_RESULT(tg_subprocess_create(guest->platform, &other), -EPERM);
    CHECK_RESULT(tg_subprocess_fork(guest->subprocess, &other), -EPERM);
    CHECK_RESULT(tg_subprocess_unmap(guest->subprocess, GUEST_DATA_AT, 4096), -EPERM);
    CHECK_RESULT(tg_context_switch(guest->context, guest->subprocess, &event), -EPERM);
    CHECK_OK(tg_queue_create(guest->platform, &queue));
    if (platform_info(guest->platform).backend == TG_BACKEND_SYSTRAP) {
        CHECK_RESULT(tg_queue_submit(queue, guest->context, guest->subprocess), -EPERM);
        CHECK_RESULT(tg_queue_wait(queue, &event, 1, 0, &count), -EPERM);
    }
    tg_queue_destroy(queue);
    tg_context_destroy(guest->context);
    tg_subprocess_destroy(guest->subprocess);
    tg_platform_close(guest->platform);
}

static void handles_are_the_openers(uint32_t backend)
{
    struct guest guest;
    int status;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (int i = 0; i < 10; i++) {
        GUEST_RUN_TO_CALL(&guest);
        pid_t child = CHECK_SYSTEM(fork());

        if (child == 0) {
            use_what_is_the_parents(&guest);
            _exit(0);
        }
        /* Beside what the child does. */
        for (int j = 0; j < 1000; j++)
            GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
        CHECK_EQ(status, 0);
        CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT), 0);
    }
    guest_close(&guest);
}

/* ---- a mother who dies in the middle of it ---- */

struct birth {
    tg_subprocess *mother;
    tg_subprocess *child;
    int result;
};

static void *give_birth(void *argument)
{
    struct birth *birth = argument;

    birth->result = tg_subprocess_fork(birth->mother, &birth->child);
    return NULL;
}

static void check_child(struct guest *guest, const struct birth *birth)
{
    if (birth->result) {
        CHECK_RESULT(birth->result, -ESRCH);
        return;
    }
    guest_restart(guest);
    run_context(guest->context, birth->child, &guest->event);
    CHECK_CALL(&guest->event, GUEST_CALL);
    tg_subprocess_destroy(birth->child);
}

static void kill_in_the_middle(struct guest *guest, long delay_us)
{
    struct birth birth = {.mother = create_loaded_subprocess(guest->platform, GUEST_CODE(call_loop))};
    pid_t pid = tg_subprocess_pid(birth.mother);
    pthread_t thread = start_thread(give_birth, &birth);

    pause_us(delay_us);
    CHECK_SYSTEM(kill(pid, SIGKILL));
    join_thread(thread);
    check_child(guest, &birth);
    /* She has no more children, and whoever asks does not make her forget one. */
    while (!birth.result) {
        give_birth(&birth);
        check_child(guest, &birth);
    }
    give_birth(&birth);
    check_child(guest, &birth);
    tg_subprocess_destroy(birth.mother);
}

#define BIRTHS 100

static void mother_is_killed(uint32_t backend)
{
    struct guest guest;
    unsigned int seed = 3;
    pid_t last;
    size_t before;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    before = count_children(&last);
    for (int i = 0; i < BIRTHS; i++)
        kill_in_the_middle(&guest, rand_r(&seed) % 400);
    /* On ptrace the platform's end sees to them. */
    if (backend == TG_BACKEND_SYSTRAP)
        CHECK_EQ(count_children(&last), before);
    guest_close(&guest);
    CHECK_EQ(count_children(&last), 0);
}

/* ---- what a host refuses ---- */

/* Stops short of what a profile would do that kills. */
static void refuse(const int *calls, size_t n, int error)
{
    struct sock_filter program[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog filter = {.len = (unsigned short)(n + 3), .filter = program};

    CHECK(n + 3 <= ARRAY_SIZE(program));
    for (size_t i = 0; i < n; i++)
        program[1 + i] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], (unsigned char)(n - i), 0);
    program[n + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[n + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error);
    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_SYSTEM(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0));
}

struct denial {
    const int *calls;
    size_t n;
    int error;
    bool when_open; /* opening needs them */
};

/* A guest that computes, one at rest, a fork, and the end of all of them. */
static void live_and_end(uint32_t backend, const struct denial *denial)
{
    struct guest guest;
    struct guest resting;
    tg_subprocess *copy;
    pthread_t thread;
    pid_t last;

    if (!denial->when_open)
        refuse(denial->calls, denial->n, denial->error);
    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    if (denial->when_open)
        refuse(denial->calls, denial->n, denial->error);
    resting = guest;
    resting.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(call_loop));
    resting.context = create_started_context(guest.platform);
    GUEST_RUN_TO_CALL(&resting);
    CHECK_OK(tg_subprocess_fork(resting.subprocess, &copy));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    tg_subprocess_destroy(copy);
    tg_subprocess_destroy(guest.subprocess);
    join_thread(thread);
    CHECK_DEAD(&guest.event, TG_DEAD_DESTROYED, 0);
    guest.subprocess = NULL;
    tg_subprocess_destroy(resting.subprocess);
    tg_context_destroy(resting.context);
    guest_close(&guest);
    CHECK_EQ(count_children(&last), 0);
}

/* In a child each: a filter stays for good. */
static void check_refused(uint32_t backend, struct denial denial)
{
    pid_t child = CHECK_SYSTEM(fork());
    int status;

    if (child == 0) {
        live_and_end(backend, &denial);
        _exit(0);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
}

static void kill_by_descriptor_is_refused(uint32_t backend)
{
    static const int calls[] = {SYS_pidfd_send_signal};

    check_refused(backend, (struct denial){calls, ARRAY_SIZE(calls), EPERM, false});
    check_refused(backend, (struct denial){calls, ARRAY_SIZE(calls), ENOSYS, false});
}

static void each_kill_is_refused(uint32_t backend)
{
    static const int calls[] = {SYS_pidfd_send_signal, SYS_kill, SYS_tkill, SYS_tgkill};

    if (backend == TG_BACKEND_PTRACE)
        SKIP("a stub of the ptrace backend is ended and interrupted by signals alone");
    check_refused(backend, (struct denial){calls, ARRAY_SIZE(calls), EPERM, true});
}

/* The keeper hears of deaths all the same, and ends. */
static void waiting_is_refused(uint32_t backend)
{
    static const int descriptors[] = {
        SYS_epoll_pwait,
        SYS_ppoll,
#ifdef SYS_epoll_wait /* newer processors have none of these */
        SYS_epoll_wait,
        SYS_poll,
#endif
    };
    static const int children[] = {SYS_waitid};

    if (backend == TG_BACKEND_PTRACE)
        SKIP("the ptrace backend waits in another way");
    check_refused(backend, (struct denial){descriptors, ARRAY_SIZE(descriptors), EPERM, false});
    check_refused(backend, (struct denial){children, ARRAY_SIZE(children), ENOSYS, false});
}

/* ---- no /proc ---- */

/* Nobody but us knows what children there are. */
static void check_no_child_is_left(void)
{
    CHECK_EQ(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

static void without_proc(uint32_t backend)
{
    struct guest guest;
    unsigned int seed = 5;
    const int root = proc_leave();

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (int i = 0; i < 100; i++)
        GUEST_RUN_TO_CALL(&guest);
    for (int i = 0; i < BIRTHS; i++)
        kill_in_the_middle(&guest, rand_r(&seed) % 400);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
    check_no_child_is_left();
    proc_return(root);
}

/* ---- limits ---- */

static void have_no_more_than(rlim_t processes)
{
    const struct rlimit limit = {.rlim_cur = processes, .rlim_max = processes};

    CHECK_SYSTEM(setgroups(0, NULL));
    CHECK_SYSTEM(setresgid(UNUSED_USER, UNUSED_USER, UNUSED_USER));
    CHECK_SYSTEM(setresuid(UNUSED_USER, UNUSED_USER, UNUSED_USER));
    CHECK_SYSTEM(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    CHECK_SYSTEM(setrlimit(RLIMIT_NPROC, &limit));
}

/* Whatever the limit, odd or even: what was created runs. */
static void run_all_that_fit(uint32_t backend, rlim_t processes)
{
    tg_subprocess *made[40];
    size_t count = 0;
    size_t arrived = 0;
    int result = 0;
    tg_event event = new_event();
    tg_platform *platform;
    tg_queue *queue;

    have_no_more_than(processes);
    platform = open_platform(backend, 0);
    CHECK_OK(tg_queue_create(platform, &queue));
    while (count < ARRAY_SIZE(made) && !(result = tg_subprocess_create(platform, &made[count])))
        count++;
    CHECK_RESULT(result, -EAGAIN);
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        load_code(made[i], GUEST_CODE_AT, GUEST_CODE(call_loop));
        CHECK_OK(tg_queue_submit(queue, create_started_context(platform), made[i]));
        CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &arrived));
        CHECK_EQ(arrived, 1);
        CHECK_KIND(&event, TG_EVENT_SYSCALL);
    }
    tg_platform_close(platform);
}

/* Calls it with some limits, each in a process of its own. */
static void with_few_processes(uint32_t backend, void (*run)(uint32_t backend, rlim_t processes))
{
    if (geteuid() != 0)
        SKIP("only root can become a user who has no other process");
    for (rlim_t processes = 16; processes < 20; processes++) {
        pid_t child = CHECK_SYSTEM(fork());
        int status;

        if (child == 0) {
            run(backend, processes);
            _exit(0);
        }
        CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
        CHECK_EQ(status, 0);
    }
}

static void what_fits_runs(uint32_t backend)
{
    with_few_processes(backend, run_all_that_fit);
}

/* With every other limit there is room for the copy's process, and none for what runs its guests. */
static void fork_until_refused(uint32_t backend, rlim_t processes)
{
    struct guest guest;
    tg_subprocess *made[40];
    tg_stats stats;
    size_t count = 0;
    size_t children;
    pid_t last;
    int result = 0;

    have_no_more_than(processes);
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    guest_run(&guest);
    CHECK_CALL(&guest.event, GUEST_CALL);
    while (count < ARRAY_SIZE(made) && !(result = tg_subprocess_fork(guest.subprocess, &made[count])))
        count++;
    CHECK_RESULT(result, -EAGAIN);
    CHECK(strstr(tg_platform_last_error(guest.platform), "RLIMIT_NPROC") != NULL);
    CHECK(count > 0 && made[count] == NULL);
    stats = platform_stats(guest.platform);
    children = count_children(&last);
    for (int again = 0; again < 3; again++)
        CHECK_RESULT(tg_subprocess_fork(guest.subprocess, &made[count]), -EAGAIN);
    CHECK_EQ(platform_stats(guest.platform).subprocesses, stats.subprocesses);
    CHECK_EQ(platform_stats(guest.platform).stub_threads, stats.stub_threads);
    CHECK_EQ(count_children(&last), children);
    guest_run(&guest);
    CHECK_CALL(&guest.event, GUEST_CALL);
    tg_subprocess_destroy(made[--count]);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &made[count]));
    run_context(create_started_context(guest.platform), made[count], &guest.event);
    CHECK_CALL(&guest.event, GUEST_CALL);
    tg_platform_close(guest.platform);
}

static void half_a_fork_is_none(uint32_t backend)
{
    with_few_processes(backend, fork_until_refused);
}

/* ---- threads ---- */

/* Its process and one thread for its guest, also when that has just been made and has not begun yet. */
static void check_two_threads(struct guest *guest, tg_subprocess *subprocess, uint64_t before)
{
    tg_context *context = create_started_context(guest->platform);

    for (int calls = 0; calls < 3; calls++) {
        run_context(context, subprocess, &guest->event);
        CHECK_CALL(&guest->event, GUEST_CALL);
    }
    CHECK(platform_stats(guest->platform).stub_threads - before <= 2);
    tg_context_destroy(context);
    tg_subprocess_destroy(subprocess);
    CHECK_EQ(platform_stats(guest->platform).stub_threads, before);
}

static void one_context_has_one_thread(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    guest_run(&guest);
    for (size_t i = 0; i < scaled(100); i++) {
        const uint64_t before = platform_stats(guest.platform).stub_threads;

        check_two_threads(&guest, create_loaded_subprocess(guest.platform, GUEST_CODE(call_loop)), before);
        CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
        check_two_threads(&guest, copy, before);
    }
    guest_close(&guest);
}

const struct test_case process_cases[] = {
    {"process.number_kept", "A stub that has died keeps its number until its subprocess is destroyed", number_is_kept},
    {"process.first_number_kept", "So does the platform's first stub, until the platform is closed",
     number_of_the_first_is_kept},
    {"process.of_the_opener", "A process that the embedder has forked gets -EPERM for copies of guest memory",
     numbers_are_the_openers},
    {"process.handles_of_the_opener", "It gets -EPERM for what reaches a stub, and gives up handles without harm",
     handles_are_the_openers},
    {"process.mother_killed", "A stub that is killed while it is copied leaves no process behind", mother_is_killed},
    {"process.kill_refused", "Where the host refuses to kill by a descriptor everything ends all the same",
     kill_by_descriptor_is_refused},
    {"process.kills_refused", "On systrap also where it refuses every signal", each_kill_is_refused},
    {"process.waits_refused", "On systrap also where it refuses to wait for descriptors or to look at children",
     waiting_is_refused},
    {"process.without_proc", "All that works where there is no /proc", without_proc},
    {"process.what_fits_runs", "What could be created runs, however few processes the host allows", what_fits_runs},
    {"process.half_a_fork", "A fork for which the host has too few processes fails whole and leaves nothing behind",
     half_a_fork_is_none},
    {"process.one_thread", "One context in a subprocess makes its stub no second thread to run guests",
     one_context_has_one_thread},
    {0},
};
