/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that come with calls and go with answers, of contexts on queues and beside what else goes on. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "allowed_interrupts.h"
#include "arch.h"
#include "bytes_caller.h"
#include "cases.h"
#include "guests.h"
#include "queue_drive.h"
#include "threads.h"

#define DEATHS       20
#define DECLARATIONS 20000

static void by_queue(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 64);
    unsigned char bytes[64];
    struct guest guest;
    tg_queue *queue;

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
    queue = create_queue(guest.platform);
    declare(&guest, &piece, 1);
    arch_set_argument(guest.context, 1, AREA);
    GUEST_RUN_TO_CALL(&guest);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        const bool bad = i % 7 == 3;

        check_context("round %u", i);
        fill(bytes, sizeof(bytes), i);
        attach(&guest, AREA, bytes, sizeof(bytes));
        if (bad)
            attach(&guest, AREA - 4, bytes, 8);
        CHECK_OK(tg_context_set_return(guest.context, i));
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        guest.event = wait_one(queue);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ((int64_t)guest.event.u.syscall.args[0], bad ? -EFAULT : (int64_t)i);
        check_memory(guest.subprocess, AREA, bytes, sizeof(bytes));
        check_brought(&guest, 0, 0, bytes, sizeof(bytes));
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

/* More contexts than workers: what a worker has brought for one the next takes the place of. */
static void among_many(uint32_t backend)
{
    enum { CONTEXTS = 20, TURNS = 50 };
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 8);
    tg_context *contexts[CONTEXTS];
    uint64_t marks[CONTEXTS] = {0};
    struct guest guest;
    tg_queue *queue;

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
    queue = create_queue(guest.platform);
    declare(&guest, &piece, 1);
    for (uint64_t i = 0; i < CONTEXTS; i++) {
        contexts[i] = create_counter(guest.platform, i);
        arch_set_argument(contexts[i], 1, AREA + 8 * i);
        CHECK_OK(tg_queue_submit(queue, contexts[i], guest.subprocess));
    }
    for (uint64_t turn = 0; turn < CONTEXTS * TURNS; turn++) {
        const tg_event event = wait_one(queue);
        const uint64_t mark = event.user_data << 32 | turn;
        const void *bytes;
        size_t length;
        uint64_t last;

        CHECK_CALL(&event, GUEST_CALL);
        CHECK_OK(tg_context_brought(event.context, guest.subprocess, 0, &bytes, &length));
        CHECK_EQ(length, sizeof(last));
        memcpy(&last, bytes, sizeof(last));
        CHECK_EQ(last, marks[event.user_data]);
        CHECK_EQ(last, guest_load(guest.subprocess, AREA + 8 * event.user_data));
        marks[event.user_data] = mark;
        CHECK_OK(tg_context_attach(event.context, AREA + 8 * event.user_data, &mark, sizeof(mark)));
        CHECK_OK(tg_queue_submit(queue, event.context, guest.subprocess));
    }
    tg_queue_destroy(queue);
    for (uint64_t i = 0; i < CONTEXTS; i++)
        tg_context_destroy(contexts[i]);
    guest_close(&guest);
}

static void refused_while_running(uint32_t backend)
{
    struct guest guest;
    const void *bytes = &guest;
    pthread_t thread;
    size_t length = 99;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_RESULT(tg_context_brought(guest.context, guest.subprocess, 0, &bytes, &length), -EBUSY);
    CHECK(bytes == NULL && length == 0);
    CHECK_RESULT(tg_context_attach(guest.context, GUEST_DATA_AT, &length, 8), -EBUSY);
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

static void dead_ones(uint32_t backend)
{
    static const unsigned char zeros[8];
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 8);
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
    declare(&guest, &piece, 1);
    call_with(&guest, AREA, 0);
    attach(&guest, AREA, "bytes", 5);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    check_brought(&guest, 0, -EINVAL, NULL, 0);
    declare(&guest, &piece, 1);
    tg_subprocess_destroy(guest.subprocess);
    guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(echo_result));
    map_pages(guest.subprocess, AREA, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    check_memory(guest.subprocess, AREA, zeros, sizeof(zeros));
    guest_close(&guest);
}

/* ---- beside others ---- */

static void beside_interrupts(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 512);
    unsigned char bytes[512];
    struct guest guest;
    struct interrupter interrupter;

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
    declare(&guest, &piece, 1);
    call_with(&guest, AREA, 0);
    interrupter_start(&interrupter, guest.context);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        check_context("round %u", i);
        fill(bytes, sizeof(bytes), i);
        attach(&guest, AREA, bytes, sizeof(bytes));
        CHECK_OK(tg_context_set_return(guest.context, i));
        interrupter_allow(&interrupter);
        do
            guest_run(&guest);
        while (guest.event.kind == TG_EVENT_INTERRUPTED);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
        check_brought(&guest, 0, 0, bytes, sizeof(bytes));
    }
    interrupter_end(&interrupter);
    guest_close(&guest);
}

static void *kill_it(void *subprocess)
{
    const pid_t pid = tg_subprocess_pid(subprocess);

    if (pid > 0)
        kill(pid, SIGKILL);
    return NULL;
}

/* The context goes on elsewhere, with what it had. */
static void beside_death(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 4096);
    unsigned char bytes[4096];
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    fill(bytes, sizeof(bytes), 8);
    for (unsigned int i = 0; i < DEATHS; i++) {
        const void *brought_bytes;
        pthread_t thread;
        size_t length;

        check_context("death %u", i);
        declare(&guest, &piece, 1);
        call_with(&guest, AREA, 0);
        thread = start_thread(kill_it, guest.subprocess);
        do {
            const int err = tg_context_brought(guest.context, guest.subprocess, 0, &brought_bytes, &length);

            CHECK(err == 0 || err == -ESRCH);
            CHECK_OK(tg_context_attach(guest.context, AREA, bytes, sizeof(bytes)));
            guest_run(&guest);
        } while (guest.event.kind == TG_EVENT_SYSCALL);
        CHECK_KIND(&guest.event, TG_EVENT_DEAD);
        join_thread(thread);
        tg_subprocess_destroy(guest.subprocess);
        guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
        map_pages(guest.subprocess, AREA, AREA_PAGES * guest.page, PROT_RW);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

struct declarer {
    tg_subprocess *subprocess;
    _Atomic bool over;
};

/* One piece, or two of which the second one lies where the first one alone does. */
static void *declare_in_turn(void *argument)
{
    const tg_bring whole = PIECE(TG_BRING_BYTES, 1, 0, TG_BRING_MAX);
    const tg_bring parts[] = {PIECE(TG_BRING_COUNTED, 1, 2, 64), PIECE(TG_BRING_COUNTED, 1, 2, TG_BRING_MAX - 64)};
    struct declarer *declarer = argument;

    for (int i = 0; i < DECLARATIONS; i++) {
        CHECK_OK(tg_subprocess_set_brings(declarer->subprocess, parts, ARRAY_SIZE(parts)));
        CHECK_OK(tg_subprocess_set_brings(declarer->subprocess, &whole, 1));
    }
    atomic_store(&declarer->over, true);
    return NULL;
}

/* Each copy of the context asks anew. Of no bytes no memory is looked at, so that only the one piece is -EFAULT. */
static void beside_declarations(uint32_t backend)
{
    struct declarer declarer = {0};
    tg_context *copy;
    struct guest guest;
    pthread_t thread;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, NULL, 0);
    call_with(&guest, 0, 0);
    copy = create_context(guest.platform);
    declarer.subprocess = guest.subprocess;
    thread = start_thread(declare_in_turn, &declarer);
    while (!atomic_load(&declarer.over)) {
        const void *bytes;
        size_t length;
        int first;

        CHECK_OK(tg_context_copy(copy, guest.context));
        first = tg_context_brought(copy, guest.subprocess, 0, &bytes, &length);
        CHECK(first == 0 || first == -EFAULT || first == -EINVAL);
        CHECK_RESULT(tg_context_brought(copy, guest.subprocess, 1, &bytes, &length), first ? -EINVAL : 0);
    }
    join_thread(thread);
    tg_context_destroy(copy);
    guest_close(&guest);
}

const struct test_case bytes_beside_others_cases[] = {
    {"call_bytes.by_queue", "With a queue it is the same", by_queue},
    {"call_bytes.among_many", "Many contexts each get their own, and leave their own", among_many},
    {"call_bytes.running", "A context that runs is refused with -EBUSY", refused_while_running},
    {"call_bytes.dead", "A dead subprocess takes nothing, and its context goes on elsewhere", dead_ones},
    {"call_bytes.beside_interrupts", "Interrupts change nothing of either", beside_interrupts},
    {"call_bytes.beside_death", "Nor does a death beside them, but for what it makes -ESRCH", beside_death},
    {"call_bytes.beside_declarations", "All that a call has brought is of one declaration", beside_declarations},
    {0},
};
