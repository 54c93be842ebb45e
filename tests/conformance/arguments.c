/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bad arguments get their documented error and change nothing; struct sizes follow their rule. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"

/* A struct of a newer header: ours, and a tail that this library does not know. */
struct newer_event {
    tg_event event;
    uint64_t tail;
};

struct newer_info {
    tg_info info;
    uint64_t tail;
};

struct newer_op {
    tg_mem_op op;
    uint64_t tail;
};

struct newer_options {
    tg_platform_options options;
    uint64_t tail;
};

static void versions_and_texts(uint32_t backend)
{
    (void)backend;
    CHECK_EQ(tg_abi_version(), TG_ABI_VERSION);
    CHECK(strlen(tg_version_string()) >= 5);
    CHECK(strcmp(tg_strerror(-EINVAL), tg_strerror(EINVAL)) == 0);
    CHECK(tg_strerror(0)[0] != '\0');
    CHECK(tg_strerror(-987654)[0] != '\0');
    CHECK(tg_strerror(INT32_MIN)[0] != '\0');
    CHECK(strcmp(tg_strerror(-ESRCH), tg_strerror(-EFAULT)) != 0);
}

static void null_handles(uint32_t backend)
{
    tg_platform *platform = (tg_platform *)&backend;
    tg_event event = new_event();
    tg_info info = {.size = sizeof(info)};
    tg_stats stats = {.size = sizeof(stats)};
    tg_subprocess *subprocess;
    tg_context *context;
    tg_queue *queue;
    uint64_t word;
    size_t count;

    CHECK_RESULT(tg_platform_open(NULL, NULL), -EINVAL);
    CHECK_RESULT(tg_platform_probe(backend, NULL), -EINVAL);
    CHECK_RESULT(tg_platform_info(NULL, &info), -EINVAL);
    CHECK_RESULT(tg_platform_stats(NULL, &stats), -EINVAL);
    CHECK_RESULT(tg_platform_add_seccomp_rules(NULL, &word), -EINVAL);
    CHECK_RESULT(tg_subprocess_create(NULL, &subprocess), -EINVAL);
    CHECK_RESULT(tg_subprocess_fork(NULL, &subprocess), -EINVAL);
    CHECK_RESULT(tg_subprocess_map(NULL, GUEST_HOLE_AT, 4096, PROT_RW, 0, -1, 0), -EINVAL);
    CHECK_RESULT(tg_subprocess_unmap(NULL, GUEST_HOLE_AT, 4096), -EINVAL);
    CHECK_RESULT(tg_subprocess_protect(NULL, GUEST_HOLE_AT, 4096, PROT_RW), -EINVAL);
    CHECK_RESULT(tg_subprocess_read(NULL, GUEST_HOLE_AT, &word, 8, &count), -EINVAL);
    CHECK_RESULT(tg_subprocess_write(NULL, GUEST_HOLE_AT, &word, 8, &count), -EINVAL);
    CHECK_EQ(tg_subprocess_pid(NULL), 0);
    CHECK_RESULT(tg_context_create(NULL, &context), -EINVAL);
    CHECK_RESULT(tg_context_start(NULL, 0, 0), -EINVAL);
    CHECK_RESULT(tg_context_set_flags(NULL, 0), -EINVAL);
    CHECK_RESULT(tg_context_set_user_data(NULL, 0), -EINVAL);
    CHECK_EQ(tg_context_user_data(NULL), 0);
    CHECK(tg_context_regs(NULL) == NULL);
    CHECK(tg_context_regs_mut(NULL) == NULL);
    CHECK_RESULT(tg_context_get_fpstate(NULL, &word, 8), -EINVAL);
    CHECK_RESULT(tg_context_set_fpstate(NULL, &word, 8), -EINVAL);
    CHECK_RESULT(tg_context_get_tls(NULL, &word), -EINVAL);
    CHECK_RESULT(tg_context_set_tls(NULL, 0), -EINVAL);
    CHECK_RESULT(tg_context_set_return(NULL, 0), -EINVAL);
    CHECK_RESULT(tg_context_restart_syscall(NULL), -EINVAL);
    CHECK_RESULT(tg_context_switch(NULL, NULL, &event), -EINVAL);
    CHECK_RESULT(tg_context_interrupt(NULL), -EINVAL);
    CHECK_RESULT(tg_queue_create(NULL, &queue), -EINVAL);
    CHECK_RESULT(tg_queue_submit(NULL, NULL, NULL), -EINVAL);
    CHECK_RESULT(tg_queue_wait(NULL, &event, 1, 0, &count), -EINVAL);
    CHECK_RESULT(tg_queue_wake(NULL), -EINVAL);
    CHECK_RESULT(tg_queue_fd(NULL), -EINVAL);
    tg_queue_destroy(NULL);
    tg_context_destroy(NULL);
    tg_subprocess_destroy(NULL);
    tg_platform_close(NULL);
    platform = NULL;
    CHECK(tg_platform_last_error(platform) != NULL);
}

static void null_results(uint32_t backend)
{
    struct guest guest;
    tg_event event = new_event();
    size_t count;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    CHECK_RESULT(tg_platform_info(guest.platform, NULL), -EINVAL);
    CHECK_RESULT(tg_platform_stats(guest.platform, NULL), -EINVAL);
    CHECK_RESULT(tg_platform_add_seccomp_rules(guest.platform, NULL), -EINVAL);
    CHECK_RESULT(tg_subprocess_create(guest.platform, NULL), -EINVAL);
    CHECK_RESULT(tg_subprocess_fork(guest.subprocess, NULL), -EINVAL);
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT, NULL, 8, &count), -EINVAL);
    CHECK_RESULT(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, NULL, 8, &count), -EINVAL);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, NULL, 1, &count), -EINVAL);
    CHECK_RESULT(tg_context_create(guest.platform, NULL), -EINVAL);
    CHECK_RESULT(tg_context_copy(guest.context, NULL), -EINVAL);
    CHECK_RESULT(tg_context_copy(NULL, guest.context), -EINVAL);
    CHECK_RESULT(tg_context_get_tls(guest.context, NULL), -EINVAL);
    CHECK_RESULT(tg_context_get_fpstate(guest.context, NULL, 1 << 20), -EINVAL);
    CHECK_RESULT(tg_context_set_fpstate(guest.context, NULL, 1 << 20), -EINVAL);
    CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, NULL), -EINVAL);
    CHECK_RESULT(tg_context_switch(guest.context, NULL, &event), -EINVAL);
    CHECK_RESULT(tg_queue_create(guest.platform, NULL), -EINVAL);
    CHECK(tg_platform_last_error(guest.platform)[0] != '\0');
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 1);
    guest_close(&guest);
}

static void platform_options(uint32_t backend)
{
    char message[64] = "untouched";
    struct newer_options newer = {.options = {.size = sizeof(newer), .backend = backend}};
    tg_platform_options options = {.size = sizeof(options), .backend = 77};
    tg_platform *platform = (tg_platform *)&options;

    options.message = message;
    options.message_capacity = sizeof(message);
    CHECK_RESULT(tg_platform_open(&options, &platform), -EINVAL);
    CHECK(platform == NULL);
    CHECK(message[0] != '\0' && strcmp(message, "untouched") != 0);
    CHECK(memchr(message, '\0', sizeof(message)) != NULL);

    options.message_capacity = 8;
    memset(message, 'x', sizeof(message));
    CHECK_RESULT(tg_platform_open(&options, &platform), -EINVAL);
    CHECK(memchr(message, '\0', 8) != NULL);
    CHECK_EQ(message[8], 'x');

    options.backend = backend;
    options.flags = 1ull << 40;
    CHECK_RESULT(tg_platform_open(&options, &platform), -EINVAL);
    options.flags = 0;
    options.size = 0;
    CHECK_RESULT(tg_platform_open(&options, &platform), -EINVAL);

    newer.tail = 1;
    CHECK_RESULT(tg_platform_open(&newer.options, &platform), -E2BIG);
    newer.tail = 0;
    CHECK_OK(tg_platform_open(&newer.options, &platform));
    tg_platform_close(platform);

    options.size = offsetof(tg_platform_options, flags);
    options.flags = ~0ull;
    CHECK_OK(tg_platform_open(&options, &platform));
    tg_platform_close(platform);
}

static void automatic_backend(uint32_t backend)
{
    tg_platform *platform = NULL;
    tg_probe probe = {.size = sizeof(probe)};

    (void)backend;
    CHECK_OK(tg_platform_open(NULL, &platform));
    CHECK(platform_info(platform).backend != TG_BACKEND_AUTO);
    CHECK_OK(tg_platform_probe(TG_BACKEND_AUTO, &probe));
    CHECK_EQ(probe.available, 1);
    CHECK_EQ(probe.backend, platform_info(platform).backend);
    CHECK_EQ(tg_platform_last_error(platform)[0], '\0');
    tg_platform_close(platform);
}

static void probes(uint32_t backend)
{
    tg_probe probe = {.size = sizeof(probe)};

    CHECK_OK(tg_platform_probe(backend, &probe));
    CHECK_EQ(probe.backend, backend);
    CHECK_EQ(probe.available, 1);
    CHECK_EQ(probe.error, 0);
    CHECK_EQ(probe.step[0], '\0');
    CHECK_RESULT(tg_platform_probe(99, &probe), -EINVAL);
    probe.size = 0;
    CHECK_RESULT(tg_platform_probe(backend, &probe), -EINVAL);
}

static void information(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    struct newer_info newer = {.info = {.size = sizeof(newer)}};
    tg_info info = platform_info(platform);
    uint32_t i;

    CHECK_EQ(info.backend, backend);
    CHECK(info.page_size >= 4096 && (info.page_size & (info.page_size - 1)) == 0);
    CHECK(info.user_start < info.user_end);
    CHECK_EQ(info.user_start % info.page_size, 0);
    CHECK_EQ(info.user_end % info.page_size, 0);
    CHECK(info.user_end_min > 1ull << 40 && info.user_end_min <= info.user_end);
    CHECK(info.fpstate_size >= 512);
    CHECK(info.reserved_count <= TG_RESERVED_MAX);
    for (i = 0; i < info.reserved_count; i++) {
        CHECK(info.reserved[i].start < info.reserved[i].end);
        CHECK(info.user_start <= info.reserved[i].start && info.reserved[i].end <= info.user_end);
        CHECK(info.reserved[i].end <= 1 << 20 || info.reserved[i].start >= info.user_end_min);
    }
    newer.tail = 3;
    CHECK_RESULT(tg_platform_info(platform, &newer.info), -E2BIG);
    newer.tail = 0;
    CHECK_OK(tg_platform_info(platform, &newer.info));
    CHECK_EQ(newer.info.user_end, info.user_end);
    info.size = 0;
    CHECK_RESULT(tg_platform_info(platform, &info), -EINVAL);
    memset(&info, 0xee, sizeof(info));
    info.size = offsetof(tg_info, fpstate_size);
    CHECK_OK(tg_platform_info(platform, &info));
    CHECK_EQ(info.backend, backend);
    CHECK_EQ(info.fpstate_size, 0xeeeeeeeeeeeeeeee);
    tg_platform_close(platform);
}

static void memory_operations(uint32_t backend)
{
    struct guest guest;
    uint64_t page;
    int round;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    page = guest.page;
    for (round = 0; round < 2; round++) {
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT + 1, page, PROT_RW, 0, -1, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, 0, PROT_RW, 0, -1, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, ~0ull, PROT_RW, 0, -1, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, ~(page - 1), page, PROT_RW, 0, -1, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, page, 8, 0, -1, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, page, PROT_RW, 0x100, -1, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, page, PROT_RW, 0, 0, 1), -EINVAL);
        CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT, page, PROT_RW, 0, -2, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_unmap(guest.subprocess, GUEST_HOLE_AT + 1, page), -EINVAL);
        CHECK_RESULT(tg_subprocess_unmap(guest.subprocess, GUEST_HOLE_AT, 0), -EINVAL);
        CHECK_RESULT(tg_subprocess_protect(guest.subprocess, GUEST_DATA_AT + 1, page, TG_PROT_NONE), -EINVAL);
        CHECK_RESULT(tg_subprocess_protect(guest.subprocess, GUEST_DATA_AT, page, 16), -EINVAL);
        CHECK_RESULT(tg_subprocess_protect(guest.subprocess, GUEST_DATA_AT, 0, TG_PROT_NONE), -EINVAL);
    }
    guest_store(guest.subprocess, GUEST_DATA_AT, 1);
    CHECK_RESULT(tg_subprocess_read(guest.subprocess, GUEST_HOLE_AT, &page, 1, NULL), -EFAULT);
    guest_close(&guest);
}

static void operation_structs(uint32_t backend)
{
    struct guest guest;
    struct newer_op newer[2];
    tg_mem_op op = {.size = sizeof(op), .kind = 77, .addr = GUEST_HOLE_AT, .length = 4096, .fd = -1};
    size_t done = 99;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, &done), -EINVAL);
    CHECK_EQ(done, 0);
    op.kind = TG_MEM_UNMAP;
    op.size = 0;
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, &done), -EINVAL);
    done = 99;
    CHECK_OK(tg_subprocess_apply(guest.subprocess, &op, 0, &done));
    CHECK_EQ(done, 0);
    memset(newer, 0, sizeof(newer));
    newer[0].op = (tg_mem_op){.size = sizeof(newer[0]),
                              .kind = TG_MEM_MAP,
                              .addr = GUEST_HOLE_AT,
                              .length = guest.page,
                              .prot = PROT_RW,
                              .fd = -1};
    newer[1] = newer[0];
    newer[1].op.addr += guest.page;
    newer[1].tail = 1;
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &newer[0].op, 2, &done), -E2BIG);
    CHECK_EQ(done, 0);
    newer[1].tail = 0;
    CHECK_OK(tg_subprocess_apply(guest.subprocess, &newer[0].op, 2, &done));
    CHECK_EQ(done, 2);
    guest_store(guest.subprocess, GUEST_HOLE_AT + guest.page, 1);
    guest_close(&guest);
}

static void event_structs(uint32_t backend)
{
    struct guest guest;
    struct newer_event newer = {.event = {.size = sizeof(newer)}};
    tg_event event = new_event();

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    event.size = 0;
    CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, &event), -EINVAL);
    newer.tail = 1;
    CHECK_RESULT(tg_context_switch(guest.context, guest.subprocess, &newer.event), -E2BIG);
    newer.tail = 0;
    CHECK_OK(tg_context_switch(guest.context, guest.subprocess, &newer.event));
    CHECK_CALL(&newer.event, GUEST_CALL);
    CHECK_EQ(newer.event.u.syscall.args[0], 1);
    memset(&event, 0xee, sizeof(event));
    event.size = offsetof(tg_event, u);
    CHECK_OK(tg_context_switch(guest.context, guest.subprocess, &event));
    CHECK_EQ(event.kind, TG_EVENT_SYSCALL);
    CHECK_EQ(event.u.reserved[0], 0xeeeeeeeeeeeeeeee);
    guest_close(&guest);
}

static void context_arguments(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    CHECK_RESULT(tg_context_set_flags(guest.context, 0x80000000), -EINVAL);
    CHECK_OK(tg_context_set_flags(guest.context, TG_CONTEXT_ONE_THREAD));
    CHECK_OK(tg_context_set_flags(guest.context, 0));
    CHECK_EQ(tg_context_user_data(guest.context), 0);
    CHECK_OK(tg_context_set_user_data(guest.context, ~0ull));
    CHECK_EQ(tg_context_user_data(guest.context), ~0ull);
    CHECK_EQ(tg_context_regs(guest.context)->size, sizeof(tg_regs));
    CHECK_EQ(tg_context_regs(guest.context)->arch, platform_info(guest.platform).arch);
    CHECK_OK(tg_context_copy(guest.context, guest.context));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.user_data, ~0ull);
    guest_close(&guest);
}

static void handles_do_not_mix(uint32_t backend)
{
    struct guest first;
    struct guest second;
    tg_queue *queue = NULL;
    tg_event event = new_event();

    guest_open(&first, backend, GUEST_CODE(counting_calls));
    guest_open(&second, backend, GUEST_CODE(counting_calls));
    CHECK_OK(tg_queue_create(first.platform, &queue));
    CHECK_RESULT(tg_context_switch(first.context, second.subprocess, &event), -EINVAL);
    CHECK_RESULT(tg_queue_submit(queue, second.context, first.subprocess), -EINVAL);
    CHECK_RESULT(tg_queue_submit(queue, first.context, second.subprocess), -EINVAL);
    CHECK_RESULT(tg_queue_submit(queue, second.context, second.subprocess), -EINVAL);
    GUEST_RUN_TO_CALL(&first);
    CHECK_EQ(first.event.u.syscall.args[0], 1);
    tg_queue_destroy(queue);
    guest_close(&second);
    guest_close(&first);
}

static void queue_arguments(uint32_t backend)
{
    struct guest guest;
    struct newer_event newer[2] = {{.event = {.size = sizeof(newer[0])}}, {.event = {.size = sizeof(newer[0])}}};
    tg_event event = new_event();
    tg_queue *queue = NULL;
    size_t count = 99;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    CHECK_RESULT(tg_queue_submit(queue, NULL, guest.subprocess), -EINVAL);
    CHECK_RESULT(tg_queue_submit(queue, guest.context, NULL), -EINVAL);
    CHECK_RESULT(tg_queue_wait(queue, NULL, 1, 0, &count), -EINVAL);
    CHECK_RESULT(tg_queue_wait(queue, &event, 1, 0, NULL), -EINVAL);
    CHECK_RESULT(tg_queue_wait(queue, &event, 0, 0, &count), -EINVAL);
    event.size = 0;
    CHECK_RESULT(tg_queue_wait(queue, &event, 1, 0, &count), -EINVAL);
    newer[0].tail = 1;
    CHECK_RESULT(tg_queue_wait(queue, &newer[0].event, 2, 0, &count), -E2BIG);
    newer[0].tail = 0;
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    CHECK_OK(tg_queue_wait(queue, &newer[0].event, 2, -1, &count));
    CHECK_EQ(count, 1);
    CHECK_CALL(&newer[0].event, GUEST_CALL);
    CHECK_EQ(newer[0].event.u.syscall.args[0], 1);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void failures_have_a_sentence(uint32_t backend)
{
    struct guest guest;
    const char *first;
    char copy[256];

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_EQ(tg_platform_last_error(guest.platform)[0], '\0');
    CHECK_RESULT(tg_subprocess_map(guest.subprocess, GUEST_HOLE_AT + 1, 1, PROT_RW, 0, -1, 0), -EINVAL);
    first = tg_platform_last_error(guest.platform);
    CHECK(strlen(first) > 10);
    snprintf(copy, sizeof(copy), "%.*s", (int)sizeof(copy) - 1, first);
    CHECK_RESULT(tg_context_restart_syscall(guest.context), -EINVAL);
    CHECK(strcmp(tg_platform_last_error(guest.platform), copy) != 0);
    CHECK(strcmp(first, copy) == 0);
    guest_close(&guest);
}

const struct test_case argument_cases[] = {
    {"argument.versions", "Versions and error texts", versions_and_texts},
    {"argument.null_handles", "NULL handles are -EINVAL, and nothing to destroy", null_handles},
    {"argument.null_results", "NULL where a result goes is -EINVAL and changes nothing", null_results},
    {"argument.options", "Options: unknown backend, flags, sizes, newer and older structs, the message",
     platform_options},
    {"argument.auto", "AUTO and no options open what the probe promises", automatic_backend},
    {"argument.probe", "The probe says what it looked at and what it found", probes},
    {"argument.info", "Information is consistent, newer and older structs included", information},
    {"argument.memory", "Unaligned, empty, overflowing and unknown memory arguments are refused", memory_operations},
    {"argument.operations", "Operation structs: unknown kinds, sizes, strides, an empty batch", operation_structs},
    {"argument.events", "Event structs: sizes of newer and older headers", event_structs},
    {"argument.context", "Context flags and user data", context_arguments},
    {"argument.mixed_handles", "Handles of two platforms do not mix", handles_do_not_mix},
    {"argument.queue", "Queue arguments, and events of a newer header in an array", queue_arguments},
    {"argument.sentence", "Each failure has its own sentence, and the old one stays readable",
     failures_have_a_sentence},
    {0},
};
