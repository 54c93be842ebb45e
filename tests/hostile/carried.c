/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes that come with calls and go with answers, of memory that goes away, and by a worker about which the guest lies.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "arch.h"
#include "clock.h"
#include "footprint.h"
#include "threads.h"
#include "writer_scene.h"

#define CALLS     1000
#define BRING     4096
#define LIES_NS   2000000000
#define AGAIN_NS  200000000 /* from one interrupt to the next */
#define CHANGE_NS 100000

/* Its calls bring its memory. */
static void carried_open(struct writer_scene *scene, uint32_t backend, struct guest_code code)
{
    const tg_bring piece = {
        .size = sizeof(piece),
        .kind = TG_BRING_COUNTED,
        .nr = GUEST_CALL,
        .arg = 1,
        .length_arg = 2,
        .max = BRING,
    };
    struct guest *guest = &scene->guest;
    writer_scene_open(scene, backend, code, GUEST_CODE(keep_writing));
    scene->change_pause_ns = CHANGE_NS;
    CHECK_OK(tg_subprocess_set_brings(guest->subprocess, &piece, 1));
    arch_set_argument(guest->context, 1, AREA + guest->page / 2);
    arch_set_argument(guest->context, 2, BRING);
    GUEST_RUN_TO_CALL(guest);
}

/* ---- memory that goes away ---- */

/* All of it, or what is in the first page; and the answer arrives, whole or as -EFAULT. */
void hostile_carried_unmapped(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct writer_scene scene;
    unsigned char bytes[BRING];
    carried_open(&scene, backend, GUEST_CODE(echo_result));
    struct guest *guest = &scene.guest;
    const size_t in_first = guest->page / 2;
    const pthread_t thread = start_thread(change_second_page, &scene);
    for (uint64_t i = 1; i <= CALLS; i++) {
        const unsigned char *found;
        size_t length = 0;
        bounded_note("call %llu", (unsigned long long)i);
        memset(bytes, (int)i, sizeof(bytes));
        CHECK_OK(tg_context_attach(guest->context, AREA + in_first, bytes, sizeof(bytes)));
        CHECK_OK(tg_context_set_return(guest->context, (int64_t)i));
        BOUNDED_VOID(scene.bounded, guest_run(guest));
        CHECK_CALL(&guest->event, GUEST_CALL);
        CHECK(guest->event.u.syscall.args[0] == i || (int64_t)guest->event.u.syscall.args[0] == -EFAULT);
        CHECK_OK(BOUNDED(scene.bounded,
                         tg_context_brought(guest->context, guest->subprocess, 0, (const void **)&found, &length)));
        CHECK(length == BRING || length == in_first);
        for (size_t at = 0; at < in_first; at++)
            CHECK_EQ(found[at], (unsigned char)i);
    }
    atomic_store(&scene.over, true);
    join_thread(thread);
    writer_scene_close(&scene);
    footprint_check(&before);
}

/* ---- lies ---- */

static void *interrupt_now_and_then(void *argument)
{
    struct writer_scene *scene = argument;
    while (!atomic_load(&scene->over)) {
        pause_ns(AGAIN_NS);
        CHECK_OK(tg_context_interrupt(scene->guest.context));
    }
    return NULL;
}

static void ask(struct writer_scene *scene)
{
    struct guest *guest = &scene->guest;
    const unsigned char *found = NULL;
    size_t length = 99;
    const int result = BOUNDED(
        scene->bounded, tg_context_brought(guest->context, guest->subprocess, 0, (const void **)&found, &length));
    CHECK(result == 0 || result == -EFAULT || result == -ESRCH || result == -EINVAL);
    CHECK(result ? !found && !length : length <= BRING && found[length] == 0);
}

/* Whatever comes of it: it comes in time, and is what the header says. */
static void carry_for_a_while(struct writer_scene *scene)
{
    struct guest *guest = &scene->guest;
    const int64_t end = clock_ns() + LIES_NS;
    unsigned char bytes[600] = {0};
    while (guest->event.kind != TG_EVENT_DEAD && clock_ns() < end) {
        ask(scene);
        if (guest->event.kind == TG_EVENT_SYSCALL)
            CHECK_OK(tg_context_attach(guest->context, AREA, bytes, sizeof(bytes)));
        BOUNDED_VOID(scene->bounded, guest_run(guest));
        if (guest->event.kind != TG_EVENT_SYSCALL && guest->event.kind != TG_EVENT_INTERRUPTED)
            guest_restart(guest);
    }
}

/* One word of the guest's and another, as the writer has them. */
static void lie(struct writer_scene *scene, uint64_t first_at, uint32_t first, uint64_t second_at, uint32_t second)
{
    const pthread_t liar = writer_scene_start_lying(scene, first_at, first, second_at, second);
    const pthread_t interrupter = start_thread(interrupt_now_and_then, scene);
    carry_for_a_while(scene);
    atomic_store(&scene->over, true);
    join_thread(interrupter);
    writer_scene_end_lying(scene, liar);
}

static void lying_open(struct writer_scene *scene, uint32_t backend)
{
    need_shared_memory(backend);
    carried_open(scene, backend, GUEST_CODE(counting_calls));
    scene->region = region_of(scene->guest.platform, scene->guest.subprocess);
}

/* What was brought, and that it was: by this worker, and by one that there is not. */
void hostile_carried_forged(uint32_t backend)
{
    static const uint32_t signals[] = {PATCHED_CALL | PATCHED_BROUGHT, PATCHED_CALL | PATCHED_BROUGHT | PATCHED_WORKER};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        const struct footprint before = footprint_take();
        struct writer_scene scene;
        lying_open(&scene, backend);
        const uint64_t signal_word = region_slot(&scene.region, 0) + offsetof(struct systrap_slot, waiting);
        lie(&scene, signal_word, signals[i] << 8, region_worker_place(&scene.region, 0, WORKER_BROUGHT), 0x61626364);
        footprint_check(&before);
    }
}

/* That bytes are attached where none are, and that they could not be written. */
void hostile_carried_lies(uint32_t backend)
{
    static const uint32_t states[] = {SLOT_ATTACHED, SLOT_HELD};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        const struct footprint before = footprint_take();
        struct writer_scene scene;
        lying_open(&scene, backend);
        const uint64_t slot = region_slot(&scene.region, 0);
        lie(&scene, slot + offsetof(struct systrap_slot, state), states[i],
            slot + offsetof(struct systrap_slot, waiting), ANSWER_UNWRITTEN << 8);
        footprint_check(&before);
    }
}

/* What is attached, while the worker writes it: where to, and how much. */
void hostile_carried_elsewhere(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct writer_scene scene;
    lying_open(&scene, backend);
    const uint64_t place = region_worker_place(&scene.region, 0, WORKER_COPY);
    lie(&scene, place + offsetof(struct systrap_piece, length), 0x7fffffff,
        place + offsetof(struct systrap_piece, addr), (uint32_t)GUEST_CODE_AT);
    footprint_check(&before);
}
