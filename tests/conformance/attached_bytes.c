/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that go with a call's answer: whoever carries them, they are the same. */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arch.h"
#include "bytes_caller.h"
#include "cases.h"
#include "guests.h"
#include "threads.h"

static void attached(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 8, 47, 48, 49, 64, 512, 4095, 4096};
    static const unsigned char zeros[4096];
    unsigned char bytes[4096];
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
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
    bytes_caller_open(&guest, backend, GUEST_CODE(echo_result));
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

const struct test_case attached_bytes_cases[] = {
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
    {0},
};
