/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Threads of the embedder: who may switch what, and what is left when one ends. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "proc.h"
#include "scale.h"
#include "threads.h"

static void *run_to_next_call(void *argument)
{
    struct guest *guest = argument;

    GUEST_RUN_TO_CALL(guest);
    return NULL;
}

static void context_changes_threads(uint32_t backend)
{
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (i = 1; i <= 60; i++) {
        if (i % 3 == 0)
            GUEST_RUN_TO_CALL(&guest);
        else
            run_in_thread(run_to_next_call, &guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    guest_close(&guest);
}

/* The stub threads of ended embedder threads are used again: their number does not follow ours. */
static void ended_threads_hand_back(uint32_t backend)
{
    struct guest guest;
    size_t after_ten = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (i = 1; i <= 200; i++) {
        run_in_thread(run_to_next_call, &guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
        if (i == 10)
            after_ten = proc_thread_count(tg_subprocess_pid(guest.subprocess));
    }
    CHECK(proc_thread_count(tg_subprocess_pid(guest.subprocess)) <= after_ten + 4);
    CHECK(platform_stats(guest.platform).stub_threads <= after_ten + 8);
    guest_close(&guest);
}

static void second_switch_is_busy(uint32_t backend)
{
    struct guest guest;
    tg_event event = new_event();
    pthread_t thread;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, &event), -EBUSY);
    CHECK(tg_context_regs_mut(guest.context) == NULL);
    CHECK_RESULT(tg_context_start(guest.context, GUEST_CODE_AT, GUEST_STACK_TOP), -EBUSY);
    CHECK_RESULT(tg_context_set_return(guest.context, 0), -EBUSY);
    CHECK_RESULT(tg_context_restart_syscall(guest.context), -EBUSY);
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

struct runner {
    tg_platform *platform;
    tg_subprocess *subprocess;
    unsigned int rounds;
};

static void *run_own_context(void *argument)
{
    const struct runner *runner = argument;
    tg_context *context = create_started_context(runner->platform);
    tg_event event;
    unsigned int i;

    for (i = 1; i <= runner->rounds; i++) {
        run_context(context, runner->subprocess, &event);
        CHECK_CALL(&event, GUEST_CALL);
        CHECK_EQ(event.u.syscall.args[0], i);
    }
    tg_context_destroy(context);
    return NULL;
}

static void many_threads_one_subprocess(uint32_t backend)
{
    enum { THREADS = 16 };
    pthread_t threads[THREADS];
    struct runner runner;
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    runner = (struct runner){guest.platform, guest.subprocess, 100};
    for (i = 0; i < THREADS; i++)
        threads[i] = start_thread(run_own_context, &runner);
    for (i = 0; i < THREADS; i++)
        join_thread(threads[i]);
    CHECK_EQ(platform_stats(guest.platform).contexts, 1);
    guest_close(&guest);
}

static void *whole_life(void *argument)
{
    uint32_t backend = *(const uint32_t *)argument;
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
    return NULL;
}

static void platforms_in_threads(uint32_t backend)
{
    pthread_t threads[4];
    int i;

    for (i = 0; i < 4; i++)
        threads[i] = start_thread(whole_life, &backend);
    for (i = 0; i < 4; i++)
        join_thread(threads[i]);
}

static void *open_guest(void *argument)
{
    struct guest *guest = argument;
    uint32_t backend = guest->event.kind;

    guest_open(guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(guest);
    return NULL;
}

static void *close_guest(void *argument)
{
    guest_close(argument);
    return NULL;
}

/* The thread that opened, created and switched is gone; everything works from others. */
static void creator_ends(uint32_t backend)
{
    struct guest guest = {.event = {.kind = backend}};

    run_in_thread(open_guest, &guest);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 2);
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    guest_store(guest.subprocess, GUEST_HOLE_AT, 1);
    run_in_thread(run_to_next_call, &guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 3);
    run_in_thread(close_guest, &guest);
}

static void *create_and_destroy(void *argument)
{
    const struct runner *runner = argument;
    unsigned int i;

    for (i = 0; i < runner->rounds; i++) {
        tg_subprocess *subprocess = create_loaded_subprocess(runner->platform, GUEST_CODE(counting_calls));
        struct runner inner = {runner->platform, subprocess, 2};

        run_own_context(&inner);
        tg_subprocess_destroy(subprocess);
    }
    return NULL;
}

static void create_from_many_threads(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    struct runner runner = {platform, NULL, 20};
    pthread_t threads[4];
    int i;

    for (i = 0; i < 4; i++)
        threads[i] = start_thread(create_and_destroy, &runner);
    for (i = 0; i < 4; i++)
        join_thread(threads[i]);
    CHECK_EQ(platform_stats(platform).subprocesses, 0);
    CHECK_EQ(platform_stats(platform).contexts, 0);
    tg_platform_close(platform);
}

/* A guest that never calls does not keep the others of its subprocess, or of the platform, from running. */
static void spinner_blocks_nobody(uint32_t backend)
{
    enum { SPINNERS = 4 };
    const int turns = (int)scaled(100);
    struct guest spinners[SPINNERS];
    pthread_t threads[SPINNERS];
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    load_code(guest.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(spin_counting));
    for (i = 0; i < SPINNERS; i++) {
        spinners[i] = guest;
        spinners[i].context = create_context(guest.platform);
        CHECK_OK(tg_context_start(spinners[i].context, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
        arch_set_argument(spinners[i].context, 0, GUEST_DATA_AT + 8 * (uint64_t)i);
        threads[i] = start_thread(guest_run_thread, &spinners[i]);
    }
    for (i = 0; i < SPINNERS; i++)
        guest_wait_change(guest.subprocess, GUEST_DATA_AT + 8 * (uint64_t)i, 0);
    for (i = 1; i <= turns; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    for (i = 0; i < SPINNERS; i++) {
        CHECK_OK(tg_context_interrupt(spinners[i].context));
        join_thread(threads[i]);
        CHECK_KIND(&spinners[i].event, TG_EVENT_INTERRUPTED);
        tg_context_destroy(spinners[i].context);
    }
    guest_close(&guest);
}

/* Two guests that wait for each other's word can only end when both run at the same time or in turns. */
static void guests_talk_through_memory(uint32_t backend)
{
    struct guest waiting;
    struct guest writing;
    pthread_t thread;

    guest_open(&waiting, backend, GUEST_CODE(wait_for_word));
    load_code(waiting.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(write_calls));
    arch_set_argument(waiting.context, 0, GUEST_DATA_AT);
    writing = waiting;
    thread = start_thread(guest_run_thread, &waiting);
    writing.context = create_context(waiting.platform);
    CHECK_OK(tg_context_start(writing.context, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
    arch_set_argument(writing.context, 0, GUEST_DATA_AT);
    arch_set_argument(writing.context, 1, 1);
    GUEST_RUN_TO_CALL(&writing);
    join_thread(thread);
    CHECK_CALL(&waiting.event, GUEST_CALL);
    tg_context_destroy(writing.context);
    guest_close(&waiting);
}

const struct test_case thread_cases[] = {
    {"thread.context_migrates", "A context goes from thread to thread and loses nothing", context_changes_threads},
    {"thread.hand_back", "Stub threads of ended embedder threads are used again", ended_threads_hand_back},
    {"thread.busy", "A context that runs refuses a second switch and every change", second_switch_is_busy},
    {"thread.many_one_subprocess", "Sixteen threads switch contexts in one subprocess", many_threads_one_subprocess},
    {"thread.platforms", "Four threads open, use and close a platform each", platforms_in_threads},
    {"thread.creator_ends", "Everything works after the thread that made it has ended", creator_ends},
    {"thread.create_destroy", "Subprocesses come and go from several threads at once", create_from_many_threads},
    {"thread.spinner", "Guests that spin do not keep others from running", spinner_blocks_nobody},
    {"thread.shared_memory", "Two contexts of one subprocess talk through its memory while both run",
     guests_talk_through_memory},
    {0},
};
