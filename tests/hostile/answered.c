/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls that the stub answers: while the answers change and the subprocess is copied, and by a worker that lies. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "answers.h"
#include "arch.h"
#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "hostile.h"
#include "region.h"
#include "scale.h"
#include "threads.h"

GUEST_DECLARE(keep_writing);

#define OTHER_CODE_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define ASKERS        2
#define CHANGES       2000
#define COPY_EVERY    32
#define WORDS         2

/* Both halves are the same, so that an asker sees a torn one. */
static uint64_t pair(uint64_t number)
{
    return (number & 0xffffffff) << 32 | (number & 0xffffffff);
}

/* A context that asks, in a thread that runs it until it is interrupted or dead. */
struct asker {
    tg_subprocess *subprocess;
    tg_context *context;
    pthread_t thread;
    tg_event event;
};

static void *ask(void *argument)
{
    struct asker *asker = argument;
    for (;;) {
        run_context(asker->context, asker->subprocess, &asker->event);
        if (asker->event.kind != TG_EVENT_SYSCALL)
            return NULL;
        CHECK_EQ(asker->event.u.syscall.nr, ASKED_CALL);
        CHECK_OK(tg_context_set_return(asker->context, (int64_t)pair(1)));
    }
}

static void start_asking(struct asker *asker, const struct guest *guest)
{
    *asker = (struct asker){.subprocess = guest->subprocess, .context = create_started_context(guest->platform)};
    for (uint32_t index = 0; index < WORDS; index++)
        CHECK_OK(tg_context_set_word(asker->context, index, pair(2)));
    asker->thread = start_thread(ask, asker);
}

static void stop_asking(struct asker *asker, struct bounded *bounded)
{
    CHECK_OK(BOUNDED(bounded, tg_context_interrupt(asker->context)));
    bounded_begin(bounded, "the end of an asker");
    join_thread(asker->thread);
    bounded_end(bounded);
    CHECK_KIND(&asker->event, TG_EVENT_INTERRUPTED);
    tg_context_destroy(asker->context);
}

/* ---- changes ---- */

/* A copy answers with what there was at some moment of the call that made it. */
static void check_copy(const struct guest *guest, struct bounded *bounded)
{
    tg_context *context = create_context(guest->platform);
    tg_subprocess *copy = NULL;
    tg_event event;
    uint64_t told;
    CHECK_OK(BOUNDED(bounded, tg_subprocess_fork(guest->subprocess, &copy)));
    CHECK_OK(tg_context_start(context, OTHER_CODE_AT, GUEST_STACK_TOP));
    CHECK_OK(tg_context_set_word(context, 0, pair(3)));
    BOUNDED_VOID(bounded, run_context(context, copy, &event));
    if (event.u.syscall.nr == ASKED_CALL) {
        CHECK_OK(tg_context_set_return(context, (int64_t)pair(1)));
        BOUNDED_VOID(bounded, run_context(context, copy, &event));
    }
    CHECK_CALL(&event, GUEST_CALL);
    told = event.u.syscall.args[0];
    CHECK_EQ(told, pair(told));
    BOUNDED_VOID(bounded, tg_subprocess_destroy(copy));
    tg_context_destroy(context);
}

static void change(const struct guest *guest, const struct asker askers[ASKERS], uint64_t i)
{
    const uint32_t kind = (uint32_t)(i % 3);
    const uint64_t value = kind == TG_ANSWER_CONTEXT_WORD ? i / 3 % WORDS : pair(i);
    CHECK_OK(tg_subprocess_answer(guest->subprocess, ASKED_CALL, kind, value));
    CHECK_OK(tg_context_set_word(askers[i % ASKERS].context, (uint32_t)(i % WORDS), pair(i)));
}

/* Their code is that of ask_checked: an answer of two halves that differ is an exception, not an interrupt. */
void hostile_answers_change(uint32_t backend)
{
    const struct footprint before = footprint_take();
    const uint64_t changes = scaled(CHANGES);
    struct bounded *bounded = bounded_new("the changing thread");
    struct asker askers[ASKERS];
    struct guest guest;
    guest_open(&guest, backend, GUEST_CODE(ask_checked));
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(ask_and_tell));
    for (int i = 0; i < ASKERS; i++)
        start_asking(&askers[i], &guest);
    for (uint64_t i = 0; i < changes; i++) {
        bounded_note("change %llu", (unsigned long long)i);
        change(&guest, askers, i);
        if (i % COPY_EVERY == 0)
            check_copy(&guest, bounded);
    }
    for (int i = 0; i < ASKERS; i++)
        stop_asking(&askers[i], bounded);
    guest_close(&guest);
    footprint_check(&before);
}

/* ---- lies ---- */

static void *write_for_ever(void *argument)
{
    struct asker *writer = argument;
    run_context(writer->context, writer->subprocess, &writer->event);
    return NULL;
}

/* It says of all workers that they have answered more calls than there can be, and stays alone with it. */
void hostile_answers_forged(uint32_t backend)
{
    const int64_t opened = clock_ns();
    struct bounded *bounded = bounded_new("the thread");
    struct asker writer;
    struct guest guest;
    need_shared_memory(backend);
    guest_open(&guest, backend, GUEST_CODE(keep_writing));
    const struct region region = region_of(guest.platform, guest.subprocess);
    const uint64_t count = region_worker(&region, 0) + offsetof(struct systrap_worker, answered);
    writer = (struct asker){.subprocess = guest.subprocess, .context = guest.context};
    arch_set_argument(writer.context, 0, count);
    arch_set_argument(writer.context, 1, UINT32_MAX);
    arch_set_argument(writer.context, 2, count + sizeof(uint32_t));
    arch_set_argument(writer.context, 4, UINT32_MAX);
    writer.thread = start_thread(write_for_ever, &writer);
    while (!platform_stats(guest.platform).answered_calls)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    for (int i = 0; i < 100; i++) {
        const uint64_t answered = platform_stats(guest.platform).answered_calls;
        CHECK(answered <= (uint64_t)(clock_ns() - opened) * SYSTRAP_WORKERS_MAX);
    }
    CHECK_OK(tg_context_interrupt(writer.context));
    bounded_begin(bounded, "the end of the writer");
    join_thread(writer.thread);
    bounded_end(bounded);
    BOUNDED_VOID(bounded, tg_subprocess_destroy(guest.subprocess));
    CHECK(platform_stats(guest.platform).answered_calls <= (uint64_t)(clock_ns() - opened) * SYSTRAP_WORKERS_MAX);
    tg_context_destroy(guest.context);
    tg_platform_close(guest.platform);
}
