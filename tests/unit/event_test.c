/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Events are handed to callers whose struct is shorter or longer than the library's. */
#include "unit.h"

#include <string.h>

#include "core/event.h"

#define NEWER_BYTES 32
#define UNTOUCHED   0x5a

static struct tg_event some_event(struct tg_context *context)
{
    struct tg_event event;
    const struct arch_syscall syscall = {.nr = 39, .args = {1, 2, 3, 4, 5, 6}, .ip = 0x1002, .arch = 7, .flags = 8};
    event_syscall(&event, context, &syscall);
    return event;
}

static void what_an_event_says(void **state)
{
    (void)state;
    struct tg_context context = {.user_data = 99};
    struct tg_event event = some_event(&context);
    assert_int_equal(event.kind, TG_EVENT_SYSCALL);
    assert_int_equal(event.flags, 8);
    assert_int_equal(event.arch, 7);
    assert_ptr_equal(event.context, &context);
    assert_int_equal(event.user_data, 99);
    assert_int_equal(event.u.syscall.nr, 39);
    assert_int_equal(event.u.syscall.args[5], 6);
    assert_int_equal(event.u.syscall.ip, 0x1002);
    assert_int_equal(event.u.reserved[15], 0);

    event_dead(&event, &context, TG_DEAD_KILLED, 9);
    assert_int_equal(event.kind, TG_EVENT_DEAD);
    assert_int_equal(event.flags, 0);
    assert_int_equal(event.arch, tgi_arch.audit_arch);
    assert_int_equal(event.u.dead.reason, TG_DEAD_KILLED);
    assert_int_equal(event.u.dead.status, 9);
    assert_int_equal(event.u.reserved[1], 0);
}

/* Each size from "only the size" to "more than we know", and not a byte behind it. */
static void every_size(void **state)
{
    (void)state;
    struct tg_context context = {0};
    const struct tg_event event = some_event(&context);
    unsigned char slot[sizeof(event) + NEWER_BYTES + 8];
    for (size_t size = sizeof(event.size); size <= sizeof(event) + NEWER_BYTES; size++) {
        const uint32_t callers_size = (uint32_t)size;
        memset(slot, UNTOUCHED, sizeof(slot));
        memcpy(slot, &callers_size, sizeof(callers_size));
        event_store(slot, size, &event);
        assert_memory_equal(slot, &callers_size, sizeof(callers_size));
        for (size_t i = sizeof(callers_size); i < sizeof(slot); i++) {
            if (i >= size)
                assert_int_equal(slot[i], UNTOUCHED);
            else
                assert_int_equal(slot[i], i < sizeof(event) ? ((const unsigned char *)&event)[i] : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_event_says),
        cmocka_unit_test(every_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
