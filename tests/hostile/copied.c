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

#define PIECE(kind_, addr_, buffer_)                                                                                   \
    {                                                                                                                  \
        .size = sizeof(tg_transfer), .kind = (kind_), .addr = (addr_), .buffer = (buffer_), .length = sizeof(buffer_), \
    }

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

/* Pieces over the edge of the first page among others: up to its end, or all. */
static void check_pieces(struct writer_scene *scene, unsigned char byte)
{
    struct guest *guest = &scene->guest;
    const uint64_t edge = AREA + guest->page;
    unsigned char out[64], in[2][64];
    tg_transfer pieces[] = {
        PIECE(TG_TRANSFER_READ, AREA, in[0]),
        PIECE(TG_TRANSFER_WRITE, edge - 32, out),
        PIECE(TG_TRANSFER_READ, edge - 32, in[1]),
    };
    memset(out, byte, sizeof(out));
    const int result = BOUNDED(scene->bounded, tg_context_transfer(guest->context, guest->subprocess, pieces, 3));
    CHECK(result == 0 || result == -EFAULT);
    CHECK_EQ(pieces[0].done, 64);
    CHECK(pieces[1].done == 64 || (result && pieces[1].done == 32));
    CHECK(pieces[2].done == 64 || (result && pieces[2].done == (pieces[1].done == 64 ? 32 : 0)));
    CHECK(!result || pieces[2].done < 64);
    for (size_t at = 0; at < 32 && pieces[2].done; at++)
        CHECK_EQ(in[1][at], byte);
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
        check_pieces(&scene, (unsigned char)i);
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
static int copy_one(struct writer_scene *scene, bool to_guest)
{
    const struct guest *guest = &scene->guest;
    unsigned char bytes[600] = {0};
    size_t done = 0;
    int result;
    if (to_guest)
        result = BOUNDED(scene->bounded,
                         tg_context_write(guest->context, guest->subprocess, AREA, bytes, sizeof(bytes), &done));
    else
        result = BOUNDED(scene->bounded,
                         tg_context_read(guest->context, guest->subprocess, AREA, bytes, sizeof(bytes), &done));
    CHECK(done == (result ? 0 : sizeof(bytes)));
    return result;
}

static int copy_several(struct writer_scene *scene)
{
    const struct guest *guest = &scene->guest;
    unsigned char bytes[4][100] = {{0}};
    tg_transfer pieces[] = {
        PIECE(TG_TRANSFER_READ, AREA, bytes[0]),
        PIECE(TG_TRANSFER_WRITE, AREA + 50, bytes[1]),
        PIECE(TG_TRANSFER_STRING, AREA + 100, bytes[2]),
        PIECE(TG_TRANSFER_READ, AREA + 50, bytes[3]),
    };
    const int result = BOUNDED(scene->bounded, tg_context_transfer(guest->context, guest->subprocess, pieces, 4));
    for (size_t i = 0; i < ARRAY_SIZE(pieces) && !result; i++)
        CHECK(pieces[i].done == 100 || (i == 2 && pieces[i].done < 100));
    return result;
}

static void copy_for_a_while(struct writer_scene *scene)
{
    const int64_t end = clock_ns() + LIES_NS;
    int result = 0;
    for (uint64_t i = 0; result != -ESRCH && clock_ns() < end; i++) {
        result = i % 3 == 2 ? copy_several(scene) : copy_one(scene, i % 3 == 1);
        CHECK(result == 0 || result == -ESRCH);
    }
}

static void lying_open(struct writer_scene *scene, uint32_t backend, struct guest_code writer)
{
    need_shared_memory(backend);
    writer_scene_open(scene, backend, GUEST_CODE(counting_calls), writer);
    scene->region = region_of(scene->guest.platform, scene->guest.subprocess);
}

static void copy_and_close(struct writer_scene *scene, pthread_t liar)
{
    copy_for_a_while(scene);
    writer_scene_end_lying(scene, liar);
}

/* first and then second to the victim's state, and so on, by whatever the writer's code does with them. */
static void lie(uint32_t backend, struct guest_code writer, uint32_t first, uint32_t second)
{
    const struct footprint before = footprint_take();
    struct writer_scene scene;
    lying_open(&scene, backend, writer);
    const uint64_t state = region_slot(&scene.region, 0) + offsetof(struct systrap_slot, state);
    copy_and_close(&scene, writer_scene_start_lying(&scene, state, first, state, second));
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

/* What is asked for, while the worker copies it: where, how much, in which direction, and that there is more. */
void hostile_copied_elsewhere(uint32_t backend)
{
    static const struct {
        size_t offset;
        uint32_t value;
    } words[] = {
        {offsetof(struct systrap_piece, length), 0x00017fff}, /* and that one byte is left */
        {offsetof(struct systrap_piece, kind), 0x01 << 8 | COPY_WRITE},
        {offsetof(struct systrap_piece, kind), 0x01 << 8 | COPY_STRING},
    };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const struct footprint before = footprint_take();
        struct writer_scene scene;
        lying_open(&scene, backend, GUEST_CODE(keep_writing));
        const uint64_t place = region_worker_place(&scene.region, 0, WORKER_COPY);
        copy_and_close(&scene,
                       writer_scene_start_lying(&scene, place + words[i].offset, words[i].value,
                                                place + offsetof(struct systrap_piece, addr), (uint32_t)GUEST_CODE_AT));
        footprint_check(&before);
    }
}
