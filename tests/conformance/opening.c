/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening where something stands in the way, and what an open that fails leaves behind. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "scale.h"
#include "threads.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define CHILDREN 100

/* The stack is at the top of the address space, whose size is a power of two. */
static uint64_t end_of_user_space(void)
{
    uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);

    return 1ull << (64 - __builtin_clzll(here));
}

/* Every other chunk of the last 16 GiB, where nothing is yet. */
static void crowd_the_top(void)
{
    const uint64_t window = 1ull << 34;
    const uint64_t chunk = 1ull << 26;
    uint64_t start = end_of_user_space() - window;
    uint64_t at;

    for (at = start; at < start + window; at += 2 * chunk)
        mmap((void *)(uintptr_t)at, chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
             -1, 0);
}

static void crowded_top(uint32_t backend)
{
    struct guest guest;
    int i;

    crowd_the_top();
    for (i = 0; i < 12; i++) {
        guest_open(&guest, backend, GUEST_CODE(counting_calls));
        GUEST_RUN_TO_CALL(&guest);
        guest_close(&guest);
    }
}

/* From here on this system call is refused to this process and to what it makes. */
static void refuse(uint32_t number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {ARRAY_SIZE(code), code};

    CHECK_SYSTEM(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_SYSTEM(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void open_and_leave_nothing(uint32_t backend, int expected)
{
    tg_platform_options options = {.size = sizeof(options), .backend = backend};
    tg_platform *platform;
    int i;

    for (i = 0; i < 10; i++) {
        int err = tg_platform_open(&options, &platform);

        CHECK_RESULT(err, expected);
        if (!err)
            tg_platform_close(platform);
        CHECK_EQ(waitpid(-1, NULL, __WALL | WNOHANG), -1);
        CHECK_EQ(errno, ECHILD);
    }
}

/* In a child that ends without a look at leaks, which ptrace(2) would be needed for. */
static void leave_nothing_without(uint32_t number, uint32_t backend, int expected)
{
    pid_t child = CHECK_SYSTEM(fork());
    int status;

    if (child == 0) {
        refuse(number);
        open_and_leave_nothing(backend, expected);
        _exit(0);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
}

/* A stub that is killed at some point of its way, and one that ends before it has a process group of its own. */
static void refused_leaves_nothing(uint32_t backend)
{
    leave_nothing_without(SYS_ptrace, backend, backend == TG_BACKEND_PTRACE ? -EPERM : 0);
    leave_nothing_without(SYS_setsid, backend, -EPERM);
}

struct churn {
    tg_subprocess *subprocesses[4];
    atomic_bool stop;
};

static void *use_all(void *argument)
{
    struct churn *churn = argument;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(churn->subprocesses); i++)
        map_pages(churn->subprocesses[i], GUEST_DATA_AT, 4096, PROT_RW);
    return NULL;
}

static void *start_and_end_threads(void *argument)
{
    struct churn *churn = argument;

    while (!atomic_load(&churn->stop))
        run_in_thread(use_all, churn);
    return NULL;
}

/* The child has the memory of a moment at which other threads began and ended. */
static _Noreturn void open_in_child(uint32_t backend)
{
    struct guest guest;

    alarm(20);
    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
    _exit(0);
}

static void in_forked_child(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    const size_t children = scaled(CHILDREN);
    struct churn churn = {0};
    pthread_t thread;
    size_t i;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    SKIP("the sanitizer's allocator can be locked for ever in a child of a process that has several threads");
#endif
    for (i = 0; i < ARRAY_SIZE(churn.subprocesses); i++)
        churn.subprocesses[i] = create_subprocess(platform);
    thread = start_thread(start_and_end_threads, &churn);
    for (i = 0; i < children; i++) {
        pid_t child = CHECK_SYSTEM(fork());
        int status;

        if (child == 0)
            open_in_child(backend);
        CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
        CHECK_EQ(status, 0);
    }
    atomic_store(&churn.stop, true);
    join_thread(thread);
    tg_platform_close(platform);
}

const struct test_case opening_cases[] = {
    {"open.crowded_top", "Platforms open where half of the top of the address space is taken", crowded_top},
    {"open.refused_leaves_nothing",
     "Where ptrace(2) or a step of the stub is refused, opening leaves no process behind", refused_leaves_nothing},
    {"open.in_forked_child", "A forked child opens a platform, whatever other threads did when it was made",
     in_forked_child},
    {0},
};
