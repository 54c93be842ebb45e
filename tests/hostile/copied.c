/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies by way of a context, of memory that goes away, and by a worker about which the guest lies. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "hostile.h"
#include "region.h"
#include "threads.h"

#define WRITER_AT  (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define AREA       GUEST_HOLE_AT
#define WARM_CALLS 64
#define COPIES     1000
#define LIES_NS    2000000000

GUEST_DECLARE(keep_writing);
GUEST_DECLARE(claim_for_ever);

/* A guest that rests after a call, patched where it can be; and another context there, which writes. */
struct copied {
    struct guest guest;
    struct region region;
    tg_context *writer;
    struct bounded *bounded;
    struct bounded *changer;
    _Atomic bool over;
};

static void copied_open(struct copied *copied, uint32_t backend, struct guest_code writer)
{
    struct guest *guest = &copied->guest;
    *copied = (struct copied){.bounded = bounded_new("the copying thread"), .changer = bounded_new("the changing one")};
    guest_open(guest, backend, GUEST_CODE(counting_calls));
    load_code(guest->subprocess, WRITER_AT, writer);
    map_pages(guest->subprocess, AREA, 2 * guest->page, PROT_RW);
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
    copied->writer = create_context(guest->platform);
    CHECK_OK(tg_context_start(copied->writer, WRITER_AT, GUEST_STACK_TOP));
}

static void copied_close(struct copied *copied)
{
    BOUNDED_VOID(copied->bounded, tg_subprocess_destroy(copied->guest.subprocess));
    tg_context_destroy(copied->writer);
    tg_context_destroy(copied->guest.context);
    BOUNDED_VOID(copied->bounded, tg_platform_close(copied->guest.platform));
}

/* ---- memory that goes away ---- */

/* The second page: unmapped, of nobody's use, behind the end of its file, and there again. */
static void *change_the_second(void *argument)
{
    struct copied *copied = argument;
    struct guest *guest = &copied->guest;
    const uint64_t second = AREA + guest->page;
    const int file = memfd_create("second", MFD_CLOEXEC);
    CHECK(file >= 0);
    while (!atomic_load(&copied->over)) {
        CHECK_OK(BOUNDED(copied->changer, tg_subprocess_unmap(guest->subprocess, second, guest->page)));
        CHECK_SYSTEM(ftruncate(file, (off_t)guest->page));
        CHECK_OK(BOUNDED(copied->changer,
                         tg_subprocess_map(guest->subprocess, second, guest->page, PROT_RW, TG_MAP_SHARED, file, 0)));
        CHECK_SYSTEM(ftruncate(file, 0));
        CHECK_OK(BOUNDED(copied->changer, tg_subprocess_map(guest->subprocess, second, guest->page, 0, 0, -1, 0)));
        CHECK_OK(
            BOUNDED(copied->changer, tg_subprocess_map(guest->subprocess, second, guest->page, PROT_RW, 0, -1, 0)));
    }
    close(file);
    return NULL;
}

/* All of it, or what is in the first page. */
static void check_copy(const struct copied *copied, int result, size_t done, size_t length)
{
    const size_t in_first = copied->guest.page / 2;
    CHECK(result == 0 || result == -EFAULT);
    CHECK(done == length || (result == -EFAULT && done == in_first));
}

void hostile_copied_unmapped(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct copied copied;
    unsigned char bytes[4096];
    copied_open(&copied, backend, GUEST_CODE(keep_writing));
    struct guest *guest = &copied.guest;
    const uint64_t addr = AREA + guest->page / 2;
    const pthread_t thread = start_thread(change_the_second, &copied);
    for (uint64_t i = 1; i <= COPIES; i++) {
        size_t done = 0;
        bounded_note("copy %llu", (unsigned long long)i);
        memset(bytes, (int)i, sizeof(bytes));
        int result = BOUNDED(copied.bounded,
                             tg_context_write(guest->context, guest->subprocess, addr, bytes, sizeof(bytes), &done));
        check_copy(&copied, result, done, sizeof(bytes));
        memset(bytes, 0, sizeof(bytes));
        result = BOUNDED(copied.bounded,
                         tg_context_read(guest->context, guest->subprocess, addr, bytes, sizeof(bytes), &done));
        check_copy(&copied, result, done, sizeof(bytes));
        for (size_t at = 0; at < guest->page / 2; at++)
            CHECK_EQ(bytes[at], (unsigned char)i);
        GUEST_RUN_TO_CALL(guest);
        CHECK_EQ(guest->event.u.syscall.args[0], WARM_CALLS + i);
    }
    atomic_store(&copied.over, true);
    join_thread(thread);
    copied_close(&copied);
    footprint_check(&before);
}

/* ---- lies ---- */

static void *run_writer(void *argument)
{
    struct copied *copied = argument;
    tg_event event;
    run_context(copied->writer, copied->guest.subprocess, &event);
    CHECK_KIND(&event, TG_EVENT_DEAD);
    return NULL;
}

/* first and then second to the victim's state, and so on, by whatever the writer's code does with them. */
static pthread_t start_lying(struct copied *copied, uint32_t first, uint32_t second)
{
    copied->region = region_of(copied->guest.platform, copied->guest.subprocess);
    const uint64_t state = region_slot(&copied->region, 0) + offsetof(struct systrap_slot, state);
    arch_set_argument(copied->writer, 0, state);
    arch_set_argument(copied->writer, 1, first);
    arch_set_argument(copied->writer, 2, state);
    arch_set_argument(copied->writer, 4, second);
    return start_thread(run_writer, copied);
}

/* Whatever comes of it: it comes in time, and is what the header says. */
static int copy_for_a_while(struct copied *copied)
{
    const struct guest *guest = &copied->guest;
    const int64_t end = clock_ns() + LIES_NS;
    unsigned char bytes[600];
    int result = 0;
    for (uint64_t i = 0; result != -ESRCH && clock_ns() < end; i++) {
        size_t done = 0;
        if (i % 2)
            result = BOUNDED(copied->bounded,
                             tg_context_write(guest->context, guest->subprocess, AREA, bytes, sizeof(bytes), &done));
        else
            result = BOUNDED(copied->bounded,
                             tg_context_read(guest->context, guest->subprocess, AREA, bytes, sizeof(bytes), &done));
        CHECK(result == 0 || result == -ESRCH);
        CHECK(done == (result ? 0 : sizeof(bytes)));
    }
    return result;
}

static void lie(uint32_t backend, struct guest_code writer, uint32_t first, uint32_t second)
{
    const struct footprint before = footprint_take();
    struct copied copied;
    need_shared_memory(backend);
    copied_open(&copied, backend, writer);
    const pthread_t thread = start_lying(&copied, first, second);
    copy_for_a_while(&copied);
    const pid_t pid = tg_subprocess_pid(copied.guest.subprocess);
    if (pid > 0)
        kill(pid, SIGKILL);
    join_thread(thread);
    copied_close(&copied);
    footprint_check(&before);
}

/* The copy is done, is under way and is done at every moment. */
void hostile_copied_lies(uint32_t backend)
{
    lie(backend, GUEST_CODE(keep_writing), SLOT_HELD, SLOT_COPYING);
}

/* Whenever one is asked for the guest says that it has begun, and it never ends. */
void hostile_copied_for_ever(uint32_t backend)
{
    lie(backend, GUEST_CODE(claim_for_ever), SLOT_COPY, SLOT_COPYING);
}
