/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Closing is complete: no process, thread, descriptor or mapping stays behind. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"
#include "threads.h"

#define MOST_MAPPINGS 2048
#define ROUNDS        5

struct holdings {
    size_t descriptors;
    size_t mapping_count;
    uint64_t mapped_bytes;
};

static struct holdings take_stock(void)
{
    static struct proc_mapping mappings[MOST_MAPPINGS];
    struct holdings now = {.descriptors = proc_count("/proc/self/fd")};
    size_t count;
    size_t i;

    count = proc_mappings(getpid(), mappings, MOST_MAPPINGS);
    CHECK(count <= MOST_MAPPINGS);
    for (i = 0; i < count; i++) {
        /* The C library keeps what was freed as it likes. */
        if (strcmp(mappings[i].name, "[heap]") == 0)
            continue;
        now.mapping_count++;
        now.mapped_bytes += mappings[i].end - mappings[i].start;
    }
    return now;
}

/* A thread that was joined may be listed a moment longer; one that stays makes the wait run into the time limit. */
static void wait_for_threads(size_t expected)
{
#if defined(__SANITIZE_THREAD__)
    /* The sanitizer starts a thread of its own when it likes: only threads beyond that one are counted. */
    expected++;
    while (proc_thread_count(getpid()) > expected)
#else
    while (proc_thread_count(getpid()) != expected)
#endif
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void check_no_child(void)
{
    CHECK_EQ(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

/* The first round fills the caches of the C library; the others must not add anything. */
static void check_leaves_nothing(void (*use)(uint32_t backend), uint32_t backend)
{
    const size_t threads = proc_thread_count(getpid());
    struct holdings before;
    struct holdings after;
    int i;

    /* All of its memory in the one heap that take_stock() leaves out; a sanitizer's allocator has no such setting. */
    mallopt(M_ARENA_MAX, 1);
    use(backend);
    use(backend);
    check_no_child();
    wait_for_threads(threads);
    before = take_stock();
    for (i = 0; i < ROUNDS; i++) {
        use(backend);
        check_no_child();
    }
    wait_for_threads(threads);
    after = take_stock();
    CHECK_EQ(after.descriptors, before.descriptors);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK_EQ(after.mapping_count, before.mapping_count);
    CHECK_EQ(after.mapped_bytes, before.mapped_bytes);
#endif
}

static void open_and_close(uint32_t backend)
{
    tg_platform_close(open_platform(backend, 0));
}

static void use_and_close(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy = NULL;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    run_context(guest.context, copy, &guest.event);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}

/* Everything that was made goes with the platform. */
static void use_and_leave_behind(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy = NULL;
    tg_queue *queue = NULL;
    tg_event event = new_event();
    size_t count;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    for (i = 0; i < 5; i++)
        CHECK_OK(tg_queue_submit(queue, create_started_context(guest.platform), i % 2 ? copy : guest.subprocess));
    CHECK_OK(tg_queue_wait(queue, &event, 1, 1000000, &count));
    CHECK_EQ(count, 0);
    create_subprocess(guest.platform);
    tg_platform_close(guest.platform);
}

static void use_the_descriptor(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue = NULL;
    tg_event event = new_event();
    size_t count;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    CHECK(tg_queue_fd(queue) >= 0);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_EQ(count, 1);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void kill_and_close(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_close(&guest);
}

static void *run_once(void *argument)
{
    struct guest *guest = argument;

    GUEST_RUN_TO_CALL(guest);
    return NULL;
}

static void use_from_threads(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < 5; i++)
        run_in_thread(run_once, &guest);
    guest_close(&guest);
}

static void fail_to_open(uint32_t backend)
{
    tg_platform_options options = {.size = sizeof(options), .backend = backend, .flags = 1ull << 63};
    tg_platform *platform = NULL;

    CHECK_RESULT(tg_platform_open(&options, &platform), -EINVAL);
    CHECK(platform == NULL);
}

static void look_whether_it_works(uint32_t backend)
{
    tg_probe probe = {.size = sizeof(probe)};

    CHECK_OK(tg_platform_probe(backend, &probe));
    CHECK_EQ(probe.available, 1);
}

static void after_open(uint32_t backend)
{
    check_leaves_nothing(open_and_close, backend);
}

static void after_use(uint32_t backend)
{
    check_leaves_nothing(use_and_close, backend);
}

static void with_everything_alive(uint32_t backend)
{
    check_leaves_nothing(use_and_leave_behind, backend);
}

static void after_a_descriptor(uint32_t backend)
{
    check_leaves_nothing(use_the_descriptor, backend);
}

static void after_a_death(uint32_t backend)
{
    check_leaves_nothing(kill_and_close, backend);
}

static void after_threads(uint32_t backend)
{
    check_leaves_nothing(use_from_threads, backend);
}

static void after_failure(uint32_t backend)
{
    check_leaves_nothing(fail_to_open, backend);
}

static void after_probe(uint32_t backend)
{
    check_leaves_nothing(look_whether_it_works, backend);
}

/* The same for one subprocess while its platform stays open. */
static void subprocess_leaves_nothing(uint32_t backend)
{
    const size_t threads = proc_thread_count(getpid());
    tg_platform *platform = open_platform(backend, 0);
    tg_context *context = create_started_context(platform);
    struct holdings before = {0};
    struct holdings after;
    tg_event event;
    tg_stats stats;
    int i;

    for (i = 0; i < 50; i++) {
        tg_subprocess *subprocess = create_loaded_subprocess(platform, GUEST_CODE(call_loop));

        run_context(context, subprocess, &event);
        CHECK_CALL(&event, GUEST_CALL);
        tg_subprocess_destroy(subprocess);
        if (i == 1)
            before = take_stock();
    }
    after = take_stock();
    CHECK_EQ(after.descriptors, before.descriptors);
    stats = platform_stats(platform);
    CHECK_EQ(stats.subprocesses, 0);
    tg_platform_close(platform);
    wait_for_threads(threads);
    check_no_child();
}

const struct test_case close_cases[] = {
    {"close.unused", "Open and close leave no process, thread, descriptor or mapping", after_open},
    {"close.used", "Nor do subprocesses, forks and switches", after_use},
    {"close.everything_alive", "Nor a close with queues, running contexts and subprocesses alive",
     with_everything_alive},
    {"close.queue_fd", "Nor a queue whose descriptor was used", after_a_descriptor},
    {"close.dead_stub", "Nor a stub that was killed", after_a_death},
    {"close.threads", "Nor switches from threads that ended", after_threads},
    {"close.failed_open", "Nor an open that fails", after_failure},
    {"close.probe", "Nor a probe", after_probe},
    {"close.subprocess", "A destroyed subprocess leaves nothing while the platform stays open",
     subprocess_leaves_nothing},
    {0},
};
