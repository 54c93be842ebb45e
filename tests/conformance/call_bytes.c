/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that come with a system call, and bytes that go with its answer: whoever carries them, they are the same. */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "queue_drive.h"
#include "threads.h"

#define AREA         GUEST_HOLE_AT
#define AREA_PAGES   4
#define WARM_CALLS   64 /* its site is patched by then, where it can be */
#define ROUNDS       200
#define DEATHS       20
#define MANY         1000
#define DECLARATIONS 20000
#define PIECE(kind_, arg_, length_arg_, max_)                                                                          \
    {                                                                                                                  \
        .size = sizeof(tg_bring), .kind = (kind_), .nr = GUEST_CALL, .arg = (arg_), .length_arg = (length_arg_),       \
        .max = (max_),                                                                                                 \
    }

/* A guest that makes calls, patched ones where they can be; its arguments but the first are the test's. */
static void caller_open(struct guest *guest, uint32_t backend, struct guest_code code)
{
    guest_open(guest, backend, code);
    map_pages(guest->subprocess, AREA, AREA_PAGES * guest->page, PROT_RW);
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
}

static void declare(const struct guest *guest, const tg_bring *pieces, size_t n)
{
    CHECK_OK(tg_subprocess_set_brings(guest->subprocess, pieces, n));
}

static void fill(unsigned char *bytes, size_t length, unsigned int seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251 + seed + 1);
}

static void store(const struct guest *guest, uint64_t addr, const void *bytes, size_t length)
{
    CHECK_OK(tg_subprocess_write(guest->subprocess, addr, bytes, length, NULL));
}

static void check_memory(tg_subprocess *subprocess, uint64_t addr, const void *expected, size_t length)
{
    unsigned char bytes[8192];

    CHECK_OK(tg_subprocess_read(subprocess, addr, bytes, length, NULL));
    CHECK_BYTES(bytes, expected, length);
}

static void call_with(struct guest *guest, uint64_t second, uint64_t third)
{
    arch_set_argument(guest->context, 1, second);
    arch_set_argument(guest->context, 2, third);
    GUEST_RUN_TO_CALL(guest);
}

static void check_brought(const struct guest *guest, uint32_t piece, int expected, const void *bytes, size_t length)
{
    const void *first = &length;
    const void *again = &length;
    size_t found = 99;

    CHECK_RESULT(tg_context_brought(guest->context, guest->subprocess, piece, &first, &found), expected);
    CHECK_EQ(found, expected ? 0 : length);
    CHECK(expected ? first == NULL : first != NULL);
    CHECK_RESULT(tg_context_brought(guest->context, guest->subprocess, piece, &again, &found), expected);
    CHECK(again == first);
    if (expected)
        return;
    CHECK_BYTES(first, bytes, length);
    CHECK_EQ(((const unsigned char *)first)[length], 0);
}

/* ---- brought ---- */

static void brought(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 7, 8, 63, 64, 65, 512, 1999, 2000, 2001, 5000};
    const tg_bring pieces[] = {PIECE(TG_BRING_COUNTED, 1, 2, 2000), PIECE(TG_BRING_BYTES, 1, 0, 2096)};
    unsigned char bytes[4096];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, pieces, ARRAY_SIZE(pieces));
    for (unsigned int i = 0; i < ARRAY_SIZE(lengths) * 2; i++) {
        const size_t length = lengths[i / 2];
        const uint64_t addr = AREA + (i % 2 ? 4090 : 3);

        check_context("%zu bytes at 0x%llx", length, (unsigned long long)addr);
        fill(bytes, sizeof(bytes), i);
        store(&guest, addr, bytes, sizeof(bytes));
        call_with(&guest, addr, length);
        CHECK_EQ(guest.event.u.syscall.args[0], WARM_CALLS + i + 1);
        if (i % 3)
            check_brought(&guest, 1, 0, bytes, 2096);
        check_brought(&guest, 0, 0, bytes, length < 2000 ? length : 2000);
        check_brought(&guest, 1, 0, bytes, 2096);
        check_brought(&guest, 2, -EINVAL, NULL, 0);
    }
    guest_close(&guest);
}

/* What was checked is what is used. */
static void brought_once(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 64);
    unsigned char bytes[64];
    unsigned char others[64];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, &piece, 1);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        fill(bytes, sizeof(bytes), i);
        fill(others, sizeof(others), i + 1);
        store(&guest, AREA, bytes, sizeof(bytes));
        call_with(&guest, AREA, 0);
        check_brought(&guest, 0, 0, bytes, sizeof(bytes));
        store(&guest, AREA, others, sizeof(others));
        check_brought(&guest, 0, 0, bytes, sizeof(bytes));
        CHECK_OK(tg_context_set_return(guest.context, 5));
        (void)tg_context_regs(guest.context);
        check_brought(&guest, 0, 0, bytes, sizeof(bytes));
    }
    guest_close(&guest);
}

static void brought_edges(uint32_t backend)
{
    const tg_bring pieces[] = {PIECE(TG_BRING_COUNTED, 1, 2, 512), PIECE(TG_BRING_STRING, 1, 0, 256)};
    unsigned char bytes[512];
    uint64_t end;
    uint64_t user_end;
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, pieces, ARRAY_SIZE(pieces));
    end = AREA + AREA_PAGES * guest.page;
    user_end = platform_info(guest.platform).user_end;
    fill(bytes, sizeof(bytes), 3);
    memset(bytes, 'x', 300);
    store(&guest, end - sizeof(bytes), bytes, sizeof(bytes));
    for (int i = 0; i < 3; i++) {
        call_with(&guest, end - 100, 512);
        check_brought(&guest, 0, 0, bytes + 412, 100);
        check_brought(&guest, 1, -EFAULT, NULL, 0);
        call_with(&guest, end - 512, UINT64_MAX);
        check_brought(&guest, 0, 0, bytes, 512);
        check_brought(&guest, 1, 0, bytes, 256);
        call_with(&guest, end, 1);
        check_brought(&guest, 0, -EFAULT, NULL, 0);
        call_with(&guest, end, 0);
        check_brought(&guest, 0, 0, bytes, 0);
        call_with(&guest, 0, 8);
        check_brought(&guest, 0, -EFAULT, NULL, 0);
        check_brought(&guest, 1, -EFAULT, NULL, 0);
        call_with(&guest, UINT64_MAX - 3, 512);
        check_brought(&guest, 0, -EFAULT, NULL, 0);
        check_brought(&guest, 1, -EFAULT, NULL, 0);
        /* The library's own memory there is nobody's to read. */
        call_with(&guest, user_end, 8);
        check_brought(&guest, 0, -EFAULT, NULL, 0);
        check_brought(&guest, 1, -EFAULT, NULL, 0);
        call_with(&guest, GUEST_HOLE_AT - guest.page, 8);
        check_brought(&guest, 0, -EFAULT, NULL, 0);
    }
    guest_close(&guest);
}

static void brought_strings(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 63, 64, 65, 255, 256, 257, 400};
    const tg_bring pieces[] = {PIECE(TG_BRING_STRING, 1, 0, 256), PIECE(TG_BRING_STRING, 2, 0, 1024)};
    char text[600];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, pieces, ARRAY_SIZE(pieces));
    for (unsigned int i = 0; i < ARRAY_SIZE(lengths) * 3; i++) {
        const size_t length = lengths[i / 3];
        const uint64_t addr = AREA + (i % 3 == 0 ? 0 : i % 3 == 1 ? 4001 : 4095);

        check_context("%zu characters at 0x%llx", length, (unsigned long long)addr);
        memset(text, 'a' + (int)(i % 26), sizeof(text));
        text[length] = 0;
        store(&guest, addr, text, sizeof(text));
        call_with(&guest, addr, addr);
        check_brought(&guest, 0, 0, text, length < 256 ? length : 256);
        check_brought(&guest, 1, 0, text, length);
    }
    guest_close(&guest);
}

/* Whatever its calls have become by patching. */
static void brought_code(uint32_t backend)
{
    const struct guest_code code = GUEST_CODE(counting_calls);
    const tg_bring piece = PIECE(TG_BRING_COUNTED, 1, 2, 256);
    struct guest guest;

    caller_open(&guest, backend, code);
    declare(&guest, &piece, 1);
    for (int i = 0; i < 10; i++) {
        call_with(&guest, GUEST_CODE_AT, (uint64_t)(code.end - code.start));
        check_brought(&guest, 0, 0, code.start, (size_t)(code.end - code.start));
    }
    guest_close(&guest);
}

static void declared(uint32_t backend)
{
    const tg_bring first = PIECE(TG_BRING_BYTES, 1, 0, 16);
    const tg_bring second = PIECE(TG_BRING_BYTES, 2, 0, 32);
    tg_bring other = PIECE(TG_BRING_BYTES, 1, 0, 16);
    tg_subprocess *fork;
    unsigned char bytes[32];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
    fill(bytes, sizeof(bytes), 9);
    store(&guest, AREA, bytes, sizeof(bytes));
    call_with(&guest, AREA, AREA);
    check_brought(&guest, 0, -EINVAL, NULL, 0);
    call_with(&guest, AREA, AREA);
    declare(&guest, &first, 1);
    check_brought(&guest, 0, 0, bytes, 16);
    /* What the first question found stays until the context runs again. */
    declare(&guest, &second, 1);
    check_brought(&guest, 0, 0, bytes, 16);
    call_with(&guest, AREA, AREA);
    check_brought(&guest, 0, 0, bytes, 32);
    call_with(&guest, AREA, AREA);
    declare(&guest, &first, 1);
    check_brought(&guest, 0, 0, bytes, 16);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &fork));
    declare(&guest, NULL, 0);
    call_with(&guest, AREA, AREA);
    check_brought(&guest, 0, -EINVAL, NULL, 0);
    other.nr = GUEST_CALL + 1;
    declare(&guest, &other, 1);
    call_with(&guest, AREA, AREA);
    check_brought(&guest, 0, -EINVAL, NULL, 0);
    tg_subprocess_destroy(guest.subprocess);
    guest.subprocess = fork;
    for (int i = 0; i < 3; i++) {
        call_with(&guest, AREA, AREA);
        check_brought(&guest, 0, 0, bytes, 16);
    }
    guest_close(&guest);
}

/* Of something else than a call's event nothing is known, nor of a call that is to be made again. */
static void brought_by_calls_only(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 16);
    unsigned char bytes[16];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, &piece, 1);
    fill(bytes, sizeof(bytes), 2);
    store(&guest, AREA, bytes, sizeof(bytes));
    call_with(&guest, AREA, 0);
    CHECK_OK(tg_context_restart_syscall(guest.context));
    check_brought(&guest, 0, -EINVAL, NULL, 0);
    CHECK_RESULT(tg_context_attach(guest.context, AREA, bytes, 8), -EINVAL);
    GUEST_RUN_TO_CALL(&guest);
    check_brought(&guest, 0, 0, bytes, sizeof(bytes));
    CHECK_OK(tg_context_interrupt(guest.context));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    check_brought(&guest, 0, -EINVAL, NULL, 0);
    CHECK_RESULT(tg_context_attach(guest.context, AREA, bytes, 8), -EINVAL);
    arch_set_ip(guest.context, AREA);
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_FAULT);
    check_brought(&guest, 0, -EINVAL, NULL, 0);
    CHECK_RESULT(tg_context_attach(guest.context, AREA, bytes, 8), -EINVAL);
    guest_close(&guest);
}

/* A guest with patched calls does bring them: it takes no question to a host. */
static void brought_by_worker(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 64);
    unsigned char bytes[64];
    struct guest guest;
    uint64_t before;

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
    declare(&guest, &piece, 1);
    fill(bytes, sizeof(bytes), 4);
    store(&guest, AREA, bytes, sizeof(bytes));
    before = platform_stats(guest.platform).worker_copies;
    for (int i = 0; i < MANY && platform_stats(guest.platform).worker_copies == before; i++) {
        call_with(&guest, AREA, 0);
        check_brought(&guest, 0, 0, bytes, sizeof(bytes));
    }
    CHECK(platform_stats(guest.platform).worker_copies > before || !(guest.event.flags & TG_FLAG_PATCHED));
    guest_close(&guest);
}

/* ---- attached ---- */

static void attach(const struct guest *guest, uint64_t addr, const void *bytes, size_t length)
{
    CHECK_OK(tg_context_attach(guest->context, addr, bytes, length));
}

/* The answer's result, and that it is what the guest has got. */
static void answer(struct guest *guest, int64_t result, int64_t seen)
{
    CHECK_OK(tg_context_set_return(guest->context, result));
    GUEST_RUN_TO_CALL(guest);
    CHECK_EQ((int64_t)guest->event.u.syscall.args[0], seen);
}

static void attached(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 8, 47, 48, 49, 64, 512, 4095, 4096};
    static const unsigned char zeros[4096];
    unsigned char bytes[4096];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(echo_result));
    for (unsigned int i = 0; i < ARRAY_SIZE(lengths) * 2; i++) {
        const size_t length = lengths[i / 2];
        const uint64_t addr = AREA + (i % 2 ? 4090 : 1);

        check_context("%zu bytes at 0x%llx", length, (unsigned long long)addr);
        store(&guest, addr, zeros, sizeof(zeros));
        fill(bytes, length, i);
        attach(&guest, addr, bytes, length);
        check_memory(guest.subprocess, addr, zeros, sizeof(zeros));
        /* They are the library's own. */
        answer(&guest, i, i);
        check_memory(guest.subprocess, addr, bytes, length);
        if (length < sizeof(zeros))
            check_memory(guest.subprocess, addr + length, zeros, sizeof(zeros) - length);
        store(&guest, addr, zeros, sizeof(zeros));
        answer(&guest, 7, 7);
        check_memory(guest.subprocess, addr, zeros, sizeof(zeros));
    }
    guest_close(&guest);
}

static void attached_pieces(uint32_t backend)
{
    unsigned char expected[512];
    unsigned char bytes[4096];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(echo_result));
    fill(bytes, sizeof(bytes), 1);
    for (unsigned int round = 0; round < 20; round++) {
        memset(expected, 0, sizeof(expected));
        store(&guest, AREA, expected, sizeof(expected));
        for (unsigned int i = 0; i < TG_ATTACH_PIECES; i++) {
            attach(&guest, AREA + 29 * i, bytes + i + round, 41);
            memcpy(expected + 29 * i, bytes + i + round, 41);
        }
        CHECK_RESULT(tg_context_attach(guest.context, AREA, bytes, 1), -EINVAL);
        answer(&guest, round, round);
        check_memory(guest.subprocess, AREA, expected, sizeof(expected));
    }
    attach(&guest, AREA, bytes, TG_ATTACH_MAX - 10);
    CHECK_RESULT(tg_context_attach(guest.context, AREA + 4096, bytes, 11), -EINVAL);
    attach(&guest, AREA + TG_ATTACH_MAX - 10, bytes, 10);
    CHECK_RESULT(tg_context_attach(guest.context, AREA, bytes, 1), -EINVAL);
    CHECK_RESULT(tg_context_attach(guest.context, AREA, bytes, SIZE_MAX), -EINVAL);
    answer(&guest, 3, 3);
    check_memory(guest.subprocess, AREA, bytes, TG_ATTACH_MAX - 10);
    check_memory(guest.subprocess, AREA + TG_ATTACH_MAX - 10, bytes, 10);
    guest_close(&guest);
}

static void attached_edges(uint32_t backend)
{
    unsigned char bytes[64];
    unsigned char old[64];
    uint64_t end;
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(echo_result));
    end = AREA + (AREA_PAGES - 1) * guest.page;
    memset(old, 0xee, sizeof(old));
    for (unsigned int i = 0; i < 3; i++) {
        store(&guest, AREA, old, sizeof(old));
        store(&guest, end - 20, old, 60);
        CHECK_OK(i == 0   ? tg_subprocess_protect(guest.subprocess, end, guest.page, TG_PROT_READ)
                 : i == 1 ? tg_subprocess_protect(guest.subprocess, end, guest.page, 0)
                          : tg_subprocess_unmap(guest.subprocess, end, guest.page));
        fill(bytes, sizeof(bytes), i);
        attach(&guest, end - 20, bytes, sizeof(bytes));
        attach(&guest, AREA, bytes, 8);
        answer(&guest, 5, -EFAULT);
        check_memory(guest.subprocess, end - 20, bytes, 20);
        check_memory(guest.subprocess, AREA, old, 8);
        attach(&guest, end, bytes, 1);
        answer(&guest, 5, -EFAULT);
        attach(&guest, 0, bytes, 1);
        answer(&guest, 5, -EFAULT);
        attach(&guest, UINT64_MAX - 5, bytes, 64);
        answer(&guest, 5, -EFAULT);
        attach(&guest, platform_info(guest.platform).user_end, bytes, 64);
        answer(&guest, 5, -EFAULT);
        attach(&guest, GUEST_CODE_AT, bytes, 8);
        answer(&guest, 5, -EFAULT);
        /* No trace of it is left. */
        attach(&guest, AREA, bytes, 8);
        answer(&guest, 6, 6);
        check_memory(guest.subprocess, AREA, bytes, 8);
        map_pages(guest.subprocess, end, guest.page, PROT_RW);
    }
    guest_close(&guest);
}

/* Whatever else the embedder does between the attaching and the start, or in its place. */
static void attached_ways(uint32_t backend)
{
    static const unsigned char zeros[64];
    unsigned char bytes[64];
    uint8_t fp[16384];
    tg_subprocess *fork;
    tg_context *other;
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(echo_result));
    CHECK(platform_info(guest.platform).fpstate_size <= sizeof(fp));
    fill(bytes, sizeof(bytes), 5);
    check_context("dropped");
    attach(&guest, AREA, bytes, sizeof(bytes));
    CHECK_OK(tg_context_restart_syscall(guest.context));
    GUEST_RUN_TO_CALL(&guest);
    check_memory(guest.subprocess, AREA, zeros, sizeof(zeros));
    attach(&guest, AREA, bytes, sizeof(bytes));
    other = create_context(guest.platform);
    CHECK_OK(tg_context_copy(other, guest.context));
    attach(&guest, AREA + 100, bytes, sizeof(bytes));
    CHECK_OK(tg_context_copy(guest.context, other));
    answer(&guest, 1, 1);
    check_memory(guest.subprocess, AREA, zeros, sizeof(zeros));
    check_memory(guest.subprocess, AREA + 100, zeros, sizeof(zeros));
    attach(&guest, AREA, bytes, sizeof(bytes));
    guest_restart(&guest);
    GUEST_RUN_TO_CALL(&guest);
    check_memory(guest.subprocess, AREA, zeros, sizeof(zeros));
    check_context("registers and FP state");
    attach(&guest, AREA, bytes, sizeof(bytes));
    CHECK_OK(tg_context_get_fpstate(guest.context, fp, sizeof(fp)));
    CHECK_OK(tg_context_set_fpstate(guest.context, fp, platform_info(guest.platform).fpstate_size));
    arch_set_argument(guest.context, 4, 77);
    answer(&guest, 2, 2);
    CHECK_EQ(guest.event.u.syscall.args[4], 77);
    check_memory(guest.subprocess, AREA, bytes, sizeof(bytes));
    check_context("elsewhere in the code");
    attach(&guest, AREA + 64, bytes, sizeof(bytes));
    arch_set_ip(guest.context, GUEST_CODE_AT);
    GUEST_RUN_TO_CALL(&guest);
    check_memory(guest.subprocess, AREA + 64, bytes, sizeof(bytes));
    check_context("in another subprocess");
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &fork));
    attach(&guest, AREA + 128, bytes, sizeof(bytes));
    CHECK_OK(tg_context_set_return(guest.context, 3));
    run_context(guest.context, fork, &guest.event);
    CHECK_CALL(&guest.event, GUEST_CALL);
    CHECK_EQ(guest.event.u.syscall.args[0], 3);
    check_memory(guest.subprocess, AREA + 128, zeros, sizeof(zeros));
    check_memory(fork, AREA + 128, bytes, sizeof(bytes));
    tg_context_destroy(other);
    tg_subprocess_destroy(fork);
    guest_close(&guest);
}

/* A start that an interrupt answers is one too: what follows must find guest memory as the call has left it. */
static void attached_interrupted(uint32_t backend)
{
    unsigned char bytes[64];
    struct guest guest;

    caller_open(&guest, backend, GUEST_CODE(echo_result));
    for (unsigned int i = 0; i < 20; i++) {
        fill(bytes, sizeof(bytes), i);
        attach(&guest, i % 2 ? AREA : 0, bytes, sizeof(bytes));
        CHECK_OK(tg_context_set_return(guest.context, i));
        CHECK_OK(tg_context_interrupt(guest.context));
        guest_run(&guest);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
        if (i % 2)
            check_memory(guest.subprocess, AREA, bytes, sizeof(bytes));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ((int64_t)guest.event.u.syscall.args[0], i % 2 ? (int64_t)i : -EFAULT);
    }
    guest_close(&guest);
}

/* Like guest_open(), with workers that look for an answer for longer. */
static void patient_open(struct guest *guest, uint32_t backend, struct guest_code code)
{
    const tg_platform_options options = {.size = sizeof(options), .backend = backend, .spin_ns = 100000};

    CHECK_OK(tg_platform_open(&options, &guest->platform));
    guest->page = platform_info(guest->platform).page_size;
    guest->subprocess = create_loaded_subprocess(guest->platform, code);
    guest->context = create_started_context(guest->platform);
    guest->event = new_event();
}

/*
 * Pages that nobody has touched take so long that whoever waits sleeps by the time that the last piece is refused, and
 * must be woken. Where nobody does that each round takes a second, and all together more than a case may.
 */
static void refused_late(uint32_t backend)
{
    enum { LATE = 2000, ENOUGH = 100, FRESH = TG_ATTACH_PIECES - 1 };
    unsigned char bytes[500];
    struct guest guest;

    patient_open(&guest, backend, GUEST_CODE(echo_result));
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(&guest);
    fill(bytes, sizeof(bytes), 9);
    for (unsigned int i = 0; i < LATE && platform_stats(guest.platform).worker_copies < ENOUGH; i++) {
        check_context("round %u", i);
        map_pages(guest.subprocess, AREA, FRESH * guest.page, PROT_RW);
        GUEST_RUN_TO_CALL(&guest);
        for (uint64_t page = 0; page < FRESH; page++)
            attach(&guest, AREA + page * guest.page, bytes, sizeof(bytes));
        attach(&guest, 0, bytes, 1);
        answer(&guest, 5, -EFAULT);
    }
    guest_close(&guest);
}

#define UNUSED_USER 64125

struct attempt {
    struct guest *guest;
    int result;
};

static void *switch_here(void *argument)
{
    struct attempt *attempt = argument;

    attempt->result = tg_context_switch(attempt->guest->context, attempt->guest->subprocess, &attempt->guest->event);
    return NULL;
}

/* On ptrace a thread that has not run anything there yet needs another stub thread, and the host refuses that. */
static void switch_refused(uint32_t backend)
{
    static const unsigned char zeros[64];
    const struct rlimit no_more = {.rlim_cur = 1, .rlim_max = 1};
    unsigned char bytes[64];
    struct attempt attempt;
    struct guest guest;

    if (geteuid() != 0)
        SKIP("only root can become a user who has no other process");
    CHECK_SYSTEM(setgroups(0, NULL));
    CHECK_SYSTEM(setresgid(UNUSED_USER, UNUSED_USER, UNUSED_USER));
    CHECK_SYSTEM(setresuid(UNUSED_USER, UNUSED_USER, UNUSED_USER));
    CHECK_SYSTEM(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    caller_open(&guest, backend, GUEST_CODE(echo_result));
    fill(bytes, sizeof(bytes), 3);
    attach(&guest, AREA, bytes, sizeof(bytes));
    CHECK_OK(tg_context_set_return(guest.context, 5));
    attempt.guest = &guest;
    CHECK_SYSTEM(prlimit(tg_subprocess_pid(guest.subprocess), RLIMIT_NPROC, &no_more, NULL));
    run_in_thread(switch_here, &attempt);
    if (attempt.result) {
        CHECK_RESULT(attempt.result, -EAGAIN);
        check_memory(guest.subprocess, AREA, zeros, sizeof(zeros));
        GUEST_RUN_TO_CALL(&guest);
    }
    CHECK_EQ(guest.event.u.syscall.args[0], 5);
    check_memory(guest.subprocess, AREA, bytes, sizeof(bytes));
    guest_close(&guest);
}

static void by_queue(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 64);
    unsigned char bytes[64];
    struct guest guest;
    tg_queue *queue;

    caller_open(&guest, backend, GUEST_CODE(echo_result));
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

    caller_open(&guest, backend, GUEST_CODE(echo_result));
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

    caller_open(&guest, backend, GUEST_CODE(echo_result));
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

#define INTERRUPTS_A_ROUND 4

/* As in context_copies.c: a round has but a few interrupts, which the thread that switches allows. */
struct interrupter {
    tg_context *context;
    _Atomic int allowed;
    _Atomic bool over;
};

static void *interrupt_as_allowed(void *argument)
{
    struct interrupter *interrupter = argument;

    while (!atomic_load(&interrupter->over)) {
        if (atomic_fetch_sub(&interrupter->allowed, 1) > 0)
            CHECK_OK(tg_context_interrupt(interrupter->context));
        sched_yield();
    }
    return NULL;
}

static void beside_interrupts(uint32_t backend)
{
    const tg_bring piece = PIECE(TG_BRING_BYTES, 1, 0, 512);
    unsigned char bytes[512];
    struct guest guest;
    struct interrupter interrupter = {0};
    pthread_t thread;

    caller_open(&guest, backend, GUEST_CODE(echo_result));
    declare(&guest, &piece, 1);
    call_with(&guest, AREA, 0);
    interrupter.context = guest.context;
    thread = start_thread(interrupt_as_allowed, &interrupter);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        check_context("round %u", i);
        fill(bytes, sizeof(bytes), i);
        attach(&guest, AREA, bytes, sizeof(bytes));
        CHECK_OK(tg_context_set_return(guest.context, i));
        atomic_store(&interrupter.allowed, INTERRUPTS_A_ROUND);
        do
            guest_run(&guest);
        while (guest.event.kind == TG_EVENT_INTERRUPTED);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
        check_brought(&guest, 0, 0, bytes, sizeof(bytes));
    }
    atomic_store(&interrupter.over, true);
    join_thread(thread);
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

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

    caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

const struct test_case call_bytes_cases[] = {
    {"call_bytes.brought", "Bytes come with a call: so many, or as many as an argument says", brought},
    {"call_bytes.brought_once", "They are the same as often as they are asked for, whatever guest memory becomes",
     brought_once},
    {"call_bytes.brought_edges", "They end where memory does; where there are none it is -EFAULT", brought_edges},
    {"call_bytes.brought_strings", "Strings end at their 0 byte, or at their maximum", brought_strings},
    {"call_bytes.brought_code", "Code comes as it was written, whatever is patched in it", brought_code},
    {"call_bytes.declared", "What is declared holds from the next question on, and forks have it", declared},
    {"call_bytes.calls_only", "Only a call that waits for its answer has brought something, or takes something",
     brought_by_calls_only},
    {"call_bytes.by_worker", "Patched calls do bring it", brought_by_worker},
    {"call_bytes.attached", "Bytes go with an answer: there when the guest goes on, and not before", attached},
    {"call_bytes.attached_pieces", "Several pieces are written in their order; too many are refused", attached_pieces},
    {"call_bytes.attached_edges", "What cannot be written makes the result -EFAULT, and what is in front is written",
     attached_edges},
    {"call_bytes.attached_ways", "Whichever way the context goes on, they are there; what ends the call drops them",
     attached_ways},
    {"call_bytes.attached_interrupted", "They are there too when the start is answered by an interrupt",
     attached_interrupted},
    {"call_bytes.refused_late", "Who sleeps meanwhile is woken when they cannot be written", refused_late},
    {"call_bytes.switch_refused", "A switch that fails leaves them for the next one, unwritten", switch_refused},
    {"call_bytes.by_queue", "With a queue it is the same", by_queue},
    {"call_bytes.among_many", "Many contexts each get their own, and leave their own", among_many},
    {"call_bytes.running", "A context that runs is refused with -EBUSY", refused_while_running},
    {"call_bytes.dead", "A dead subprocess takes nothing, and its context goes on elsewhere", dead_ones},
    {"call_bytes.beside_interrupts", "Interrupts change nothing of either", beside_interrupts},
    {"call_bytes.beside_death", "Nor does a death beside them, but for what it makes -ESRCH", beside_death},
    {"call_bytes.beside_declarations", "All that a call has brought is of one declaration", beside_declarations},
    {0},
};
