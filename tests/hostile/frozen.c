/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stubs in a frozen cgroup: nobody holds it against them, others go on, and
 * whoever is to be rid of them does not wait for the thaw. The library's rounds are short here:
 * hostile_rounds.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch.h"
#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "hostile.h"
#include "threads.h"

#define LONG_NS (50 * SHORT_ROUND_NS)

/* Version 1 puts off the death of what is frozen, version 2 does not. */
static const struct freezer {
    const char *folder;
    const char *file;
    const char *frozen;
    const char *thawed;
} freezers[] = {
    {"/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"},
    {"/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0"},
    {"/sys/fs/cgroup", "cgroup.freeze", "1", "0"},
};

struct frozen {
    const struct freezer *freezer;
    char group[128];
    struct guest guest;
    tg_queue *queue;
    struct bounded *user;
    struct bounded *other;
    pid_t pid;
};

static bool write_to(const struct frozen *frozen, const char *file, const char *text)
{
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", frozen->group, file);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

static bool make_group(struct frozen *frozen, const struct freezer *freezer)
{
    frozen->freezer = freezer;
    snprintf(frozen->group, sizeof(frozen->group), "%s/trapgate-test-%d", freezer->folder, getpid());
    if (mkdir(frozen->group, 0755))
        return false;
    if (write_to(frozen, freezer->file, freezer->thawed))
        return true;
    rmdir(frozen->group);
    return false;
}

static void remove_group(const struct frozen *frozen)
{
    while (rmdir(frozen->group) && errno == EBUSY)
        pause_ns(SHORT_ROUND_NS);
}

static void *run_on(void *argument)
{
    struct frozen *frozen = argument;
    BOUNDED_VOID(frozen->user, guest_run(&frozen->guest));
    return NULL;
}

static void freeze(struct frozen *frozen)
{
    char pid[16];
    frozen->pid = tg_subprocess_pid(frozen->guest.subprocess);
    snprintf(pid, sizeof(pid), "%d", frozen->pid);
    CHECK(write_to(frozen, "cgroup.procs", pid));
    CHECK(write_to(frozen, frozen->freezer->file, frozen->freezer->frozen));
}

static void thaw(const struct frozen *frozen)
{
    CHECK(write_to(frozen, frozen->freezer->file, frozen->freezer->thawed));
}

/* It computes and does not answer an interrupt for long; then its subprocess is destroyed. */
static void destroy_frozen(struct frozen *frozen, uint32_t backend)
{
    guest_open(&frozen->guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(frozen->guest.context, 0, GUEST_DATA_AT);
    const pthread_t thread = start_thread(run_on, frozen);
    guest_wait_change(frozen->guest.subprocess, GUEST_DATA_AT, 0);
    freeze(frozen);
    CHECK_OK(tg_context_interrupt(frozen->guest.context));
    pause_ns(LONG_NS);
    CHECK(bounded_ns(frozen->user) != 0);
    BOUNDED_VOID(frozen->other, tg_subprocess_destroy(frozen->guest.subprocess));
    join_thread(thread);
    CHECK_DEAD(&frozen->guest.event, TG_DEAD_DESTROYED, 0);
    BOUNDED_VOID(frozen->other, tg_context_destroy(frozen->guest.context));
}

/* The keeper reaps it when it has ended. */
static void thaw_and_close(struct frozen *frozen)
{
    thaw(frozen);
    remove_group(frozen);
    BOUNDED_VOID(frozen->other, tg_platform_close(frozen->guest.platform));
}

/* No thread of the library is left that could. */
static void close_and_thaw(struct frozen *frozen)
{
    BOUNDED_VOID(frozen->other, tg_platform_close(frozen->guest.platform));
    thaw(frozen);
    while (waitpid(frozen->pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    remove_group(frozen);
}

static size_t look_once(struct frozen *frozen, tg_event *event, int64_t timeout_ns)
{
    size_t count = 0;
    *event = new_event();
    CHECK_OK(BOUNDED(frozen->user, tg_queue_wait(frozen->queue, event, 1, timeout_ns, &count)));
    return count;
}

static void submit_counting(struct frozen *frozen, uint32_t backend)
{
    guest_open(&frozen->guest, backend, GUEST_CODE(spin_counting));
    CHECK_OK(tg_queue_create(frozen->guest.platform, &frozen->queue));
    arch_set_argument(frozen->guest.context, 0, GUEST_DATA_AT);
    CHECK_OK(tg_queue_submit(frozen->queue, frozen->guest.context, frozen->guest.subprocess));
    CHECK_EQ(look_once(frozen, &frozen->guest.event, SHORT_ROUND_NS), 0);
    guest_wait_change(frozen->guest.subprocess, GUEST_DATA_AT, 0);
}

/* Nothing comes of it, and whoever looks for that is told so when he has said. */
static void look_in_vain(struct frozen *frozen)
{
    const int64_t start = clock_ns();
    CHECK_EQ(look_once(frozen, &frozen->guest.event, 0), 0);
    CHECK_EQ(look_once(frozen, &frozen->guest.event, LONG_NS), 0);
    CHECK(clock_ns() - start >= LONG_NS);
    CHECK(clock_ns() - start < 5 * LONG_NS);
}

/* A subprocess that is not frozen: switched to, and on the same queue. */
static void run_another(struct frozen *frozen)
{
    tg_event event;
    tg_subprocess *other = create_loaded_subprocess(frozen->guest.platform, GUEST_CODE(call_loop));
    tg_context *context = create_started_context(frozen->guest.platform);
    bounded_begin(frozen->other, "a subprocess that is not frozen");
    run_context(context, other, &event);
    CHECK_CALL(&event, GUEST_CALL);
    CHECK_OK(tg_queue_submit(frozen->queue, context, other));
    CHECK_EQ(look_once(frozen, &event, -1), 1);
    CHECK_CALL(&event, GUEST_CALL);
    tg_context_destroy(context);
    tg_subprocess_destroy(other);
    bounded_end(frozen->other);
}

static void interrupt_thawed(struct frozen *frozen)
{
    CHECK_EQ(look_once(frozen, &frozen->guest.event, -1), 1);
    CHECK_KIND(&frozen->guest.event, TG_EVENT_INTERRUPTED);
    CHECK_OK(tg_queue_submit(frozen->queue, frozen->guest.context, frozen->guest.subprocess));
    guest_wait_change(frozen->guest.subprocess, GUEST_DATA_AT, guest_load(frozen->guest.subprocess, GUEST_DATA_AT));
    CHECK_OK(tg_context_interrupt(frozen->guest.context));
    CHECK_EQ(look_once(frozen, &frozen->guest.event, -1), 1);
    CHECK_KIND(&frozen->guest.event, TG_EVENT_INTERRUPTED);
}

/* It computes on a queue, and goes on where it was. */
static void wait_for_frozen(struct frozen *frozen, uint32_t backend)
{
    submit_counting(frozen, backend);
    freeze(frozen);
    look_in_vain(frozen);
    run_another(frozen);
    CHECK_OK(tg_context_interrupt(frozen->guest.context));
    look_in_vain(frozen);
    thaw(frozen);
    interrupt_thawed(frozen);
    BOUNDED_VOID(frozen->other, tg_queue_destroy(frozen->queue));
    guest_close(&frozen->guest);
    remove_group(frozen);
}

static void with_each_freezer(uint32_t backend, void (*use)(struct frozen *, uint32_t backend))
{
    struct frozen frozen = {.user = bounded_new("the thread that needs the stub"),
                            .other = bounded_new("the main thread")};
    size_t tried = 0;
    for (size_t i = 0; i < ARRAY_SIZE(freezers); i++) {
        const struct footprint before = footprint_take();
        if (!make_group(&frozen, &freezers[i]))
            continue;
        tried++;
        use(&frozen, backend);
        footprint_check(&before);
    }
    if (tried == 0)
        SKIP("no cgroup of ours can be frozen here");
}

static void destroy_and_thaw(struct frozen *frozen, uint32_t backend)
{
    destroy_frozen(frozen, backend);
    thaw_and_close(frozen);
}

static void destroy_and_close(struct frozen *frozen, uint32_t backend)
{
    destroy_frozen(frozen, backend);
    close_and_thaw(frozen);
}

static void skip_traced(uint32_t backend)
{
    if (backend == TG_BACKEND_PTRACE)
        SKIP("a traced stub is the tracer's to stop");
}

void hostile_frozen_destroyed(uint32_t backend)
{
    skip_traced(backend);
    with_each_freezer(backend, destroy_and_thaw);
}

void hostile_frozen_closed(uint32_t backend)
{
    skip_traced(backend);
    with_each_freezer(backend, destroy_and_close);
}

void hostile_frozen_waited(uint32_t backend)
{
    with_each_freezer(backend, wait_for_frozen);
}
