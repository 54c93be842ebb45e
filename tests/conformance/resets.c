/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A subprocess that is empty again: tg_subprocess_reset(). */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answers.h"
#include "arch.h"
#include "bytes_caller.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "threads.h"

#define RESETS  20
#define CROWD   8
#define SOME_NS 1234567890123456789ull

static void load_again(const struct guest *guest, struct guest_code code)
{
    load_code(guest->subprocess, GUEST_CODE_AT, code);
    map_pages(guest->subprocess, GUEST_STACK_AT, GUEST_STACK_SIZE, PROT_RW);
    map_pages(guest->subprocess, GUEST_DATA_AT, GUEST_DATA_SIZE, PROT_RW);
}

static void check_unmapped(tg_subprocess *subprocess, uint64_t addr)
{
    unsigned char byte;
    size_t done = 99;

    CHECK_RESULT(tg_subprocess_read(subprocess, addr, &byte, 1, &done), -EFAULT);
    CHECK_EQ(done, 0);
}

static void empties(uint32_t backend)
{
    struct guest guest;
    int32_t pid;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    pid = tg_subprocess_pid(guest.subprocess);
    map_pages(guest.subprocess, platform_info(guest.platform).user_end - guest.page, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_reset(guest.subprocess));
    CHECK_EQ(tg_subprocess_pid(guest.subprocess), pid);
    check_unmapped(guest.subprocess, GUEST_CODE_AT);
    check_unmapped(guest.subprocess, GUEST_STACK_TOP - 1);
    check_unmapped(guest.subprocess, GUEST_DATA_AT);
    check_unmapped(guest.subprocess, platform_info(guest.platform).user_end - 1);
    guest_restart(&guest);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_CODE_AT, TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
    guest_close(&guest);
}

static void again_and_again(uint32_t backend)
{
    struct guest guest;
    tg_stats before;
    tg_stats after;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    for (uint64_t i = 1; i <= WARM_CALLS; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    before = platform_stats(guest.platform);
    for (unsigned int i = 0; i < RESETS; i++) {
        CHECK_OK(tg_subprocess_reset(guest.subprocess));
        load_again(&guest, GUEST_CODE(counting_calls));
        CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT), 0);
        guest_restart(&guest);
        for (uint64_t calls = 1; calls <= 2 * WARM_CALLS / RESETS + 1; calls++) {
            GUEST_RUN_TO_CALL(&guest);
            CHECK_EQ(guest.event.u.syscall.args[0], calls);
            CHECK(calls > 1 || !(guest.event.flags & TG_FLAG_PATCHED));
        }
        guest_store(guest.subprocess, GUEST_DATA_AT, i + 1);
    }
    after = platform_stats(guest.platform);
    CHECK_EQ(after.subprocesses, before.subprocesses);
    CHECK_EQ(after.stub_threads, before.stub_threads);
    CHECK_EQ(after.deaths, before.deaths);
    CHECK(after.stub_spins >= before.stub_spins);
    CHECK(after.stub_sleeps >= before.stub_sleeps);
    guest_close(&guest);
}

/* Code that was patched, at an address where other code comes, with many contexts and workers before. */
static void crowd(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    queue = create_queue(guest.platform);
    for (unsigned int i = 0; i < 3; i++) {
        drive_many(&guest, queue, CROWD, WARM_CALLS);
        CHECK_OK(tg_subprocess_reset(guest.subprocess));
        load_again(&guest, GUEST_CODE(echo_result));
        guest_restart(&guest);
        for (int64_t result = 0; result < 16; result++) {
            GUEST_RUN_TO_CALL(&guest);
            CHECK(result == 0 || guest.event.u.syscall.args[0] == (uint64_t)result - 1);
            CHECK_OK(tg_context_set_return(guest.context, result));
        }
        CHECK_OK(tg_subprocess_reset(guest.subprocess));
        load_again(&guest, GUEST_CODE(counting_calls));
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void forgets_answers(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 7));
    for (int i = 0; i < WARM_CALLS; i++) {
        guest_run(&guest);
        CHECK_OK(tg_context_set_return(guest.context, 7));
    }
    CHECK_OK(tg_subprocess_reset(guest.subprocess));
    load_again(&guest, GUEST_CODE(ask_and_tell));
    guest_restart(&guest);
    for (uint64_t i = 0; i < WARM_CALLS; i++) {
        guest_run(&guest);
        CHECK_CALL(&guest.event, ASKED_CALL);
        CHECK_OK(tg_context_set_return(guest.context, (int64_t)i));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    guest_close(&guest);
}

static void forgets_brings(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 64);
    unsigned char bytes[64];
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, &piece, 1);
    fill(bytes, sizeof(bytes), 1);
    store(&guest, AREA, bytes, sizeof(bytes));
    call_with(&guest, AREA, 0);
    check_brought(&guest, 0, 0, bytes, sizeof(bytes));
    CHECK_OK(tg_subprocess_reset(guest.subprocess));
    load_again(&guest, GUEST_CODE(counting_calls));
    map_pages(guest.subprocess, AREA, guest.page, PROT_RW);
    guest_restart(&guest);
    for (unsigned int i = 0; i < WARM_CALLS; i++) {
        call_with(&guest, AREA, 0);
        check_brought(&guest, 0, -EINVAL, NULL, 0);
    }
    guest_close(&guest);
}

static void forgets_clocks(uint32_t backend)
{
    const tg_clock clock = {.size = sizeof(clock), .clock = CLOCK_MONOTONIC, .kind = TG_CLOCK_TIME, .base_ns = SOME_NS};
    tg_clock now = {.size = sizeof(now)};
    struct guest guest;

    guest_open_flags(&guest, backend, TG_OPEN_VDSO_OWN, GUEST_CODE(call_loop));
    if (!platform_info(guest.platform).vdso)
        SKIP("there is no vDSO of the library's own for this processor");
    CHECK_OK(tg_subprocess_set_clocks(guest.subprocess, &clock, 1));
    CHECK_OK(tg_subprocess_clock(guest.subprocess, CLOCK_MONOTONIC, &now, NULL));
    CHECK_EQ(now.kind, TG_CLOCK_TIME);
    CHECK_OK(tg_subprocess_reset(guest.subprocess));
    CHECK_OK(tg_subprocess_clock(guest.subprocess, CLOCK_MONOTONIC, &now, NULL));
    CHECK_EQ(now.kind, TG_CLOCK_CALL);
    CHECK_EQ(now.base_ns, 0);
    load_again(&guest, GUEST_CODE(call_loop));
    guest_restart(&guest);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
}

/* Its registers and FP state are where they were, and it goes on from there when its code is there again. */
static void contexts_keep(uint32_t backend)
{
    uint64_t before[ARCH_MAX_WORDS];
    uint64_t after[ARCH_MAX_WORDS];
    unsigned int words;
    struct guest guest;
    uint32_t size;
    void *image;
    void *seen;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    size = platform_info(guest.platform).fpstate_size;
    image = calloc(1, size);
    seen = calloc(1, size);
    CHECK(image && seen);
    for (uint64_t i = 1; i <= WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_get_fpstate(guest.context, image, size));
    GUEST_RUN_TO_CALL(&guest);
    words = arch_register_words(guest.context, false, before);
    CHECK_OK(tg_subprocess_reset(guest.subprocess));
    CHECK_EQ(arch_register_words(guest.context, false, after), words);
    for (unsigned int i = 0; i < words; i++)
        CHECK_EQ(after[i], before[i]);
    CHECK_OK(tg_context_get_fpstate(guest.context, seen, size));
    CHECK(!memcmp(seen, image, size));
    load_again(&guest, GUEST_CODE(counting_calls));
    for (uint64_t i = 2; i < WARM_CALLS; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], WARM_CALLS + i);
    }
    free(image);
    free(seen);
    guest_close(&guest);
}

static void busy(uint32_t backend)
{
    tg_event event = new_event();
    struct guest guest;
    pthread_t thread;
    tg_queue *queue;
    size_t count;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_RESULT(tg_subprocess_reset(guest.subprocess), -EBUSY);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, guest_load(guest.subprocess, GUEST_DATA_AT));
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    queue = create_queue(guest.platform);
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_RESULT(tg_subprocess_reset(guest.subprocess), -EBUSY);
    CHECK_OK(tg_context_interrupt(guest.context));
    CHECK_OK(tg_queue_wait(queue, &event, 1, FOREVER, &count));
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    CHECK(guest_load(guest.subprocess, GUEST_DATA_AT) != 0);
    CHECK_OK(tg_subprocess_reset(guest.subprocess));
    check_unmapped(guest.subprocess, GUEST_DATA_AT);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void dead(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_run(&guest);
    CHECK_DEAD(&guest.event, TG_DEAD_KILLED, SIGKILL);
    CHECK_RESULT(tg_subprocess_reset(guest.subprocess), -ESRCH);
    CHECK_RESULT(tg_subprocess_reset(NULL), -EINVAL);
    guest_close(&guest);
}

/* The mother's program is replaced; what was forked from it before and after goes on. */
static void beside_forks(uint32_t backend)
{
    tg_subprocess *before = NULL;
    tg_subprocess *after = NULL;
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    guest_store(guest.subprocess, GUEST_DATA_AT, 5);
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &before));
    CHECK_OK(tg_subprocess_reset(guest.subprocess));
    CHECK_EQ(guest_load(before, GUEST_DATA_AT), 5);
    run_context(guest.context, before, &guest.event);
    CHECK_CALL(&guest.event, GUEST_CALL);
    CHECK_EQ(guest.event.u.syscall.args[0], WARM_CALLS + 1);
    load_again(&guest, GUEST_CODE(echo_result));
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &after));
    guest_restart(&guest);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_set_return(guest.context, 9));
    run_context(guest.context, after, &guest.event);
    CHECK_EQ(guest.event.u.syscall.args[0], 9);
    CHECK_OK(tg_subprocess_reset(before));
    CHECK_OK(tg_subprocess_reset(after));
    tg_subprocess_destroy(before);
    tg_subprocess_destroy(after);
    guest_close(&guest);
}

const struct test_case reset_cases[] = {
    {"reset.empties", "A reset subprocess has no memory left, and the same process", empties},
    {"reset.again", "It runs the next program, time and again, and costs no thread", again_and_again},
    {"reset.crowd", "Many contexts, and patched code, leave nothing that the next program meets", crowd},
    {"reset.answers", "Calls that were answered beforehand are events again", forgets_answers},
    {"reset.brings", "Calls bring nothing any more", forgets_brings},
    {"reset.clocks", "The clocks of the library's vDSO are as in a new one", forgets_clocks},
    {"reset.contexts", "Contexts that ran there keep registers and FP state, and go on", contexts_keep},
    {"reset.busy", "While a context runs or is queued there it is refused, and nothing changes", busy},
    {"reset.dead", "A dead subprocess cannot be reset", dead},
    {"reset.forks", "Copies made before and after are subprocesses of their own", beside_forks},
    {0},
};
