/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that come with a system call: whoever carries them, they are the same. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arch.h"
#include "bytes_caller.h"
#include "cases.h"
#include "guests.h"

#define MANY 1000

static void brought(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 7, 8, 63, 64, 65, 512, 1999, 2000, 2001, 5000};
    const tg_bring pieces[] = {PIECE(TG_BRING_COUNTED, 1, 2, 2000), PIECE(TG_BRING_BYTES, 1, 0, 2096)};
    unsigned char bytes[4096];
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

    bytes_caller_open(&guest, backend, code);
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

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
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

const struct test_case brought_bytes_cases[] = {
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
    {0},
};
