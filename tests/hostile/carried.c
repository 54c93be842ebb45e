/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that come with calls and go with answers, of memory that goes away, and by a worker about which the guest lies.
 */
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
#define CALLS      1000
#define BRING      4096
#define LIES_NS    2000000000
#define AGAIN_NS   200000000 /* from one interrupt to the next */

GUEST_DECLARE(keep_writing);

/* A guest whose calls bring its memory; and another context there, which writes. */
struct carried {
    struct guest guest;
    struct region region;
    tg_context *writer;
    struct bounded *bounded;
    struct bounded *changer;
    _Atomic bool over;
};

static void carried_open(struct carried *carried, uint32_t backend, struct guest_code code, struct guest_code writer)
{
    const tg_bring piece = {
        .size = sizeof(piece),
        .kind = TG_BRING_COUNTED,
        .nr = GUEST_CALL,
        .arg = 1,
        .length_arg = 2,
        .max = BRING,
    };
    struct guest *guest = &carried->guest;
    *carried =
        (struct carried){.bounded = bounded_new("the thread that switches"), .changer = bounded_new("the other")};
    guest_open(guest, backend, code);
    load_code(guest->subprocess, WRITER_AT, writer);
    map_pages(guest->subprocess, AREA, 2 * guest->page, PROT_RW);
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
    CHECK_OK(tg_subprocess_set_brings(guest->subprocess, &piece, 1));
    arch_set_argument(guest->context, 1, AREA + guest->page / 2);
    arch_set_argument(guest->context, 2, BRING);
    GUEST_RUN_TO_CALL(guest);
    carried->writer = create_context(guest->platform);
    CHECK_OK(tg_context_start(carried->writer, WRITER_AT, GUEST_STACK_TOP));
}

static void carried_close(struct carried *carried)
{
    BOUNDED_VOID(carried->bounded, tg_subprocess_destroy(carried->guest.subprocess));
    tg_context_destroy(carried->writer);
    tg_context_destroy(carried->guest.context);
    BOUNDED_VOID(carried->bounded, tg_platform_close(carried->guest.platform));
}

/* ---- memory that goes away ---- */

/* The second page: unmapped, of nobody's use, behind the end of its file, and there again. */
static void *change_the_second(void *argument)
{
    struct carried *carried = argument;
    struct guest *guest = &carried->guest;
    const uint64_t second = AREA + guest->page;
    const int file = memfd_create("second", MFD_CLOEXEC);
    CHECK(file >= 0);
    while (!atomic_load(&carried->over)) {
        CHECK_OK(BOUNDED(carried->changer, tg_subprocess_unmap(guest->subprocess, second, guest->page)));
        CHECK_SYSTEM(ftruncate(file, (off_t)guest->page));
        CHECK_OK(BOUNDED(carried->changer,
                         tg_subprocess_map(guest->subprocess, second, guest->page, PROT_RW, TG_MAP_SHARED, file, 0)));
        CHECK_SYSTEM(ftruncate(file, 0));
        CHECK_OK(BOUNDED(carried->changer, tg_subprocess_map(guest->subprocess, second, guest->page, 0, 0, -1, 0)));
        CHECK_OK(
            BOUNDED(carried->changer, tg_subprocess_map(guest->subprocess, second, guest->page, PROT_RW, 0, -1, 0)));
        pause_ns(100000);
    }
    close(file);
    return NULL;
}

/* All of it, or what is in the first page; and the answer arrives, whole or as -EFAULT. */
void hostile_carried_unmapped(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct carried carried;
    unsigned char bytes[BRING];
    carried_open(&carried, backend, GUEST_CODE(echo_result), GUEST_CODE(keep_writing));
    struct guest *guest = &carried.guest;
    const size_t in_first = guest->page / 2;
    const pthread_t thread = start_thread(change_the_second, &carried);
    for (uint64_t i = 1; i <= CALLS; i++) {
        const unsigned char *found;
        size_t length = 0;
        bounded_note("call %llu", (unsigned long long)i);
        memset(bytes, (int)i, sizeof(bytes));
        CHECK_OK(tg_context_attach(guest->context, AREA + in_first, bytes, sizeof(bytes)));
        CHECK_OK(tg_context_set_return(guest->context, (int64_t)i));
        BOUNDED_VOID(carried.bounded, guest_run(guest));
        CHECK_CALL(&guest->event, GUEST_CALL);
        CHECK(guest->event.u.syscall.args[0] == i || (int64_t)guest->event.u.syscall.args[0] == -EFAULT);
        CHECK_OK(BOUNDED(carried.bounded,
                         tg_context_brought(guest->context, guest->subprocess, 0, (const void **)&found, &length)));
        CHECK(length == BRING || length == in_first);
        for (size_t at = 0; at < in_first; at++)
            CHECK_EQ(found[at], (unsigned char)i);
    }
    atomic_store(&carried.over, true);
    join_thread(thread);
    carried_close(&carried);
    footprint_check(&before);
}

/* ---- lies ---- */

static void *run_writer(void *argument)
{
    struct carried *carried = argument;
    tg_event event;
    run_context(carried->writer, carried->guest.subprocess, &event);
    CHECK_KIND(&event, TG_EVENT_DEAD);
    return NULL;
}

static void *interrupt_now_and_then(void *argument)
{
    struct carried *carried = argument;
    while (!atomic_load(&carried->over)) {
        pause_ns(AGAIN_NS);
        CHECK_OK(tg_context_interrupt(carried->guest.context));
    }
    return NULL;
}

/* One word of the guest's, or what is next to it, as the writer has it. */
static pthread_t start_lying(struct carried *carried, uint64_t first_at, uint32_t first, uint64_t second_at,
                             uint32_t second)
{
    arch_set_argument(carried->writer, 0, first_at);
    arch_set_argument(carried->writer, 1, first);
    arch_set_argument(carried->writer, 2, second_at);
    arch_set_argument(carried->writer, 4, second);
    return start_thread(run_writer, carried);
}

static void ask(struct carried *carried)
{
    struct guest *guest = &carried->guest;
    const unsigned char *found = NULL;
    size_t length = 99;
    const int result = BOUNDED(
        carried->bounded, tg_context_brought(guest->context, guest->subprocess, 0, (const void **)&found, &length));
    CHECK(result == 0 || result == -EFAULT || result == -ESRCH || result == -EINVAL);
    CHECK(result ? !found && !length : length <= BRING && found[length] == 0);
}

/* Whatever comes of it: it comes in time, and is what the header says. */
static void carry_for_a_while(struct carried *carried)
{
    struct guest *guest = &carried->guest;
    const int64_t end = clock_ns() + LIES_NS;
    unsigned char bytes[600] = {0};
    while (guest->event.kind != TG_EVENT_DEAD && clock_ns() < end) {
        ask(carried);
        if (guest->event.kind == TG_EVENT_SYSCALL)
            CHECK_OK(tg_context_attach(guest->context, AREA, bytes, sizeof(bytes)));
        BOUNDED_VOID(carried->bounded, guest_run(guest));
        if (guest->event.kind != TG_EVENT_SYSCALL && guest->event.kind != TG_EVENT_INTERRUPTED)
            guest_restart(guest);
    }
}

static void lie(struct carried *carried, uint64_t first_at, uint32_t first, uint64_t second_at, uint32_t second)
{
    const pthread_t liar = start_lying(carried, first_at, first, second_at, second);
    const pthread_t interrupter = start_thread(interrupt_now_and_then, carried);
    carry_for_a_while(carried);
    atomic_store(&carried->over, true);
    join_thread(interrupter);
    const pid_t pid = tg_subprocess_pid(carried->guest.subprocess);
    if (pid > 0)
        kill(pid, SIGKILL);
    join_thread(liar);
    carried_close(carried);
}

static uint64_t place_of(const struct carried *carried, uint32_t offset)
{
    return region_worker(&carried->region, 0) + WORKER_STRUCT_SIZE - SYSTRAP_WORKER_SIZE + offset;
}

static void lying_open(struct carried *carried, uint32_t backend)
{
    need_shared_memory(backend);
    carried_open(carried, backend, GUEST_CODE(counting_calls), GUEST_CODE(keep_writing));
    carried->region = region_of(carried->guest.platform, carried->guest.subprocess);
}

/* What was brought, and that it was: by this worker, and by one that there is not. */
void hostile_carried_forged(uint32_t backend)
{
    static const uint32_t signals[] = {PATCHED_CALL | PATCHED_BROUGHT, PATCHED_CALL | PATCHED_BROUGHT | PATCHED_WORKER};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        const struct footprint before = footprint_take();
        struct carried carried;
        lying_open(&carried, backend);
        const uint64_t signal_word = region_slot(&carried.region, 0) + offsetof(struct systrap_slot, waiting);
        lie(&carried, signal_word, signals[i] << 8, place_of(&carried, WORKER_BROUGHT), 0x61626364);
        footprint_check(&before);
    }
}

/* That bytes are attached where none are, and that they could not be written. */
void hostile_carried_lies(uint32_t backend)
{
    static const uint32_t states[] = {SLOT_ATTACHED, SLOT_HELD};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        const struct footprint before = footprint_take();
        struct carried carried;
        lying_open(&carried, backend);
        const uint64_t slot = region_slot(&carried.region, 0);
        lie(&carried, slot + offsetof(struct systrap_slot, state), states[i],
            slot + offsetof(struct systrap_slot, waiting), ANSWER_UNWRITTEN << 8);
        footprint_check(&before);
    }
}

/* What is attached, while the worker writes it: where to, and how much. */
void hostile_carried_elsewhere(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct carried carried;
    lying_open(&carried, backend);
    const uint64_t place = place_of(&carried, WORKER_COPY);
    lie(&carried, place + offsetof(struct systrap_attached, length), 0x7fffffff,
        place + offsetof(struct systrap_attached, addr), (uint32_t)GUEST_CODE_AT);
    footprint_check(&before);
}
