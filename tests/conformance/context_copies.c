/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guest memory by way of a context that is at rest: whoever makes the copy, its bytes and its end are the same. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allowed_interrupts.h"
#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "threads.h"

#define AREA        GUEST_HOLE_AT
#define AREA_SIZE   0x100000u
#define WARM_CALLS  64 /* its site is patched by then, where it can be */
#define ROUNDS      200
#define DEATHS      20
#define BYTES_MAX   (AREA_SIZE - 8)
#define STRING_SIZE 300

/* A guest that makes calls, patched ones where they can be, and has memory to be copied. */
static void caller_open(struct guest *guest, uint32_t backend)
{
    guest_open(guest, backend, GUEST_CODE(counting_calls));
    map_pages(guest->subprocess, AREA, AREA_SIZE, PROT_RW);
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
}

static void fill(unsigned char *bytes, size_t length, unsigned int seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251 + seed);
}

static void write_by(struct guest *guest, uint64_t addr, const void *bytes, size_t length)
{
    size_t done = 99;

    CHECK_OK(tg_context_write(guest->context, guest->subprocess, addr, bytes, length, &done));
    CHECK_EQ(done, length);
}

static void read_by(struct guest *guest, uint64_t addr, void *bytes, size_t length)
{
    size_t done = 99;

    CHECK_OK(tg_context_read(guest->context, guest->subprocess, addr, bytes, length, &done));
    CHECK_EQ(done, length);
}

static void any_length(uint32_t backend)
{
    static const size_t lengths[] = {0, 1, 2, 8, 64, 511, 4095, 4096, 4097, 16384, 16385, 65536, BYTES_MAX};
    static const size_t offsets[] = {0, 1, 4090};
    unsigned char *out = malloc(AREA_SIZE);
    unsigned char *in = malloc(AREA_SIZE);
    struct guest guest;

    CHECK(out && in);
    caller_open(&guest, backend);
    for (size_t i = 0; i < ARRAY_SIZE(lengths) * ARRAY_SIZE(offsets); i++) {
        const size_t length = lengths[i / ARRAY_SIZE(offsets)];
        const uint64_t addr = AREA + offsets[i % ARRAY_SIZE(offsets)];

        if (addr + length > AREA + AREA_SIZE)
            continue;
        check_context("%zu bytes at 0x%llx", length, (unsigned long long)addr);
        fill(out, length, (unsigned int)i);
        write_by(&guest, addr, out, length);
        memset(in, 0xee, length + 1);
        CHECK_OK(tg_subprocess_read(guest.subprocess, addr, in, length, NULL));
        CHECK_BYTES(in, out, length);
        GUEST_RUN_TO_CALL(&guest);
        memset(in, 0xee, length + 1);
        read_by(&guest, addr, in, length);
        CHECK_BYTES(in, out, length);
        CHECK_EQ(in[length], 0xee);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], WARM_CALLS + 2 * (i + 1));
    }
    guest_close(&guest);
    free(in);
    free(out);
}

/* What bytes behind a number of good ones cannot be copied, in which direction. */
struct edge {
    const char *name;
    uint32_t prot; /* of the page behind */
    bool mapped;
    bool readable;
};

static void check_edge(struct guest *guest, const struct edge *edge, size_t before)
{
    const uint64_t addr = AREA + guest->page - before;
    unsigned char bytes[64];
    unsigned char back[64];
    size_t done = 99;

    check_context("%zu bytes in front of a page that is %s", before, edge->name);
    fill(bytes, sizeof(bytes), (unsigned int)before);
    CHECK_RESULT(tg_context_write(guest->context, guest->subprocess, addr, bytes, sizeof(bytes), &done), -EFAULT);
    CHECK_EQ(done, before);
    memset(back, 0xcc, sizeof(back));
    CHECK_RESULT(tg_context_read(guest->context, guest->subprocess, addr, back, sizeof(back), &done),
                 edge->readable ? 0 : -EFAULT);
    CHECK_EQ(done, edge->readable ? sizeof(back) : before);
    CHECK_BYTES(back, bytes, before);
    CHECK(edge->readable || back[before] == 0xcc);
    GUEST_RUN_TO_CALL(guest);
}

static void exact_at_edges(uint32_t backend)
{
    static const struct edge edges[] = {
        {"not there", 0, false, false},
        {"of no use", 0, true, false},
        {"to be read only", TG_PROT_READ, true, true},
    };
    struct guest guest;

    caller_open(&guest, backend);
    for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
        CHECK_OK(tg_subprocess_unmap(guest.subprocess, AREA + guest.page, guest.page));
        if (edges[i].mapped)
            map_pages(guest.subprocess, AREA + guest.page, guest.page, edges[i].prot);
        for (size_t before = 0; before < 64; before += 21)
            check_edge(&guest, &edges[i], before);
    }
    guest_close(&guest);
}

/* A page of a file that has become shorter is mapped, and nothing can be read there. */
static void exact_behind_a_file(uint32_t backend)
{
    const int file = memfd_create("shorter", MFD_CLOEXEC);
    unsigned char bytes[100];
    struct guest guest;
    size_t done = 99;

    CHECK(file >= 0);
    caller_open(&guest, backend);
    CHECK_SYSTEM(ftruncate(file, (off_t)(2 * guest.page)));
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA, 2 * guest.page, PROT_RW, TG_MAP_SHARED, file, 0));
    CHECK_SYSTEM(ftruncate(file, (off_t)guest.page));
    for (int round = 0; round < 3; round++) {
        CHECK_RESULT(tg_context_read(guest.context, guest.subprocess, AREA + guest.page - 6, bytes, 100, &done),
                     -EFAULT);
        CHECK_EQ(done, 6);
        CHECK_RESULT(tg_context_write(guest.context, guest.subprocess, AREA + guest.page, bytes, 100, &done), -EFAULT);
        CHECK_EQ(done, 0);
        GUEST_RUN_TO_CALL(&guest);
    }
    guest_close(&guest);
    close(file);
}

static void check_string(struct guest *guest, uint64_t addr, size_t capacity, int expected, size_t length)
{
    char text[STRING_SIZE];
    size_t found = 99;

    memset(text, 'x', sizeof(text));
    CHECK_RESULT(tg_context_read_string(guest->context, guest->subprocess, addr, text, capacity, &found), expected);
    CHECK_EQ(found, length);
    for (size_t i = 0; i < length; i++)
        CHECK_EQ(text[i], 'a');
    if (expected == 0 && length < capacity)
        CHECK_EQ(text[length], 0);
    GUEST_RUN_TO_CALL(guest);
}

static void strings(uint32_t backend)
{
    char text[STRING_SIZE];
    struct guest guest;
    uint64_t edge;

    caller_open(&guest, backend);
    edge = AREA + AREA_SIZE;
    memset(text, 'a', sizeof(text));
    write_by(&guest, edge - sizeof(text), text, sizeof(text));
    write_by(&guest, edge - 1, "", 1);
    /* The 0 byte is the last that there is. */
    check_string(&guest, edge - 10, sizeof(text), 0, 9);
    check_string(&guest, edge - 1, sizeof(text), 0, 0);
    check_string(&guest, edge - 10, 10, 0, 9);
    check_string(&guest, edge - 10, 9, 0, 9);
    check_string(&guest, edge - 10, 0, 0, 0);
    check_string(&guest, edge, sizeof(text), -EFAULT, 0);
    /* Two pages, and then one that is not there. */
    write_by(&guest, AREA + guest.page - 20, text, 100);
    write_by(&guest, AREA + guest.page + 80, "", 1);
    check_string(&guest, AREA + guest.page - 20, sizeof(text), 0, 100);
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, AREA + guest.page, guest.page));
    check_string(&guest, AREA + guest.page - 20, sizeof(text), -EFAULT, 20);
    guest_close(&guest);
}

/* Whatever its calls have become by patching. */
static void code_as_written(uint32_t backend)
{
    const struct guest_code code = GUEST_CODE(counting_calls);
    const size_t length = (size_t)(code.end - code.start);
    unsigned char bytes[256];
    struct guest guest;

    CHECK(length <= sizeof(bytes));
    caller_open(&guest, backend);
    for (int i = 0; i < 10; i++) {
        read_by(&guest, GUEST_CODE_AT, bytes, length);
        CHECK_BYTES(bytes, code.start, length);
        GUEST_RUN_TO_CALL(&guest);
    }
    CHECK_RESULT(tg_context_write(guest.context, guest.subprocess, GUEST_CODE_AT, bytes, 1, NULL), -EFAULT);
    guest_close(&guest);
}

/* A context that has not run, or ran elsewhere, can be asked all the same; one that runs cannot. */
static void any_context(uint32_t backend)
{
    tg_subprocess *other;
    tg_context *fresh;
    struct guest guest;
    uint64_t value = 0;

    caller_open(&guest, backend);
    other = create_loaded_subprocess(guest.platform, GUEST_CODE(spin_counting));
    fresh = create_started_context(guest.platform);
    guest_store(other, GUEST_DATA_AT, 77);
    CHECK_OK(tg_context_read(fresh, other, GUEST_DATA_AT, &value, sizeof(value), NULL));
    CHECK_EQ(value, 77);
    value = 78;
    CHECK_OK(tg_context_write(guest.context, other, GUEST_DATA_AT, &value, sizeof(value), NULL));
    CHECK_EQ(guest_load(other, GUEST_DATA_AT), 78);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT), 0);
    GUEST_RUN_TO_CALL(&guest);
    tg_subprocess_destroy(other);
    tg_context_destroy(fresh);
    guest_close(&guest);
}

static void refused_while_running(uint32_t backend)
{
    struct guest guest;
    uint64_t value = 0;
    pthread_t thread;
    size_t done = 99;
    char byte;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_RESULT(tg_context_read(guest.context, guest.subprocess, GUEST_DATA_AT, &value, 8, &done), -EBUSY);
    CHECK_EQ(done, 0);
    CHECK_RESULT(tg_context_write(guest.context, guest.subprocess, GUEST_DATA_AT, &value, 8, &done), -EBUSY);
    CHECK_RESULT(tg_context_read_string(guest.context, guest.subprocess, GUEST_DATA_AT, &byte, 1, &done), -EBUSY);
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

static void dead_ones(uint32_t backend)
{
    struct guest guest;
    uint64_t value = 0;
    size_t done = 99;

    caller_open(&guest, backend);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    CHECK_RESULT(tg_context_read(guest.context, guest.subprocess, AREA, &value, 8, &done), -ESRCH);
    CHECK_EQ(done, 0);
    CHECK_RESULT(tg_context_write(guest.context, guest.subprocess, AREA, &value, 8, &done), -ESRCH);
    guest_close(&guest);
}

/* ---- beside others ---- */

static void beside_interrupts(uint32_t backend)
{
    unsigned char out[512];
    unsigned char in[512];
    struct guest guest;
    struct interrupter interrupter;
    uint64_t calls = WARM_CALLS;

    caller_open(&guest, backend);
    interrupter_start(&interrupter, guest.context);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        check_context("round %u", i);
        interrupter_allow(&interrupter);
        do
            guest_run(&guest);
        while (guest.event.kind == TG_EVENT_INTERRUPTED);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[0], ++calls);
        fill(out, sizeof(out), i);
        write_by(&guest, AREA + i, out, sizeof(out));
        read_by(&guest, AREA + i, in, sizeof(in));
        CHECK_BYTES(in, out, sizeof(in));
    }
    interrupter_end(&interrupter);
    guest_close(&guest);
}

struct copier {
    struct guest *guest;
    _Atomic bool begun;
};

static void *copy_until_dead(void *argument)
{
    struct copier *copier = argument;
    struct guest *guest = copier->guest;
    unsigned char bytes[4096];
    int err;

    do {
        err = tg_context_read(guest->context, guest->subprocess, AREA, bytes, sizeof(bytes), NULL);
        atomic_store(&copier->begun, true);
    } while (!err);
    CHECK_RESULT(err, -ESRCH);
    return NULL;
}

/* The context goes on elsewhere, with all that it had. */
static void beside_death(uint32_t backend)
{
    struct guest guest;

    for (uint64_t i = 0; i < DEATHS; i++) {
        struct copier copier = {.guest = &guest};
        pthread_t thread;

        check_context("death %llu", (unsigned long long)i);
        caller_open(&guest, backend);
        thread = start_thread(copy_until_dead, &copier);
        while (!atomic_load(&copier.begun))
            sched_yield();
        CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
        join_thread(thread);
        tg_subprocess_destroy(guest.subprocess);
        guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], WARM_CALLS + 1);
        guest_close(&guest);
    }
}

const struct test_case context_copy_cases[] = {
    {"context_copy.any_length", "Copies by way of a context: any length, any alignment, nothing beside it", any_length},
    {"context_copy.edges", "They end at the first byte that cannot be read or written, and say how many were copied",
     exact_at_edges},
    {"context_copy.shorter_file", "So they do behind the end of a file that has become shorter", exact_behind_a_file},
    {"context_copy.strings", "Strings end at their 0 byte, and nothing is read behind its page", strings},
    {"context_copy.code", "Code reads as it was written, whatever is patched in it", code_as_written},
    {"context_copy.any_context", "A context that never ran, or ran elsewhere, does as well", any_context},
    {"context_copy.running", "One that runs is refused with -EBUSY", refused_while_running},
    {"context_copy.dead", "A dead subprocess is -ESRCH", dead_ones},
    {"context_copy.beside_interrupts", "Interrupts change nothing of copies, and copies nothing of calls",
     beside_interrupts},
    {"context_copy.beside_death", "A subprocess that dies beside them is -ESRCH, and the context lives on elsewhere",
     beside_death},
    {0},
};
