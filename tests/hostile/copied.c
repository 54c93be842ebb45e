/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies by way of a context, of memory that goes away, and by a worker about which the guest lies. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "footprint.h"
#include "threads.h"
#include "writer_scene.h"

#define COPIES  1000
#define LIES_NS 2000000000

/* ---- memory that goes away ---- */

/* All of it, or what is in the first page. */
static void check_copy(const struct writer_scene *scene, int result, size_t done, size_t length)
{
    const size_t in_first = scene->guest.page / 2;
    CHECK(result == 0 || result == -EFAULT);
    CHECK(done == length || (result == -EFAULT && done == in_first));
}

void hostile_copied_unmapped(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct writer_scene scene;
    unsigned char bytes[4096];
    writer_scene_open(&scene, backend, GUEST_CODE(counting_calls), GUEST_CODE(keep_writing));
    struct guest *guest = &scene.guest;
    const uint64_t addr = AREA + guest->page / 2;
    const pthread_t thread = start_thread(change_second_page, &scene);
    for (uint64_t i = 1; i <= COPIES; i++) {
        size_t done = 0;
        bounded_note("copy %llu", (unsigned long long)i);
        memset(bytes, (int)i, sizeof(bytes));
        int result = BOUNDED(scene.bounded,
                             tg_context_write(guest->context, guest->subprocess, addr, bytes, sizeof(bytes), &done));
        check_copy(&scene, result, done, sizeof(bytes));
        memset(bytes, 0, sizeof(bytes));
        result = BOUNDED(scene.bounded,
                         tg_context_read(guest->context, guest->subprocess, addr, bytes, sizeof(bytes), &done));
        check_copy(&scene, result, done, sizeof(bytes));
        for (size_t at = 0; at < guest->page / 2; at++)
            CHECK_EQ(bytes[at], (unsigned char)i);
        GUEST_RUN_TO_CALL(guest);
        CHECK_EQ(guest->event.u.syscall.args[0], WARM_CALLS + i);
    }
    atomic_store(&scene.over, true);
    join_thread(thread);
    writer_scene_close(&scene);
    footprint_check(&before);
}

/* ---- lies ---- */

/* Whatever comes of it: it comes in time, and is what the header says. */
static int copy_for_a_while(struct writer_scene *scene)
{
    const struct guest *guest = &scene->guest;
    const int64_t end = clock_ns() + LIES_NS;
    unsigned char bytes[600];
    int result = 0;
    for (uint64_t i = 0; result != -ESRCH && clock_ns() < end; i++) {
        size_t done = 0;
        if (i % 2)
            result = BOUNDED(scene->bounded,
                             tg_context_write(guest->context, guest->subprocess, AREA, bytes, sizeof(bytes), &done));
        else
            result = BOUNDED(scene->bounded,
                             tg_context_read(guest->context, guest->subprocess, AREA, bytes, sizeof(bytes), &done));
        CHECK(result == 0 || result == -ESRCH);
        CHECK(done == (result ? 0 : sizeof(bytes)));
    }
    return result;
}

/* first and then second to the victim's state, and so on, by whatever the writer's code does with them. */
static void lie(uint32_t backend, struct guest_code writer, uint32_t first, uint32_t second)
{
    const struct footprint before = footprint_take();
    struct writer_scene scene;
    need_shared_memory(backend);
    writer_scene_open(&scene, backend, GUEST_CODE(counting_calls), writer);
    scene.region = region_of(scene.guest.platform, scene.guest.subprocess);
    const uint64_t state = region_slot(&scene.region, 0) + offsetof(struct systrap_slot, state);
    const pthread_t liar = writer_scene_start_lying(&scene, state, first, state, second);
    copy_for_a_while(&scene);
    writer_scene_end_lying(&scene, liar);
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
