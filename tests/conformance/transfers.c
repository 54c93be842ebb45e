/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Several pieces of guest memory in one go: as if they were moved one by one. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "allowed_interrupts.h"
#include "arch.h"
#include "bytes_caller.h"
#include "cases.h"
#include "guests.h"
#include "threads.h"

#define OTHERS 3 /* turns for each: whoever makes the copies, by measuring */

static tg_transfer piece(uint32_t kind, uint64_t addr, void *buffer, size_t length)
{
    return (tg_transfer){
        .size = sizeof(tg_transfer), .kind = kind, .addr = addr, .buffer = buffer, .length = length, .done = 99};
}

#define READ(addr, buffer, length)   piece(TG_TRANSFER_READ, (addr), (buffer), (length))
#define WRITE(addr, buffer, length)  piece(TG_TRANSFER_WRITE, (addr), (buffer), (length))
#define STRING(addr, buffer, length) piece(TG_TRANSFER_STRING, (addr), (buffer), (length))

static void transfer(const struct guest *guest, tg_transfer *pieces, size_t n, int expected)
{
    CHECK_RESULT(tg_context_transfer(guest->context, guest->subprocess, pieces, n), expected);
}

/* Pieces of any number and length, read or written, some longer than a worker takes; what is between them stays. */
static void any_pieces(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 8, 48, 64, 500, 4096, 9000};
    static const size_t counts[] = {0, 1, 2, 4, 8, 9, 16, 17, 40, 130, TG_TRANSFER_PIECES};
    const size_t size = (size_t)64 * TG_TRANSFER_PIECES;
    tg_transfer *pieces = calloc(TG_TRANSFER_PIECES, sizeof(*pieces));
    unsigned char *out = calloc(1, size);
    unsigned char *in = calloc(1, size);
    struct guest guest;

    CHECK(pieces && out && in);
    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    map_pages(guest.subprocess, AREA, 0x40000, PROT_RW);
    for (unsigned int i = 0; i < ARRAY_SIZE(lengths) * ARRAY_SIZE(counts); i++) {
        const size_t count = counts[i / ARRAY_SIZE(lengths)];
        const size_t length = lengths[i % ARRAY_SIZE(lengths)];
        const size_t step = length + 3;

        if (count * step > size)
            continue;
        check_context("%zu pieces of %zu bytes", count, length);
        fill(out, count * step, i);
        for (size_t k = 0; k < count; k++)
            pieces[k] = WRITE(AREA + 3 + k * step, out + k * step, length);
        transfer(&guest, pieces, count, 0);
        GUEST_RUN_TO_CALL(&guest);
        memset(in, 0xee, size);
        for (size_t k = 0; k < count; k++) {
            CHECK_EQ(pieces[k].done, length);
            pieces[k] = READ(AREA + 3 + k * step, in + k * step, length);
        }
        transfer(&guest, pieces, count, 0);
        for (size_t k = 0; k < count; k++) {
            CHECK_EQ(pieces[k].done, length);
            CHECK_BYTES(in + k * step, out + k * step, length);
            CHECK_EQ(in[k * step + length], 0xee);
        }
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
    free(in);
    free(out);
    free(pieces);
}

/* What a piece writes the pieces behind it read, those in front do not. */
static void in_order(uint32_t backend)
{
    unsigned char old[64], written[64], before[64], behind[64], text[64];
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    for (unsigned int round = 0; round < ROUNDS; round++) {
        tg_transfer pieces[] = {
            READ(AREA + 10, before, 64), WRITE(AREA + 20, written, 44), READ(AREA + 10, behind, 64),
            WRITE(AREA + 30, "word", 5), STRING(AREA + 28, text, 64),
        };

        check_context("round %u", round);
        fill(old, 64, round);
        memset(written, 'a' + (int)(round % 20), 64);
        store(&guest, AREA + 10, old, 64);
        transfer(&guest, pieces, ARRAY_SIZE(pieces), 0);
        CHECK_BYTES(before, old, 64);
        CHECK_BYTES(behind, old, 10);
        CHECK_BYTES(behind + 10, written, 44);
        CHECK_BYTES(behind + 54, old + 54, 10);
        CHECK_EQ(pieces[4].done, 6);
        CHECK_BYTES(text + 2, "word", 5);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

/* Two pages are there, the third is not. */
static void exact_in_the_middle(uint32_t backend)
{
    unsigned char bytes[64], in[5][64];
    struct guest guest;
    uint64_t edge;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    edge = AREA + 2 * guest.page;
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, edge, guest.page));
    fill(bytes, sizeof(bytes), 3);
    for (size_t before = 0; before < 64; before += 9) {
        tg_transfer writes[] = {WRITE(AREA, bytes, 64), WRITE(AREA + 100, bytes, 64), WRITE(edge - before, bytes, 64),
                                WRITE(AREA + 200, bytes, 64), READ(AREA, in[4], 64)};
        tg_transfer reads[] = {READ(AREA, in[0], 64), STRING(AREA + 300, in[1], 64), READ(edge - before, in[2], 64),
                               READ(AREA + 200, in[3], 64), WRITE(AREA + 200, bytes, 64)};

        check_context("%zu bytes in front of a page that is not there", before);
        store(&guest, AREA + 200, "none of it", 10);
        transfer(&guest, writes, ARRAY_SIZE(writes), -EFAULT);
        check_memory(guest.subprocess, edge - before, bytes, before);
        transfer(&guest, reads, ARRAY_SIZE(reads), -EFAULT);
        CHECK_BYTES(in[0], bytes, 64);
        CHECK_BYTES(in[2], bytes, before);
        for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
            CHECK_EQ(writes[i].done, i < 2 ? 64 : i == 2 ? before : 0);
            CHECK_EQ(reads[i].done, i == 0 ? 64 : i == 1 ? 0 : i == 2 ? before : 0);
        }
        check_memory(guest.subprocess, AREA + 200, "none of it", 10);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

/* Of a string the next page is looked at only when its own has no 0 byte: pieces behind it wait for that. */
static void strings(uint32_t backend)
{
    char first[600], second[5000], third[600], long_text[5000];
    struct guest guest;
    uint64_t edge;

    memset(long_text, 'x', sizeof(long_text));
    long_text[4500] = 0;
    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    edge = AREA + AREA_PAGES * guest.page;
    for (int round = 0; round < OTHERS * 4; round++) {
        tg_transfer pieces[] = {STRING(AREA + guest.page - 3, first, sizeof(first)),
                                STRING(AREA + 2 * guest.page - 5, second, sizeof(second)),
                                STRING(edge - 4, third, sizeof(third)), STRING(edge - 4, third + 500, 2),
                                STRING(edge - 1, third + 550, 9)};

        check_context("round %d", round);
        store(&guest, AREA + guest.page - 3, "over the edge", 14);
        store(&guest, AREA + 2 * guest.page - 5, long_text, 4501);
        store(&guest, edge - 4, "end", 4);
        transfer(&guest, pieces, ARRAY_SIZE(pieces), 0);
        CHECK_EQ(pieces[0].done, 13);
        CHECK_BYTES(first, "over the edge", 14);
        CHECK_EQ(pieces[1].done, 4500);
        CHECK_BYTES(second, long_text, 4501);
        CHECK_EQ(pieces[2].done, 3);
        CHECK_BYTES(third, "end", 4);
        CHECK_EQ(pieces[3].done, 2);
        CHECK_EQ(pieces[4].done, 0);
        GUEST_RUN_TO_CALL(&guest);
        /* One that has no end is what the pieces behind it wait for. */
        store(&guest, edge - 4, "long", 4);
        store(&guest, AREA, "none of it", 10);
        pieces[3] = READ(AREA, third + 500, 50);
        pieces[4] = WRITE(AREA, "x", 1);
        transfer(&guest, pieces + 2, 3, -EFAULT);
        CHECK_EQ(pieces[2].done, 4);
        CHECK_EQ(pieces[3].done, 0);
        CHECK_EQ(pieces[4].done, 0);
        check_memory(guest.subprocess, AREA, "none of it", 10);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

/* What is patched in code does not show, in none of the pieces. */
static void code_as_written(uint32_t backend)
{
    const struct guest_code code = GUEST_CODE(counting_calls);
    const size_t length = (size_t)(code.end - code.start);
    unsigned char first[256], second[256], data[8];
    struct guest guest;

    CHECK(length <= sizeof(first));
    bytes_caller_open(&guest, backend, code);
    for (int i = 0; i < OTHERS * 4; i++) {
        tg_transfer pieces[] = {READ(AREA, data, 8), READ(GUEST_CODE_AT, first, length),
                                READ(GUEST_CODE_AT + 1, second, length - 1), READ(AREA, data, 8)};

        transfer(&guest, pieces, ARRAY_SIZE(pieces), 0);
        CHECK_BYTES(first, code.start, length);
        CHECK_BYTES(second, code.start + 1, length - 1);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
}

/* An array of longer or shorter structs, other subprocesses, none at all. */
static void other_arrays(uint32_t backend)
{
    struct {
        tg_transfer piece;
        uint64_t later;
    } longer[2];
    unsigned char bytes[8];
    tg_subprocess *other;
    struct guest guest;
    tg_transfer one = READ(GUEST_DATA_AT, bytes, 8);

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    other = create_loaded_subprocess(guest.platform, GUEST_CODE(spin_counting));
    guest_store(other, GUEST_DATA_AT, 0x0807060504030201);
    memset(longer, 0, sizeof(longer));
    for (int i = 0; i < 2; i++) {
        longer[i].piece = READ(GUEST_DATA_AT + (uint64_t)i, bytes + (size_t)4 * (size_t)i, 4);
        longer[i].piece.size = sizeof(longer[i]);
    }
    CHECK_RESULT(tg_context_transfer(guest.context, other, &longer[0].piece, 2), 0);
    CHECK_EQ(longer[0].piece.done, 4);
    CHECK_EQ(longer[1].piece.done, 4);
    CHECK_BYTES(bytes, "\1\2\3\4\2\3\4\5", 8);
    longer[1].later = 1;
    CHECK_RESULT(tg_context_transfer(guest.context, other, &longer[0].piece, 2), -E2BIG);
    transfer(&guest, NULL, 0, 0);
    one.size = offsetof(tg_transfer, done);
    CHECK_RESULT(tg_context_transfer(guest.context, other, &one, 1), 0);
    CHECK_EQ(one.done, 99);
    CHECK_BYTES(bytes, "\1\2\3\4\5\6\7\10", 8);
    tg_subprocess_destroy(other);
    guest_close(&guest);
}

/* Nothing is moved, and nothing said of it. */
static void refused(const struct guest *guest, int expected, size_t n, tg_transfer bad)
{
    unsigned char bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    tg_transfer pieces[] = {WRITE(AREA, bytes, 8), bad};

    CHECK_RESULT(tg_context_transfer(guest->context, guest->subprocess, pieces, n), expected);
    CHECK_EQ(pieces[0].done, 99);
    check_memory(guest->subprocess, AREA, "\0\0\0\0\0\0\0\0", 8);
}

static void bad_arrays(uint32_t backend)
{
    unsigned char byte;
    tg_transfer other_size = READ(AREA, &byte, 1);
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    refused(&guest, -EINVAL, 2, piece(0, AREA, &byte, 1));
    refused(&guest, -EINVAL, 2, piece(4, AREA, &byte, 1));
    refused(&guest, -EINVAL, 2, READ(AREA, NULL, 1));
    refused(&guest, -EINVAL, 2, STRING(AREA, NULL, 1));
    other_size.size = 4;
    refused(&guest, -EINVAL, 2, other_size);
    refused(&guest, -EINVAL, TG_TRANSFER_PIECES + 1, READ(AREA, &byte, 1));
    refused(&guest, -EINVAL, SIZE_MAX, READ(AREA, &byte, 1));
    CHECK_RESULT(tg_context_transfer(guest.context, guest.subprocess, NULL, 1), -EINVAL);
    guest_close(&guest);
}

static void no_guest(uint32_t backend)
{
    unsigned char byte = 1;
    tg_transfer one[] = {READ(GUEST_DATA_AT, &byte, 1)};
    struct guest other;
    struct guest guest;
    pthread_t thread;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    guest_open(&other, backend, GUEST_CODE(spin_counting));
    CHECK_RESULT(tg_context_transfer(guest.context, other.subprocess, one, 1), -EINVAL);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    transfer(&guest, one, 1, -EBUSY);
    transfer(&guest, NULL, 0, -EBUSY);
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    transfer(&guest, one, 1, -ESRCH);
    guest_close(&other);
    guest_close(&guest);
}

static void beside_interrupts(uint32_t backend)
{
    unsigned char out[4][100], in[4][100];
    struct interrupter interrupter;
    struct guest guest;

    bytes_caller_open(&guest, backend, GUEST_CODE(counting_calls));
    interrupter_start(&interrupter, guest.context);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        tg_transfer pieces[8];

        check_context("round %u", i);
        interrupter_allow(&interrupter);
        do
            guest_run(&guest);
        while (guest.event.kind == TG_EVENT_INTERRUPTED);
        CHECK_CALL(&guest.event, GUEST_CALL);
        for (unsigned int k = 0; k < 4; k++) {
            fill(out[k], sizeof(out[k]), i + k);
            pieces[k] = WRITE(AREA + UINT64_C(1000) * k, out[k], sizeof(out[k]));
            pieces[4 + k] = READ(AREA + UINT64_C(1000) * k, in[k], sizeof(in[k]));
        }
        transfer(&guest, pieces, ARRAY_SIZE(pieces), 0);
        CHECK_BYTES(in, out, sizeof(in));
    }
    interrupter_end(&interrupter);
    guest_close(&guest);
}

const struct test_case transfer_cases[] = {
    {"transfer.pieces", "Pieces of any number and length in one go: each has its bytes, nothing beside them changes",
     any_pieces},
    {"transfer.order", "What a piece writes those behind it read, and those in front of it do not", in_order},
    {"transfer.edges", "They end at the first byte that cannot be moved: exact in its piece, none of those behind it",
     exact_in_the_middle},
    {"transfer.strings", "Strings among them, over page edges too; pieces behind one that has no end are not moved",
     strings},
    {"transfer.code", "Code reads as it was written in each of them", code_as_written},
    {"transfer.arrays", "Longer and shorter structs, another subprocess, no piece at all", other_arrays},
    {"transfer.refused", "A bad piece is refused before any is moved, and so are too many", bad_arrays},
    {"transfer.no_guest", "Another platform's subprocess, a context that runs, a dead subprocess", no_guest},
    {"transfer.beside_interrupts", "Interrupts change nothing of them", beside_interrupts},
    {0},
};
